//! Testing a connection.

use bowline_connector::{StepError, Tested};

use crate::world::World;

async fn test(world: &World) -> Result<Tested, StepError> {
    let entry = world.registry.connection("sqlite").expect("registered");
    entry.test(world.ctx.clone(), "db").expect("testable").await
}

#[tokio::test]
async fn a_test_reads_the_file_and_makes_none() {
    let world = World::new();
    let error = test(&world).await.expect_err("there is no file");
    assert_eq!(error.code, "sql.no-database");
    assert!(!world.file().exists());

    world.other_process().execute("create table t (a)", []).expect("made");
    let tested = test(&world).await.expect("it answers");
    assert_eq!((tested.reachable, tested.error), (true, None));

    let world = World::new();
    std::fs::write(
        world.file(),
        "this is no database, but long enough to look like something".repeat(50),
    )
    .expect("written");
    assert!(test(&world).await.is_err());
}
