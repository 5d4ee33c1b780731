use bowline_host::{Search, Start, Status};
use serde_json::json;

use crate::world::{THEM, US, World};

const PAY: &str = "
name: pay
steps:
  - { id: a, type: do, config: { answer: { total: \"${input.n}\", to: { name: \"n-${input.n}\" } } } }
  - { id: b, when: \"${input.n = 13}\", type: do, config: { fail: bad.luck } }
output: \"${a}\"
";

async fn ids(world: &World, search: &Search) -> (Vec<String>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut search = search.clone();
    loop {
        let page = world.host.search(US, &search).await.unwrap();
        pages += 1;
        assert!(search.limit == 0 || page.items.len() <= search.limit);
        found.extend(page.items.into_iter().map(|one| one.id));
        match page.next {
            Some(next) => search.cursor = Some(next),
            None => return (found, pages),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_everything_once_newest_first() {
    let world = World::new().await;
    world.deploy("pay", PAY).await;
    let mut all = Vec::new();
    for n in 0..25 {
        all.push(world.run("pay", json!({ "n": n })).await.0);
    }
    let newest_first: Vec<String> = all.iter().rev().cloned().collect();
    for limit in [0, 1, 5, 24, 25, 26] {
        let search = Search {
            limit,
            ..Search::default()
        };
        let (found, pages) = ids(&world, &search).await;
        assert_eq!(found, newest_first, "{limit}");
        assert!(
            limit == 0 || pages == 25_usize.div_ceil(limit),
            "{limit}: {pages} pages"
        );
    }
    let search = |change: fn(&mut Search)| {
        let mut search = Search::default();
        change(&mut search);
        search
    };
    let failed = search(|search| search.error = Some("bad.luck".into()));
    assert_eq!(ids(&world, &failed).await.0, [all[13].clone()]);
    let failed = search(|search| search.status = Some(Status::Failed));
    assert_eq!(ids(&world, &failed).await.0.len(), 1);
    let unfinished = search(|search| search.unfinished = true);
    assert!(ids(&world, &unfinished).await.0.is_empty());
    let other = search(|search| search.workflow = Some("other".into()));
    assert!(ids(&world, &other).await.0.is_empty());
    let version = search(|search| {
        search.workflow = Some("pay".into());
        search.version = Some(1);
    });
    assert_eq!(ids(&world, &version).await.0.len(), 25);
    let no_version = search(|search| {
        search.workflow = Some("pay".into());
        search.version = Some(2);
    });
    assert!(ids(&world, &no_version).await.0.is_empty());
    let mut one = Search {
        id_prefix: Some(all[3].clone()),
        ..Search::default()
    };
    assert_eq!(ids(&world, &one).await.0, [all[3].clone()]);
    one.until = Some(1);
    assert!(ids(&world, &one).await.0.is_empty());

    assert!(
        world
            .host
            .search(THEM, &Search::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    // A cursor of one organization shows nothing of it to another.
    let page = world.host.search(US, &search(|search| search.limit = 1)).await.unwrap();
    let theirs = Search {
        cursor: page.next,
        ..Search::default()
    };
    assert!(world.host.search(THEM, &theirs).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_inputs_and_outputs_are_looked_for() {
    let world = World::new().await;
    world.deploy("pay", PAY).await;
    let mut all = Vec::new();
    for n in 0..20 {
        all.push(
            world
                .run("pay", json!({ "n": n % 10, "customer": { "id": format!("c-{n}") } }))
                .await
                .0,
        );
    }
    let by = |input: &[(&str, &str)], output: &[(&str, &str)], limit| {
        let fields = |given: &[(&str, &str)]| {
            given
                .iter()
                .map(|(path, text)| ((*path).into(), (*text).into()))
                .collect()
        };
        Search {
            input: fields(input),
            output: fields(output),
            limit,
            ..Search::default()
        }
    };
    assert_eq!(
        ids(&world, &by(&[("customer.id", "c-7")], &[], 0)).await.0,
        [all[7].clone()]
    );
    assert_eq!(
        ids(&world, &by(&[("/customer/id", "c-7")], &[("total", "7")], 0))
            .await
            .0,
        [all[7].clone()]
    );
    assert!(
        ids(&world, &by(&[("customer.id", "c-7")], &[("total", "8")], 0))
            .await
            .0
            .is_empty()
    );
    assert_eq!(
        ids(&world, &by(&[], &[("to.name", "n-3")], 1)).await.0,
        [all[13].clone(), all[3].clone()]
    );
    let wrong = world.host.search(US, &by(&[("a..b", "x")], &[], 0)).await.unwrap_err();
    assert_eq!(wrong.code, "search.path");
    let wrong = Search {
        cursor: Some("nonsense".into()),
        ..Search::default()
    };
    assert_eq!(world.host.search(US, &wrong).await.unwrap_err().code, "search.cursor");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_are_told_of_their_own_and_lists_of_all() {
    let world = World::new().await;
    world.deploy("pay", PAY).await;
    let idle: Vec<_> = (0..10_000)
        .map(|n| world.host.feed().execution(&format!("none-{n}")))
        .collect();
    let mut list = world.host.feed().list(US);
    let mut theirs = Box::pin(async {
        let mut list = world.host.feed().list(THEM);
        list.changed().await
    });
    let started = world
        .host
        .start(US, Start::new("pay", json!({ "n": 1 })))
        .await
        .unwrap();
    world.end(&started.id).await;
    assert!(list.changed().await);
    assert!(ready(&mut theirs).await.is_none(), "another organization hears nothing");
    assert_eq!(world.host.feed().followers(), 10_000);
    drop(idle);
    assert_eq!(world.host.feed().followers(), 0);
    world.host.stop(crate::world::PATIENCE).await;
    assert!(!list.changed().await, "nothing more comes");
}

/// What a future has ready now.
async fn ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
