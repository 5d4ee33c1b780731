//! Keys from making to revoking, as callers see them.

use bowline_access::{AccessError, Caller, Denied, KeyState, Kind, NewKey, Role, Scope};

use crate::{World, bearer, note};

#[tokio::test]
async fn loopback_is_let_in_until_there_is_a_key() {
    let world = World::new();
    assert_eq!(world.access.authenticate(None, true).await, Ok(Caller::loopback()));
    assert_eq!(world.access.authenticate(None, false).await, Err(Denied::Missing));
    assert!(!world.access.is_configured().await.unwrap());
    let made = world.key("default", Role::Admin, None).await;
    assert_eq!(world.access.authenticate(None, true).await, Err(Denied::Missing));
    assert!(world.access.is_configured().await.unwrap());
    // A key that is revoked opens nothing to others.
    world
        .access
        .revoke_key("default", &made.key.id, note("key.revoke"))
        .await
        .unwrap();
    assert_eq!(world.access.authenticate(None, true).await, Err(Denied::Missing));
    assert_eq!(world.other().authenticate(None, true).await, Err(Denied::Missing));
}

#[tokio::test]
async fn a_key_says_who_asks_and_what_it_may() {
    let world = World::new();
    let made = world
        .key("default", Role::Operator, Some(vec![Scope::Executions]))
        .await;
    let caller = world
        .access
        .authenticate(Some(&bearer(&made.text)), false)
        .await
        .unwrap();
    assert_eq!((caller.organization.as_str(), caller.role), ("default", Role::Operator));
    assert_eq!((caller.name.as_str(), caller.kind), ("default operator", Kind::Key));
    assert_eq!(
        (caller.scopes.as_slice(), caller.key),
        (&[Scope::Executions][..], Some(made.key.id))
    );
}

#[tokio::test]
async fn other_credentials_are_refused() {
    let world = World::new();
    let made = world.key("default", Role::Admin, None).await;
    let wrong = format!(
        "{}{}",
        &made.text[..made.text.len() - 1],
        if made.text.ends_with('0') { '1' } else { '0' }
    );
    let unknown = made.text.replace(&made.key.id, "0123456789abcdef");
    for (header, denied) in [
        (bearer(&wrong), Denied::UnknownKey),
        (bearer(&unknown), Denied::UnknownKey),
        (bearer("bwk_"), Denied::UnknownKey),
        (made.text.clone(), Denied::Malformed("it has no scheme")),
        (
            format!("Basic {}", made.text),
            Denied::Malformed("its scheme is not Bearer"),
        ),
        (
            bearer("a.b.c"),
            Denied::Malformed("it holds no API key, and no tokens are configured"),
        ),
    ] {
        assert_eq!(
            world.access.authenticate(Some(&header), true).await,
            Err(denied.clone())
        );
        assert!(!denied.to_string().contains(&made.text));
    }
    assert!(
        world
            .access
            .authenticate(Some(&format!("bearer  {} ", made.text)), false)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_key_is_rotated_without_a_gap() {
    let world = World::new();
    let old = world.key("default", Role::Admin, None).await;
    let is_let_in = async |text: &str| world.access.authenticate(Some(&bearer(text)), false).await.map(drop);
    assert_eq!(is_let_in(&old.text).await, Ok(()));
    let new = world
        .access
        .rotate_key("default", &old.key.id, 60_000, note("key.rotate"))
        .await
        .unwrap();
    assert_eq!(new.key.id, old.key.id);
    assert!(new.key.overlap_until.is_some());
    assert_eq!(
        (is_let_in(&old.text).await, is_let_in(&new.text).await),
        (Ok(()), Ok(()))
    );
    world.pass(60_000);
    assert_eq!(
        (is_let_in(&old.text).await, is_let_in(&new.text).await),
        (Err(Denied::Rotated), Ok(()))
    );
    world
        .access
        .revoke_key("default", &old.key.id, note("key.revoke"))
        .await
        .unwrap();
    assert_eq!(is_let_in(&new.text).await, Err(Denied::Revoked));
    let again = world
        .access
        .rotate_key("default", &old.key.id, 0, note("key.rotate"))
        .await;
    assert!(matches!(again, Err(AccessError::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn a_key_expires() {
    let world = World::new();
    let new = NewKey {
        organization: "default".into(),
        name: "short".into(),
        role: Role::Viewer,
        scopes: None,
        expires_at: Some(1_000_500),
    };
    let made = world.access.create_key(new, note("key.create")).await.unwrap();
    assert!(
        world
            .access
            .authenticate(Some(&bearer(&made.text)), false)
            .await
            .is_ok()
    );
    world.pass(500);
    let denied = world.access.authenticate(Some(&bearer(&made.text)), false).await;
    assert_eq!(denied, Err(Denied::Expired));
    assert_eq!(
        world.access.key("default", &made.key.id).await.unwrap().state,
        KeyState::Expired
    );
}

#[tokio::test]
async fn changes_of_several_at_once_are_all_kept() {
    let world = World::new();
    let made = world.key("default", Role::Admin, None).await;
    let rotations = (0..3).map(|_| {
        world
            .access
            .rotate_key("default", &made.key.id, 1_000, note("key.rotate"))
    });
    let texts: Vec<String> = futures_util::future::join_all(rotations)
        .await
        .into_iter()
        .map(|rotated| rotated.unwrap().text)
        .collect();
    for text in &texts {
        assert!(world.access.authenticate(Some(&bearer(text)), false).await.is_ok());
    }
}

#[tokio::test]
async fn no_secret_is_stored() {
    let world = World::new();
    let made = world.key("default", Role::Admin, None).await;
    let secret = made.text.rsplit('_').next().unwrap().to_owned();
    world.access.log_in(&made.text, None).await.unwrap();
    let mut seen = 0;
    for space in ["api-key", "audit", "session"] {
        let range = bowline_store::EntryRange {
            space: space.into(),
            ..Default::default()
        };
        for (key, value) in bowline_store::Store::entries(&world.store, &range).unwrap() {
            seen += 1;
            assert!(!key.contains(&secret) && !String::from_utf8_lossy(&value).contains(&secret));
        }
    }
    assert!(seen >= 4, "{seen}");
}
