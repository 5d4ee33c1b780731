//! Sessions begin with a key and end with it.

use bowline_access::{Denied, Kind, Role, form_token, is_form_token};

use crate::{World, note};

#[tokio::test]
async fn a_session_is_its_key_until_it_ends() {
    let world = World::new();
    let made = world.key("default", Role::Operator, None).await;
    let session = world.access.log_in(&format!(" {}\n", made.text), None).await.unwrap();
    assert_eq!(session.seconds, 12 * 3_600);
    let caller = world.access.by_session(&session.token).await.unwrap();
    assert_eq!((caller.role, caller.kind), (Role::Operator, Kind::Session));
    world.access.log_out(&session.token).await.unwrap();
    assert_eq!(world.access.by_session(&session.token).await, Err(Denied::SessionEnded));
    for token in ["", "x", &"0".repeat(64)] {
        assert_eq!(world.access.by_session(token).await, Err(Denied::SessionEnded));
        world.access.log_out(token).await.unwrap();
    }
    assert_eq!(
        world.access.log_in("bwk_x", None).await.unwrap_err(),
        Denied::UnknownKey
    );
}

#[tokio::test]
async fn it_ends_in_time_with_its_secret_and_with_its_key() {
    let world = World::new();
    let made = world.key("default", Role::Operator, None).await;
    let session = world.access.log_in(&made.text, None).await.unwrap();
    let rotated = world
        .access
        .rotate_key("default", &made.key.id, 1_000, note("x"))
        .await
        .unwrap();
    let later = world.access.log_in(&rotated.text, None).await.unwrap();
    assert!(world.access.by_session(&session.token).await.is_ok());
    world.pass(1_000);
    assert_eq!(world.access.by_session(&session.token).await, Err(Denied::SessionEnded));
    assert!(world.access.by_session(&later.token).await.is_ok());
    world
        .access
        .revoke_key("default", &made.key.id, note("x"))
        .await
        .unwrap();
    assert_eq!(world.access.by_session(&later.token).await, Err(Denied::SessionEnded));

    let other = world.key("default", Role::Operator, None).await;
    let session = world.access.log_in(&other.text, None).await.unwrap();
    assert!(world.other().by_session(&session.token).await.is_ok());
    world.pass(12 * 3_600_000);
    assert_eq!(world.access.by_session(&session.token).await, Err(Denied::SessionEnded));
    // Who logs in next tidies the old ones away.
    world.access.log_in(&other.text, None).await.unwrap();
    let range = bowline_store::EntryRange {
        space: "session".into(),
        ..Default::default()
    };
    assert_eq!(bowline_store::Store::entries(&world.store, &range).unwrap().len(), 1);
}

/// More live sessions than one login looks at do not hide the expired ones behind them.
#[tokio::test]
async fn every_expired_session_is_tidied_away_in_time() {
    let world = World::new();
    let made = world.key("default", Role::Operator, None).await;
    let log_in = async |count: usize| {
        for _ in 0..count {
            world.access.log_in(&made.text, None).await.unwrap();
        }
    };
    log_in(110).await;
    world.pass(6 * 3_600_000);
    log_in(110).await;
    world.pass(6 * 3_600_000);
    log_in(5).await;
    let range = bowline_store::EntryRange {
        space: "session".into(),
        limit: 1_000,
        ..Default::default()
    };
    assert_eq!(bowline_store::Store::entries(&world.store, &range).unwrap().len(), 115);
}

#[test]
fn forms_belong_to_a_session() {
    assert!(is_form_token("one", &form_token("one")));
    assert!(!is_form_token("one", &form_token("two")) && !is_form_token("one", ""));
}
