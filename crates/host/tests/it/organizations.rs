//! What workflows of one organization read, and what they never do.

use bowline_core::{BlobError, BlobInfo, BlobRef, ByteStream, Payload};
use bowline_engine::StartRequest;
use bowline_host::{Ended, ErrorKind, Host, HostOptions, Start, Status};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::world::{PATIENCE, THEM, US, World, files, options};

const DEFAULT: &str = "default";

/// Fails unless the file that `MARK` names is there.
const MARKED: &str = "
name: marked
steps: [ { id: a, type: do, config: { fail: no-mark, unless: \"${env.MARK}\" } } ]
";

fn with_env(home: &std::path::Path, env: &[(&str, &str)], credentials: Value) -> HostOptions {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    HostOptions {
        env: env.collect(),
        credentials,
        ..options(home)
    }
}

async fn run(host: &Host, organization: &str, workflow: &str) -> Ended {
    let started = host.start(organization, Start::new(workflow, json!({}))).await.unwrap();
    let ended = host.wait(organization, &started.id, PATIENCE).await.unwrap();
    ended.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_of_the_process_is_not_there_for_another_organization() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    std::fs::write(&mark, "").unwrap();
    let env = [("MARK", mark.to_str().unwrap())];
    let host = Host::open(with_env(home.path(), &env, Value::Null)).await.unwrap();
    for organization in [DEFAULT, US] {
        host.deploy(organization, files(&[("marked.yaml", MARKED)]))
            .await
            .unwrap();
    }
    assert_eq!(run(&host, DEFAULT, "marked").await.status, Status::Succeeded);

    let refused = host.start(US, Start::new("marked", json!({}))).await.unwrap_err();
    assert_ne!(refused.kind, ErrorKind::Internal, "{refused}");
    assert!(refused.message.contains("BOWLINE_ORG_ACME__MARK"), "{refused}");
    assert!(!refused.message.contains(mark.to_str().unwrap()), "{refused}");
    let listed = host.workflows(US).await.unwrap();
    assert_eq!(listed[0].missing, ["env.MARK"]);
    assert!(host.workflows(DEFAULT).await.unwrap()[0].missing.is_empty());
    // All of it at once is its own, too: nothing.
    let all = "name: all\nsteps: [ { id: a, type: do, config: { answer: \"${$count($keys(env)) > 0}\" } } ]\n";
    host.deploy(US, files(&[("all.yaml", all)])).await.unwrap();
    assert_eq!(run(&host, US, "all").await.output, Some(json!(false)));
    host.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_definition_runs_in_each_organization_with_its_own_variables() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    std::fs::write(&mark, "").unwrap();
    let env = [
        ("MARK", "/nowhere/at/all"),
        ("BOWLINE_ORG_ACME__MARK", mark.to_str().unwrap()),
    ];
    let host = Host::open(with_env(home.path(), &env, Value::Null)).await.unwrap();
    let deployed = host.deploy(US, files(&[("marked.yaml", MARKED)])).await.unwrap();
    let hash = &deployed.deployments[0].hash;
    let definition = host.store().definition(hash).unwrap().unwrap();
    // Whichever loads it first, the other one does not get its program.
    for _ in 0..2 {
        for (organization, ends) in [(DEFAULT, Status::Failed), (US, Status::Succeeded)] {
            let request = StartRequest {
                organization: organization.into(),
                ..StartRequest::new(definition.clone(), Payload::of(&json!({})).unwrap())
            };
            let handle = host.engine().start(request).await.unwrap();
            let ended = host.wait(organization, handle.id(), PATIENCE).await.unwrap().unwrap();
            assert_eq!(ended.status, ends, "{organization}");
        }
    }
    host.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_an_organization_are_below_its_name() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    std::fs::write(&mark, "").unwrap();
    let credentials = json!({ "organizations": { "acme": { "mark": mark } } });
    let host = Host::open(with_env(home.path(), &[], credentials)).await.unwrap();
    let reads = MARKED.replace("env.MARK", "credentials.mark");
    let peeks = MARKED
        .replace("env.MARK", "credentials.organizations.acme.mark")
        .replace("name: marked", "name: peeks");
    for organization in [DEFAULT, US] {
        let both = files(&[("marked.yaml", &reads), ("peeks.yaml", &peeks)]);
        host.deploy(organization, both).await.unwrap();
    }
    assert_eq!(run(&host, US, "marked").await.status, Status::Succeeded);
    for (organization, workflow) in [(DEFAULT, "marked"), (DEFAULT, "peeks"), (US, "peeks")] {
        let refused = host
            .start(organization, Start::new(workflow, json!({})))
            .await
            .unwrap_err();
        assert!(
            refused.message.contains("credentials."),
            "{organization} {workflow}: {refused}"
        );
    }
    host.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_server_are_out_of_reach() {
    let home = tempfile::tempdir().unwrap();
    let host = Host::open(options(home.path())).await.unwrap();
    let reads = |name: &str, path: &str| {
        format!("name: {name}\nsteps: [ {{ id: a, type: do, config: {{ file: \"{path}\" }} }} ]\n")
    };
    let (own, database) = (reads("own", "orders.db"), reads("up", "../../bowline.db"));
    for organization in [DEFAULT, US] {
        let both = files(&[("own.yaml", &own), ("up.yaml", &database)]);
        host.deploy(organization, both).await.unwrap();
    }
    let folder = home.path().canonicalize().unwrap().join("data/files/acme/orders.db");
    let ended = run(&host, US, "own").await;
    let found = ended
        .output
        .and_then(|output| output.as_str().map(std::path::PathBuf::from));
    let found = found.expect("a path");
    assert_eq!(
        found.parent().unwrap().canonicalize().unwrap(),
        folder.parent().unwrap()
    );
    let refused = run(&host, US, "up").await;
    assert_eq!(refused.error.map(|error| error.code).as_deref(), Some("file.outside"));
    // Whoever runs the server is `default`.
    assert_eq!(run(&host, DEFAULT, "up").await.status, Status::Succeeded);
    host.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_alone_opens_no_content() {
    let world = World::new().await;
    let content = || -> ByteStream { Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"a contract"))])) };
    let ours = world.host.blobs_of(US);
    let blob = ours.put(content(), BlobInfo::default()).await.unwrap();
    let pieces: Vec<Bytes> = ours.open(&blob).await.unwrap().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"a contract");
    let theirs = world.host.blobs_of(THEM);
    let bare = BlobRef {
        grant: None,
        ..blob.clone()
    };
    for (store, forged) in [(&theirs, &blob), (&theirs, &bare), (&ours, &bare)] {
        let refused = store.open(forged).await.err().unwrap();
        assert!(matches!(refused, BlobError::Missing(_)), "{refused}");
    }
    // The same content of their own is theirs, and still not ours by their reference.
    let same = theirs.put(content(), BlobInfo::default()).await.unwrap();
    assert!(same.id == blob.id && theirs.open(&same).await.is_ok() && ours.open(&same).await.is_err());
}
