//! The audit log.

use bowline_access::{AccessError, Audit, AuditFilter, Caller, Outcome, Role};
use serde_json::{Value, json};

use crate::{World, note};

#[tokio::test]
async fn every_change_has_its_line() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "", note("organization.create"))
        .await
        .unwrap();
    let made = world.key("acme", Role::Viewer, None).await;
    world
        .access
        .rotate_key("acme", &made.key.id, 0, note("key.rotate"))
        .await
        .unwrap();
    world
        .access
        .revoke_key("acme", &made.key.id, note("key.revoke"))
        .await
        .unwrap();
    let page = world.access.audit("acme", &AuditFilter::default()).await.unwrap();
    let actions: Vec<&str> = page.items.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(page.next, None);
    // Those of one millisecond stand in the order in which they were written, as all others do.
    assert_eq!(
        actions,
        ["key.revoke", "key.rotate", "key.create", "organization.create"]
    );
    assert_eq!(page.items[0].target, made.key.id);
    assert_eq!(page.items[0].detail["role"], "viewer");
    let other = world.access.audit("default", &AuditFilter::default()).await.unwrap();
    assert_eq!(other.items, []);
}

#[tokio::test]
async fn a_change_that_is_refused_is_not_noted_as_done() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "", note("organization.create"))
        .await
        .unwrap();
    assert!(
        world
            .access
            .create_organization("acme", "", note("organization.create"))
            .await
            .is_err()
    );
    let page = world.access.audit("acme", &AuditFilter::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn pages_and_filters_cover_all_of_it() {
    let world = World::new();
    let mut caller = Caller::loopback();
    for number in 0..25 {
        world.pass(1);
        caller.name = if number % 5 == 0 { "ada" } else { "bob" }.to_owned();
        let action = if number % 2 == 0 {
            "execution.cancel"
        } else {
            "execution.start"
        };
        let line = Audit::note(&caller, action, &number.to_string(), Value::Null)
            .came_from("192.0.2.1")
            .outcome(Outcome::Refused);
        world.access.write_audit(line).await.unwrap();
    }
    let read = async |filter: &AuditFilter| {
        let mut filter = filter.clone();
        let mut targets = Vec::new();
        loop {
            let page = world.access.audit("default", &filter).await.unwrap();
            assert!(page.items.len() <= filter.limit);
            targets.extend(page.items.into_iter().map(|line| line.target.parse::<i32>().unwrap()));
            let Some(next) = page.next else { return targets };
            filter.cursor = Some(next);
        }
    };
    let all = AuditFilter {
        limit: 4,
        ..AuditFilter::default()
    };
    assert_eq!(read(&all).await, (0..25).rev().collect::<Vec<_>>());
    let of_ada = AuditFilter {
        who: Some("ada".into()),
        limit: 2,
        ..AuditFilter::default()
    };
    assert_eq!(read(&of_ada).await, [20, 15, 10, 5, 0]);
    let starts = AuditFilter {
        action: Some("execution.st".into()),
        limit: 100,
        ..AuditFilter::default()
    };
    assert_eq!(read(&starts).await.len(), 12);
    for cursor in ["", "x", "1.2", "00000000000000000001.x"] {
        let filter = AuditFilter {
            cursor: Some(cursor.into()),
            ..AuditFilter::default()
        };
        assert!(
            matches!(
                world.access.audit("default", &filter).await,
                Err(AccessError::Invalid(_))
            ),
            "{cursor}"
        );
    }
}

#[tokio::test]
async fn old_lines_are_forgotten() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "", note("organization.create"))
        .await
        .unwrap();
    for _ in 0..3 {
        world.access.write_audit(note("old")).await.unwrap();
    }
    world.pass(365 * 86_400_000);
    world.access.write_audit(note("young")).await.unwrap();
    world.pass(1);
    assert_eq!(world.access.forget_old_audit().await.unwrap(), 4);
    let left = world.access.audit("default", &AuditFilter::default()).await.unwrap();
    assert_eq!((left.items.len(), left.items[0].action.as_str()), (1, "young"));
    assert_eq!(world.access.forget_old_audit().await.unwrap(), 0);
}

#[tokio::test]
async fn a_line_tells_who_from_where_and_what() {
    let world = World::new();
    let mut caller = Caller::loopback();
    caller.organization = "acme".into();
    caller.name = "ada\u{7}".into();
    let line = Audit::note(
        &caller,
        "execution.cancel",
        &"x".repeat(5_000),
        json!({ "status": 200 }),
    )
    .came_from("::1");
    world.access.write_audit(line).await.unwrap();
    let page = world.access.audit("acme", &AuditFilter::default()).await.unwrap();
    let line = &page.items[0];
    assert_eq!(
        (line.who.as_str(), line.by.as_str(), line.home.as_deref()),
        ("ada", "loopback", Some("default"))
    );
    assert_eq!((line.from.as_deref(), line.target.len()), (Some("::1"), 1_000));
    assert_eq!(line.at, "1970-01-01T00:16:40.000Z");
}
