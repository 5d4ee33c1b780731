//! The inspector without a browser: forms, and whose pages they are of.

use std::collections::BTreeMap;

use bowline_access::Role;
use bowline_server::guard::session;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::authorization::key;
use crate::running::Running;

/// What somebody looks at the inspector with.
struct Browser<'a> {
    server: &'a Running,
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// An answer: its status, where it leads, and its text.
struct Page {
    status: StatusCode,
    to: String,
    text: String,
}

impl Page {
    fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    fn has(&self, wanted: &str) -> &Self {
        assert!(self.text.contains(wanted), "{wanted} is not in {}", self.text);
        self
    }

    /// The value of the first hidden field of this name.
    fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) = self
            .text
            .split_once(&mark)
            .unwrap_or_else(|| panic!("no {name} in {}", self.text));
        rest.split('"').next().unwrap().to_owned()
    }

    /// What every form of this page carries.
    fn carried(&self) -> Vec<(String, String)> {
        ["form-token", "organization", "once"]
            .map(|name| (name.to_owned(), self.field(name)))
            .to_vec()
    }
}

impl<'a> Browser<'a> {
    fn new(server: &'a Running) -> Self {
        let client = reqwest::Client::builder().no_proxy();
        Self {
            server,
            client: client.redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    async fn ask(&mut self, method: Method, path: &str, form: Option<&[(String, String)]>) -> Page {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.server.url))
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", cookies.join("; "));
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = answer.headers().get(LOCATION).map_or("", |to| to.to_str().unwrap());
        Page {
            status: answer.status(),
            to: to.to_owned(),
            text: answer.text().await.unwrap(),
        }
    }

    async fn get(&mut self, path: &str) -> Page {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a form of this page with these fields.
    async fn send(&mut self, of: &Page, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = of.carried();
        form.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self.ask(Method::POST, path, Some(&form)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_goes_to_another_organization_and_back() {
    let server = Running::new().await;
    server
        .post("/api/v1/organizations", &json!({ "name": "acme" }))
        .await
        .is(201);
    let mut browser = Browser::new(&server);
    let home = browser.get("/ui/organizations").await;
    home.is(200).has("Go to acme");
    browser.get("/ui/workflows").await.has("hello");
    browser
        .send(&home, "/ui/organizations", &[("to", "nobody")])
        .await
        .is(403);
    browser
        .send(&home, "/ui/organizations", &[("to", "acme")])
        .await
        .is(303);
    let there = browser.get("/ui/workflows").await;
    there.is(200).has("acme").has("Back to default").has("No workflows");
    // A page of before changes nothing here, and says so.
    let old = browser
        .send(&home, "/ui/workflows/hello/start", &[("input", "{\"name\": \"x\"}")])
        .await;
    old.is(409).has("nothing was done");
    // Programs say where they act by themselves.
    let request = server.request(Method::GET, "/api/v1/workflows");
    let answer = request
        .header("cookie", "bowline_organization=acme")
        .send()
        .await
        .unwrap();
    assert!(answer.text().await.unwrap().contains("hello"));
    browser
        .send(&there, "/ui/organizations", &[("to", "default")])
        .await
        .is(303);
    browser.get("/ui/workflows").await.has("hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_go_elsewhere_stays_where_they_are() {
    let server = Running::new().await;
    server
        .post("/api/v1/organizations", &json!({ "name": "acme" }))
        .await
        .is(201);
    let made = key(&server, "default", Role::Admin, None).await;
    let set = session::begin(&server.app, &made.text).await.unwrap();
    let session = set.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let mut browser = Browser::new(&server);
    browser.cookies.insert("bowline_session".to_owned(), session);
    // Left behind by somebody else.
    browser
        .cookies
        .insert("bowline_organization".to_owned(), "acme".to_owned());
    let page = browser.get("/ui/workflows").await;
    page.is(200).has("hello");
    assert!(!page.text.contains("/ui/organizations"));
    browser.get("/ui/organizations").await.is(403);
    browser
        .send(&page, "/ui/organizations", &[("to", "acme")])
        .await
        .is(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_twice_does_its_work_once() {
    let server = Running::new().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/ui/workflows/hello").await;
    let fields = [("how", "fields"), ("field:name", "ada")];
    let first = browser.send(&page, "/ui/workflows/hello/start", &fields).await;
    let again = browser.send(&page, "/ui/workflows/hello/start", &fields).await;
    first.is(303);
    let (id, _) = first.to.split_once("?done=started").unwrap();
    assert_eq!(again.to, format!("{id}?done=sent-again"));
    // So is one with something else in it.
    let changed = [("how", "fields"), ("field:name", "bob")];
    let changed = browser.send(&page, "/ui/workflows/hello/start", &changed).await;
    assert!(changed.is(303).to.ends_with("?done=started") && !changed.to.starts_with(id));
    // Another page is another form.
    let page = browser.get("/ui/workflows/hello").await;
    let other = browser.send(&page, "/ui/workflows/hello/start", &fields).await;
    assert_ne!(other.to.split('?').next(), first.to.split('?').next());
    let path = id.replace("/ui/", "/api/v1/");
    server.until(&path, |body| body["status"] == "succeeded").await;

    let page = browser.get(id).await;
    let one = browser.send(&page, &format!("{id}/rerun"), &[]).await;
    let two = browser.send(&page, &format!("{id}/rerun"), &[]).await;
    assert_eq!(one.to, two.to);
    assert!(one.to.contains("?done=rerun") && !one.to.starts_with(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_tells_which_of_its_fields_cannot_be_read() {
    let server = Running::new().await;
    let text = "name: typed\ninput: { type: object, properties: { count: { type: integer }, lines: { type: array } } }\n\
                steps:\n  - id: rest\n    wait: 1ms\noutput: \"${input}\"\n";
    let files = json!({ "files": [{ "name": "typed.yaml", "text": text }] });
    server.post("/api/v1/workflows", &files).await.is(201);
    let mut browser = Browser::new(&server);
    let page = browser.get("/ui/workflows/typed").await;
    let bad = [("how", "fields"), ("field:count", "many"), ("field:lines", "[1")];
    let told = browser.send(&page, "/ui/workflows/typed/start", &bad).await;
    told.is(400).has("`count` must be a number").has("`lines` is not JSON");
    let good = [("how", "fields"), ("field:count", "3"), ("field:lines", "[1]")];
    let started = browser.send(&page, "/ui/workflows/typed/start", &good).await;
    let id = started
        .is(303)
        .to
        .split('?')
        .next()
        .unwrap()
        .replace("/ui/", "/api/v1/");
    let ended = server.until(&id, |body| body["status"] == "succeeded").await;
    assert_eq!(ended["output"], json!({ "count": 3, "lines": [1] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_deployed_as_it_was_looked_at() {
    let server = Running::new().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/ui/deploy").await;
    let text = |wait: &str| format!("name: made\nsteps:\n  - id: rest\n    wait: {wait}\n");
    let one = text("1ms");
    let wrong = one.replace("steps", "stpes");
    let told = browser
        .send(&page, "/ui/deploy", &[("text", &wrong), ("action", "check")])
        .await;
    told.is(422).has("made.yaml:2:1").has("2 │ stpes:");
    // Nobody has looked at it yet.
    let looked = browser
        .send(&page, "/ui/deploy", &[("text", &one), ("action", "deploy")])
        .await;
    looked.is(200).has("new, as version 1");
    server.get("/api/v1/workflows/made").await.is(404);
    // Who looked has changed nothing.
    let audit = server.get("/api/v1/audit?action=deployWorkflows").await;
    assert_eq!(audit.is(200).body["items"], json!([]));
    let checked = looked.field("checked");
    let deploy = [
        ("text", one.as_str()),
        ("action", "deploy"),
        ("checked", &checked),
        ("expects", ""),
    ];
    let deployed = browser.send(&looked, "/ui/deploy", &deploy).await;
    assert_eq!(deployed.is(303).to, "/ui/workflows/made?done=deployed");
    // Somebody else deploys while the next version is looked at.
    let two = text("2ms");
    let looked = browser
        .send(&page, "/ui/deploy", &[("text", &two), ("action", "check")])
        .await;
    looked.is(200).has("<del>-    wait: 1ms").has("<ins>+    wait: 2ms");
    let files = json!({ "files": [{ "name": "made.yaml", "text": text("3ms") }] });
    server.post("/api/v1/workflows", &files).await.is(201);
    let (checked, expects) = (looked.field("checked"), looked.field("expects"));
    let deploy = [
        ("text", two.as_str()),
        ("action", "deploy"),
        ("checked", &checked),
        ("expects", &expects),
    ];
    browser
        .send(&looked, "/ui/deploy", &deploy)
        .await
        .is(409)
        .has("somebody else has deployed it");

    let page = browser.get("/ui/workflows/made").await;
    browser.send(&page, "/ui/workflows/made/remove", &[]).await.is(303);
    browser
        .get("/ui/workflows/made")
        .await
        .is(200)
        .has("Out of use")
        .has("Deploy again");
    // What is in the folder is changed there.
    let hello = browser.get("/ui/workflows/hello").await;
    hello.has("change or remove it there");
    browser.send(&hello, "/ui/workflows/hello/remove", &[]).await.is(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_made_once_and_changed_by_its_own_form() {
    let server = Running::new().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/ui/new-schedule").await;
    let mut fields = vec![
        ("name", "weekly"),
        ("workflow", "hello"),
        ("cron", "0 7 * * MON\r\n30 7 * * FRI"),
        ("timezone", "Europe/Oslo"),
        ("catchUp", "90m"),
        ("overlap", "allow"),
        ("input", "{\"name\": \"week\"}"),
    ];
    let mut bad = fields.clone();
    bad[2].1 = "0 7 * * MOON";
    browser
        .send(&page, "/ui/schedules", &bad)
        .await
        .is(422)
        .has("MOON")
        .has("value=\"weekly\"");
    browser
        .send(&page, "/ui/schedules", &fields)
        .await
        .is(200)
        .has("<ol class=\"times\"><li>");
    server.get("/api/v1/schedules/weekly").await.is(404);
    fields.push(("action", "keep"));
    let made = browser.send(&page, "/ui/schedules", &fields).await;
    assert_eq!(made.is(303).to, "/ui/schedules/weekly?done=made");
    let kept = server.get("/api/v1/schedules/weekly").await.body;
    assert_eq!(kept["config"]["cron"], json!(["0 7 * * MON", "30 7 * * FRI"]));
    assert_eq!(
        (&kept["config"]["catchUp"], &kept["input"]["name"]),
        (&json!(5_400_000), &json!("week"))
    );
    // Making another one does not change this one.
    let twice = browser.send(&page, "/ui/schedules", &fields).await;
    twice.is(422).has("there is a schedule named");
    browser
        .get("/ui/schedules/weekly/change")
        .await
        .is(200)
        .has("value=\"90m\"")
        .has("30 7 * * FRI");
    fields[2].1 = "0 8 * * MON";
    fields.push(("change", "yes"));
    let changed = browser.send(&page, "/ui/schedules", &fields).await;
    assert_eq!(changed.is(303).to, "/ui/schedules/weekly?done=changed");

    // A backfill says first what it would start.
    let page = browser.get("/ui/schedules/weekly").await;
    let range = [("from", "2026-10-05T00:00"), ("until", "2026-10-19T23:00")];
    let asked = browser.send(&page, "/ui/schedules/weekly/backfill", &range).await;
    asked.is(200).has("3 times were due").has("2026-10-05 06:00:00 UTC");
    assert!(
        server.get("/api/v1/executions").await.body["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_says_what_it_needs_and_keeps_what_was_written() {
    let server = Running::new().await;
    let text = "name: asked\nsteps:\n  - id: ask\n    approve:\n      who: [ann]\n      what: Is it worth it?\n      form:\n        \
                properties: { worth: { type: number }, why: { type: string } }\n        required: [worth]\n";
    let files = json!({ "files": [{ "name": "asked.yaml", "text": text }] });
    server.post("/api/v1/workflows", &files).await.is(201);
    let started = server.post("/api/v1/executions", &json!({ "workflow": "asked" })).await;
    let id = started.is(201).body["id"].as_str().unwrap().to_owned();
    let open = format!("/api/v1/approvals?execution={id}");
    server.until(&open, |body| body["items"][0]["path"].is_string()).await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/ui/approvals").await;
    page.is(200)
        .has("<span>worth</span>")
        .has("<span>why (optional)</span>")
        .has("formnovalidate");
    let path = server.get(&open).await.body["items"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    let form = [
        ("path", path.as_str()),
        ("how", "fields"),
        ("back", "/ui/approvals"),
        ("decision", "approve"),
        ("field:why", "a good reason"),
        ("comment", "typed by hand"),
    ];
    let approve = format!("/ui/executions/{id}/approve");
    let told = browser.send(&page, &approve, &form).await;
    told.is(422)
        .has("&quot;worth&quot; is a required property")
        .has("value=\"a good reason\"")
        .has("value=\"typed by hand\"");
    let mut whole = form.to_vec();
    whole.push(("field:worth", "12.5"));
    let done = browser.send(&told, &approve, &whole).await;
    assert_eq!(done.is(303).to, "/ui/approvals?done=approved");
}
