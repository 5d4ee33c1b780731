//! A deployment that was acknowledged is there whenever the process dies, and none is there in part.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bowline_host::Host;

use crate::world::{US, files, options};

const ROUNDS: usize = 6;

fn workflow(number: usize) -> String {
    format!("name: pay\nsteps: [ {{ id: a, type: do, config: {{ answer: {number} }} }} ]\n")
}

/// Deploys versions as fast as it can and says each one that is acknowledged. Run by the test below in a process of its
/// own; does nothing otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_until_it_is_killed() {
    let Ok(home) = std::env::var("BOWLINE_TEST_DEPLOYS_IN") else {
        return;
    };
    let host = Host::open(options(std::path::Path::new(&home))).await.unwrap();
    let known = host
        .workflow(US, "pay", None)
        .await
        .map_or(0, |known| known.deployment.version);
    for number in known as usize + 1.. {
        let deployed = host
            .deploy(US, files(&[("pay.yaml", &workflow(number))]))
            .await
            .unwrap();
        eprintln!("deployed {}", deployed.deployments[0].version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_deployment() {
    let home = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::deploys_until_it_is_killed", "--nocapture"])
            .env("BOWLINE_TEST_DEPLOYS_IN", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut acknowledged = before;
        // Each round dies elsewhere.
        while acknowledged < before + 2 + round {
            let line = lines.next().expect("it deploys").unwrap();
            if let Some(number) = line.strip_prefix("deployed ") {
                acknowledged = number.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let host = Host::open(options(home.path())).await.unwrap();
        let pay = host.workflow(US, "pay", None).await.unwrap();
        let current = pay.summary.version.unwrap();
        assert!(
            current as usize >= acknowledged,
            "{current} is known, {acknowledged} was acknowledged"
        );
        assert_eq!(pay.source_text, workflow(current as usize));
        let versions: Vec<u32> = pay.versions.iter().rev().map(|one| one.version).collect();
        assert!(versions.is_sorted() && versions.last() == Some(&current));
        assert_eq!(host.active(None).borrow()[0].version, current);
        before = current as usize;
        host.stop(crate::world::PATIENCE).await;
    }
}
