//! Executions of Rust programs, seen by the command line.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bowline_core::{Context, Outcome, Payload, Program, StepError};
use bowline_engine::{Engine, Migration, Options, Programs, StartRequest};
use bowline_store::{Definition, Status, Store};
use bowline_store_sqlite::{Options as StoreOptions, SqliteStore};
use serde_json::json;

use crate::common::Folder;

/// A program that waits for a signal, under the name that its definition has in crates/bowline.
struct Own;

fn run(ctx: Context, _: Payload) -> Pin<Box<dyn Future<Output = Result<Payload, StepError>> + Send>> {
    Box::pin(async move { ctx.signal("go", "go", None, None).await })
}

fn definition() -> Definition {
    Definition {
        hash: "0123456789abcdef".into(),
        workflow: "registration".into(),
        content: br#"{"rust":{"workflow":"registration","version":"1"}}"#.to_vec().into(),
    }
}

impl Programs for Own {
    fn load(&self, _: &str, _: &Definition) -> Result<Arc<dyn Program>, StepError> {
        Ok(Arc::new(run))
    }

    fn migrate(&self, _: &str, _: &Definition, _: &Definition) -> Result<Migration, StepError> {
        Err(StepError::permanent("test", "not used"))
    }

    fn child(&self, _: &str, _: &Definition, _: &str) -> Result<Definition, StepError> {
        Err(StepError::permanent("test", "not used"))
    }
}

fn engine(folder: &Folder) -> (Engine, SqliteStore) {
    let home = folder.path(".bowline");
    std::fs::create_dir_all(&home).unwrap();
    let store = SqliteStore::open(home.join("bowline.db"), StoreOptions::default()).unwrap();
    let runtime = tokio::runtime::Handle::current();
    let engine = Engine::open(Arc::new(store.clone()), Arc::new(Own), runtime, Options::default()).unwrap();
    (engine, store)
}

#[test]
fn what_a_rust_program_runs_is_left_to_it() {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (engine, _) = engine(&folder);
        for id in ["r-1", "r-2"] {
            let request = StartRequest {
                id: Some(id.into()),
                ..StartRequest::new(definition(), Payload::of(&json!({})).unwrap())
            };
            engine.start(request).await.unwrap();
        }
        engine.stop(std::time::Duration::ZERO).await;
    });
    let why = folder.run(&["why", "r-1"]);
    assert_eq!(why.code, Some(0), "{}", why.told());
    assert!(
        why.stdout.contains("runs in a Rust program") && why.stdout.contains("waits for signal go"),
        "{}",
        why.told()
    );
    let doctor = folder.run(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{}", doctor.told());
    assert!(
        doctor.stdout.contains("when their Rust program runs"),
        "{}",
        doctor.told()
    );
    let resumed = folder.run(&["executions", "resume", "r-1"]);
    assert!(
        resumed.code == Some(2) && resumed.stderr.contains("Rust program"),
        "{}",
        resumed.told()
    );
    let signalled = folder.run(&["signal", "r-1", "go", "--payload", r#""now""#]);
    assert_eq!(signalled.code, Some(0), "{}", signalled.told());
    assert!(signalled.stderr.contains("queued"), "{}", signalled.told());
    let cancelled = folder.run(&["executions", "cancel", "r-2"]);
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.told());
    // A run of something else in the folder does not take the requests.
    let other = folder.run(&["run", "plain.yaml", "-q", "-i", r#"{"name": "Ada"}"#]);
    assert_eq!(other.code, Some(0), "{}", other.told());
    assert!(!other.stderr.contains("stuck"), "{}", other.told());
    runtime.block_on(async {
        let (engine, store) = engine(&folder);
        engine.recover().await.unwrap();
        let outcome = engine.watch("r-1").await.unwrap().outcome().await.unwrap();
        assert!(
            matches!(&outcome, Outcome::Succeeded(output) if output.text().contains("now")),
            "{outcome:?}"
        );
        engine.watch("r-2").await.unwrap().outcome().await.unwrap();
        assert_eq!(store.execution("r-2").unwrap().unwrap().status, Status::Cancelled);
        engine.stop(std::time::Duration::ZERO).await;
    });
}

#[test]
fn a_name_means_a_workflow_of_one_organization() {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (engine, _) = engine(&folder);
        for (organization, id) in [("default", "d-1"), ("acme", "a-1")] {
            let request = StartRequest {
                id: Some(id.into()),
                organization: organization.into(),
                ..StartRequest::new(definition(), Payload::of(&json!({})).unwrap())
            };
            engine.start(request).await.unwrap();
        }
        engine.cancel("a-1", "enough").await.unwrap();
        engine.watch("a-1").await.unwrap().outcome().await.unwrap();
        engine.stop(std::time::Duration::ZERO).await;
    });
    assert_eq!(folder.ids(), ["d-1"]);
    let theirs = folder.json(&["executions", "list", "--organization", "acme", "--json"]);
    assert_eq!((theirs.as_array().unwrap().len(), &theirs[0]["id"]), (1, &json!("a-1")));
    let prune = |organization: &str| {
        let ended = folder.run(&[
            "executions",
            "prune",
            "--keep",
            "0",
            "--workflow",
            "registration",
            "--organization",
            organization,
            "--dry-run",
        ]);
        (ended.code, ended.stderr)
    };
    assert!(
        prune("default").1.contains("0 finished executions would"),
        "{:?}",
        prune("default")
    );
    assert!(
        prune("acme").1.contains("1 finished execution would"),
        "{:?}",
        prune("acme")
    );
    assert_eq!(prune("nobody").0, Some(2));
    let pause = |organization: &str| {
        let what = ["executions", "pause", "--workflow", "registration", "--organization"];
        folder.run(&[what.as_slice(), &[organization]].concat()).code
    };
    assert_eq!((pause("nobody"), pause("acme")), (Some(2), Some(0)));
    runtime.block_on(async {
        let (_engine, store) = engine(&folder);
        assert_eq!(store.paused_workflows("acme").unwrap(), ["registration"]);
        assert!(store.paused_workflows("default").unwrap().is_empty());
    });
}
