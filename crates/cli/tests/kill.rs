//! The real binary under `kill -9`, a hundred times, while it works on two hundred executions.
//!
//! The services run in this process and live through all of it, so they see whatever is repeated. A kill
//! comes at a random moment after some more calls have arrived. In the end every execution has ended, none
//! is lost, every call has had one idempotency key only, and nothing was carried out twice.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bowline_testing::MockServices;
use serde_json::{Value, json};

const KILLS: usize = 100;
const ORDERS: usize = 200;

const LOAD: &str = "
name: load
steps:
  - id: orders
    forEach: \"${input.orders}\"
    as: order
    concurrency: 16
    steps:
      - { id: order, workflow: order, input: { order: \"${order}\" } }
output: \"${$count(orders)}\"
";

const ORDER: &str = "
name: order
input: { type: object, required: [order] }
steps:
  - id: reserve
    type: http-request
    config: { method: POST, url: \"${env.SHOP_URL}/reserve\", body: { order: \"${input.order}\" } }
    compensation: { id: release, type: http-request, config: { method: POST, url: \"${env.SHOP_URL}/release\", body: { order: \"${input.order}\" } } }
  - id: both
    parallel:
      - { id: charge, type: http-request, config: { method: POST, url: \"${env.SHOP_URL}/charge\", body: { order: \"${input.order}\" } } }
      - { id: notify, type: http-request, config: { method: POST, url: \"${env.SHOP_URL}/notify\", body: { order: \"${input.order}\" } } }
  - { wait: 20ms }
  - { id: ship, type: http-request, config: { method: POST, url: \"${env.SHOP_URL}/ship\", body: { order: \"${input.order}\" } } }
output: \"${ship.body.order}\"
";

fn mocks() -> Value {
    let route = |path: &str| {
        json!({
            "path": path, "method": "POST", "idempotent": true, "delay": { "min": 5, "max": 40 },
            "response": { "status": 200, "body": { "order": "${request.body.order}" } }
        })
    };
    let routes: Vec<Value> = ["/reserve", "/release", "/charge", "/notify", "/ship"]
        .map(route)
        .into();
    json!([{ "id": "shop", "type": "mock-http-service", "config": { "seed": 7, "routes": routes } }])
}

/// A small generator, so that a failing run can be told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn bowline(folder: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("SHOP_URL", url)
        .stdin(Stdio::null());
    command
}

fn start(folder: &Path, url: &str, id: &str) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    bowline(
        folder,
        url,
        &["run", "load.yaml", "--input", "@input.json", "--id", id, "--quiet"],
    )
    .stdout(Stdio::null())
    .stderr(log)
    .spawn()
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_lose_nothing_and_repeat_nothing() {
    let seed = 0x2545_F491_4F6C_DD1D;
    let mut random = Random(seed);
    let shop = MockServices::start(&mocks(), Path::new(".")).await.unwrap();
    let url = shop.url("shop").expect("the shop runs").to_string();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("load.yaml"), LOAD).unwrap();
    std::fs::write(folder.path().join("order.yaml"), ORDER).unwrap();
    let mut kills = 0;
    let mut rounds = 0;
    // A load may end before the hundredth kill; then another one begins.
    while kills < KILLS {
        rounds += 1;
        assert!(rounds <= 20, "the loads end too soon");
        let orders: Vec<usize> = (0..ORDERS).map(|n| rounds * 1000 + n).collect();
        std::fs::write(
            folder.path().join("input.json"),
            json!({ "orders": orders }).to_string(),
        )
        .unwrap();
        let id = format!("load-{rounds}");
        loop {
            let mut child = start(folder.path(), &url, &id);
            let ended = if kills < KILLS {
                // Somewhere between the start and a few calls later.
                let before = shop.calls("shop").len();
                let more = usize::try_from(random.below(12)).unwrap();
                let pause = Duration::from_micros(random.below(30_000));
                wait_for_calls_or_end(&shop, before + more, &mut child).await;
                tokio::time::sleep(pause).await;
                child.try_wait().unwrap()
            } else {
                Some(child.wait().unwrap())
            };
            if let Some(status) = ended {
                let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
                // The kill before may have come when the last commit was durable and nothing told of it yet.
                let ended_before = log.trim_end().ends_with("show`") && log.contains("exists already");
                assert!(status.success() || ended_before, "seed {seed}: {status}\n{log}");
                break;
            }
            // SIGKILL.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
    }
    check_executions(folder.path(), &url, rounds);
    let calls = shop.calls("shop");
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for call in &calls {
        let what = format!("{} {}", call.path, call.body["order"]);
        keys.entry(what.clone())
            .or_default()
            .insert(call.idempotency_key.clone().expect("a key"));
        *done.entry(what).or_default() += usize::from(call.is_effect());
    }
    assert_eq!(
        keys.len(),
        rounds * ORDERS * 4,
        "every call of every order, and no release"
    );
    for (what, keys) in &keys {
        assert_eq!(keys.len(), 1, "{what} came with {keys:?}");
        assert_eq!(done[what], 1, "{what} was carried out {} times", done[what]);
    }
    let repeated = calls.len() - keys.len();
    assert!(
        repeated > 0,
        "a hundred kills and not one call was cut off: the kills came too late"
    );
    eprintln!(
        "{KILLS} kills over {rounds} loads of {ORDERS} executions; {repeated} of {} calls repeated",
        calls.len()
    );
}

/// Waits until so many calls have come in, or the process has ended.
async fn wait_for_calls_or_end(shop: &MockServices, wanted: usize, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while shop.calls("shop").len() < wanted && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nothing happens");
        let _ = shop.wait_for_calls("shop", wanted, Duration::from_millis(20)).await;
    }
}

fn check_executions(folder: &Path, url: &str, rounds: usize) {
    let list = bowline(folder, url, &["executions", "list", "--json", "--limit", "100000"])
        .output()
        .unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let text = String::from_utf8(list.stdout).unwrap();
    let rows: Vec<Value> = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| value.as_array().cloned())
        .unwrap_or_else(|| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
    assert_eq!(rows.len(), rounds * (ORDERS + 1));
    let unfinished: Vec<&Value> = rows.iter().filter(|row| row["status"] != "succeeded").collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
}
