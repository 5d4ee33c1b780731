use bowline_host::ErrorKind;

use crate::world::{SECRET, THEM, US, World};

const TALKS: &str = "
name: talks
connections:
  good: { type: place, baseUrl: https://good.example, password: \"${env.TOKEN}\" }
  wrong: { type: place, baseUrl: https://wrong.example }
  gone: { type: place, baseUrl: https://nowhere.example }
  poor: { type: place, baseUrl: \"${env.NOT_SET}\" }
  mute: { type: mute, baseUrl: \"https://user:pass@mute.example\" }
steps: [ { id: a, type: do, config: {} } ]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_listed_and_tested() {
    let world = World::new().await;
    world.deploy("talks", TALKS).await;
    let all = world.host.connections(US).await.unwrap();
    let one = |name: &str| all.iter().find(|one| one.name == name).unwrap();
    assert_eq!(
        (one("good").target.as_deref(), one("good").testable),
        (Some("https://good.example"), true)
    );
    assert_eq!(one("poor").missing, ["env.NOT_SET"]);
    assert_eq!(
        (one("mute").target.as_deref(), one("mute").testable),
        (Some("https://mute.example"), false)
    );
    assert!(world.host.connections(THEM).await.unwrap().is_empty());

    let test = async |name: &str| world.host.test_connection(US, "talks", name).await;
    let good = test("good").await.unwrap();
    assert_eq!((good.ok, good.reachable, good.authenticated), (true, true, Some(true)));
    assert!(!good.message.contains(SECRET), "{}", good.message);
    let wrong = test("wrong").await.unwrap();
    assert_eq!(
        (wrong.ok, wrong.reachable, wrong.authenticated),
        (false, true, Some(false))
    );
    assert_eq!(wrong.code.as_deref(), Some("place.refused"));
    let gone = test("gone").await.unwrap();
    assert_eq!(
        (gone.ok, gone.reachable, gone.code.as_deref()),
        (false, false, Some("place.connect"))
    );
    assert!(!test("poor").await.unwrap().ok);
    assert_eq!(test("mute").await.unwrap_err().code, "connection.untestable");
    let error = test("none").await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::NotFound, "connection.not-found"));
}
