//! Organizations are walls.

use bowline_access::{AccessError, Denied, NewKey, Role, Scope};

use crate::{World, bearer, note};

#[tokio::test]
async fn keys_of_an_organization_are_not_there_for_others() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "Acme", note("organization.create"))
        .await
        .unwrap();
    let made = world.key("acme", Role::Admin, None).await;
    assert_eq!(world.access.list_keys("acme").await.unwrap().len(), 1);
    assert_eq!(world.access.list_keys("default").await.unwrap(), []);
    let gone =
        |result: Result<bowline_access::KeyView, AccessError>| matches!(result, Err(AccessError::NotFound { .. }));
    assert!(gone(world.access.key("default", &made.key.id).await));
    assert!(gone(world.access.revoke_key("default", &made.key.id, note("x")).await));
    assert!(gone(world.access.key("acme", "none").await));
    let rotated = world.access.rotate_key("default", &made.key.id, 0, note("x")).await;
    assert!(matches!(rotated, Err(AccessError::NotFound { .. })));
    assert!(
        world
            .access
            .authenticate(Some(&bearer(&made.text)), false)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn only_a_super_admin_acts_elsewhere() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "", note("organization.create"))
        .await
        .unwrap();
    let every = Some(Scope::ALL.to_vec());
    let of = async |organization: &str, role, scopes| {
        let made = world.key(organization, role, scopes).await;
        world
            .access
            .authenticate(Some(&bearer(&made.text)), false)
            .await
            .unwrap()
    };
    let chief = of("default", Role::Admin, every.clone()).await;
    let acting = world.access.acting_in(chief.clone(), "acme").await.unwrap();
    assert_eq!(
        (acting.organization.as_str(), acting.home.as_str()),
        ("acme", "default")
    );
    assert!(matches!(
        world.access.acting_in(chief, "nowhere").await,
        Err(Denied::Forbidden(_))
    ));
    for caller in [
        of("default", Role::Admin, None).await,
        of("default", Role::Deployer, every.clone()).await,
        of("acme", Role::Admin, every.clone()).await,
    ] {
        let own = caller.organization.clone();
        assert!(matches!(
            world.access.acting_in(caller.clone(), "other").await,
            Err(Denied::Forbidden(_))
        ));
        assert_eq!(world.access.acting_in(caller.clone(), &own).await, Ok(caller));
    }
}

#[tokio::test]
async fn a_disabled_organization_lets_nobody_in() {
    let world = World::new();
    world
        .access
        .create_organization("acme", "", note("organization.create"))
        .await
        .unwrap();
    let made = world.key("acme", Role::Admin, None).await;
    let session = world.access.log_in(&made.text, None).await.unwrap();
    let is_in = async || {
        world
            .access
            .authenticate(Some(&bearer(&made.text)), false)
            .await
            .is_ok()
    };
    assert!(is_in().await);
    world
        .access
        .disable_organization("acme", true, note("organization.disable"))
        .await
        .unwrap();
    assert!(!is_in().await);
    assert!(matches!(
        world.access.by_session(&session.token).await,
        Err(Denied::Forbidden(_))
    ));
    world
        .access
        .disable_organization("acme", false, note("organization.enable"))
        .await
        .unwrap();
    assert!(is_in().await);
}

#[tokio::test]
async fn names_are_unique_and_the_default_one_stays() {
    let world = World::new();
    let create = async |name: &str| world.access.create_organization(name, "", note("x")).await;
    create("acme").await.unwrap();
    assert!(matches!(create("acme").await, Err(AccessError::Conflict(_))));
    assert!(matches!(create("default").await, Err(AccessError::Conflict(_))));
    assert!(matches!(create("A B").await, Err(AccessError::Invalid(_))));
    let disabled = world.access.disable_organization("default", true, note("x")).await;
    assert!(matches!(disabled, Err(AccessError::Invalid(_))));
    let disabled = world.access.disable_organization("none", true, note("x")).await;
    assert!(matches!(disabled, Err(AccessError::NotFound { .. })));
    let names: Vec<String> = world
        .access
        .list_organizations()
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["default", "acme"]);
    let new = NewKey {
        organization: "none".into(),
        name: "x".into(),
        role: Role::Viewer,
        scopes: None,
        expires_at: None,
    };
    assert!(matches!(
        world.access.create_key(new, note("x")).await,
        Err(AccessError::NotFound { .. })
    ));
}
