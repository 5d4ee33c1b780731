//! Links that people follow: looking changes nothing, and pressing a button decides.

use reqwest::Method;
use serde_json::json;

use crate::callbacks::token;
use crate::world::{Answer, World};

const ASKS: &str = "
name: asks
input: { type: object }
steps:
  - id: boss
    approve:
      who: [boss@example.com]
      what: \"May <b>${input.name}</b> spend this?\"
      form:
        properties: { limit: { type: number, title: Limit } }
        required: [limit]
output: \"${boss}\"
";

const CONFIRMS: &str = "
name: confirms
steps:
  - id: mail
    callback: {}
output: \"${mail}\"
";

async fn started(workflow: &str) -> (World, String, String) {
    let world = World::new(&[("asks", ASKS), ("confirms", CONFIRMS)], &[]).await;
    let body = json!({ "workflow": workflow, "input": { "name": "Ada" } });
    let answer = Answer::of(world.post("/api/v1/executions").json(&body)).await;
    let id = answer.is(201).body["id"].as_str().unwrap().to_owned();
    let path = format!("/callbacks/{}", token(&world, &id).await);
    (world, id, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_decided_by_its_form_only() {
    let (world, id, path) = started("asks").await;
    // A mail scanner that follows every link, in every way that does not change anything.
    for query in ["", "?approved=true", "?approved=false"] {
        for method in [Method::HEAD, Method::GET] {
            let request = world.client.request(method, format!("{}{path}{query}", world.url));
            let page = Answer::of(request).await;
            page.is(200);
            assert_eq!(page.headers["cache-control"], "no-store");
            assert_eq!(page.headers["referrer-policy"], "no-referrer");
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
        }
    }
    let page = world.get(&path).await;
    assert!(
        page.text.contains("May &lt;b&gt;Ada&lt;/b&gt; spend this?"),
        "{}",
        page.text
    );
    assert!(page.text.contains("Approve") && page.text.contains("Reject") && page.text.contains("Limit"));
    assert!(!page.text.contains("<script"));
    let still = world.get(&format!("/api/v1/callbacks?execution={id}")).await;
    assert_eq!(still.body["items"].as_array().unwrap().len(), 1, "nobody has decided");

    let send = |fields: &[(&str, &str)]| Answer::of(world.post(&path).form(fields));
    let unfit = send(&[("bowline-form", "1"), ("approved", "true"), ("limit", "")]).await;
    unfit.is(422);
    assert!(unfit.text.contains("limit"), "{}", unfit.text);
    let json = Answer::of(world.post(&path).json(&json!({ "approved": true }))).await;
    json.is_problem(422, "approval.form");
    let by_hand = json!({ "execution": id, "path": "boss", "body": { "approved": true } });
    let by_hand = Answer::of(world.post("/api/v1/callbacks").json(&by_hand)).await;
    by_hand.is_problem(422, "approval.form");

    let decided = send(&[
        ("bowline-form", "1"),
        ("approved", "true"),
        ("limit", "12.5"),
        ("by", "Grace"),
    ])
    .await;
    assert!(decided.is(200).text.contains("Thank you"), "{}", decided.text);
    let output = world.output("default", &id).await;
    assert_eq!(
        (&output["approved"], &output["limit"], &output["by"]),
        (&json!(true), &json!(12.5), &json!("Grace"))
    );
    let again = send(&[("bowline-form", "1"), ("approved", "false"), ("limit", "1")]).await;
    assert!(!again.text.contains("Thank you"), "{}", again.text);
    // Who has decided and opens the link again is told that, although the execution has ended.
    let page = world.get(&path).await;
    assert!(page.is(200).text.contains("This was answered"), "{}", page.text);
    assert!(!page.text.contains("<form"));
    let audit = world.get("/api/v1/audit?action=approval.decided").await;
    let lines = audit.is(200).body["items"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{}", audit.text);
    assert_eq!(
        (&lines[0]["by"], &lines[0]["from"]),
        (&json!("token"), &json!("127.0.0.1"))
    );
    let detail = json!({ "execution": id, "path": "boss", "approved": true, "by": "Grace" });
    assert_eq!(lines[0]["detail"], detail);
    assert!(!audit.text.contains("bw_"), "{}", audit.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_confirmed_with_what_stands_in_it() {
    let (world, id, path) = started("confirms").await;
    let link = format!("{path}?plan=gold&x=%3Cscript%3E");
    let page = world.get(&link).await;
    assert!(
        page.is(200).text.contains("Confirm") && !page.text.contains("<script"),
        "{}",
        page.text
    );
    assert!(page.text.contains(r#"name="plan" value="gold""#), "{}", page.text);
    let fields = [("bowline-form", "1"), ("plan", "gold"), ("x", "<script>")];
    let confirmed = Answer::of(world.post(&path).form(&fields)).await;
    assert!(confirmed.is(200).text.contains("Thank you"));
    assert_eq!(
        world.output("default", &id).await,
        json!({ "plan": "gold", "x": "<script>" })
    );
    let page = world.get("/callbacks/bw_nothing").await;
    assert!(page.is(404).text.contains("There is nothing here"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_held_to_the_form_as_any_other() {
    let (world, id, _) = started("asks").await;
    let kept = json!({ "name": "elsewhere", "reference": "r", "body": { "approved": true } });
    let kept = Answer::of(world.post("/api/v1/callbacks").json(&kept)).await;
    let number = kept.is(202).body["id"].clone();
    let to = json!({ "execution": id, "path": "boss" });
    let deliver = format!("/api/v1/callbacks/kept/{number}/deliver");
    let unfit = Answer::of(world.post(&deliver).json(&to)).await;
    unfit.is_problem(422, "approval.form");
    let still = world.get("/api/v1/callbacks/kept").await;
    assert_eq!(
        still.is(200).body["items"][0]["id"],
        number,
        "it is kept: {}",
        still.text
    );
    let open = world.get(&format!("/api/v1/callbacks?execution={id}")).await;
    assert_eq!(open.body["items"].as_array().unwrap().len(), 1, "nobody has decided");
}
