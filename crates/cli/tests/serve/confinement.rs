//! Files of the machine that a workflow of another organization than `default` names: none of them is read.

use reqwest::Client;
use serde_json::{Value, json};

use crate::process::{LONG, Process};

/// What each workflow asks for, with `FILE` for a file outside.
const ASKS: [(&str, &str); 4] = [
    (
        "attachment",
        "connections: { mail: { type: smtp, host: 127.0.0.1, port: 9, security: none } }
steps: [ { id: ask, type: email-send, config: { connection: mail, from: a@b.example, to: c@d.example, text: hello, attachments: [ { path: FILE } ] } } ]",
    ),
    (
        "mail-tls",
        "connections: { mail: { type: smtp, host: 127.0.0.1, port: 9, tls: { ca: FILE } } }
steps: [ { id: ask, type: email-send, config: { connection: mail, from: a@b.example, to: c@d.example, text: hello } } ]",
    ),
    (
        "http-tls",
        "steps: [ { id: ask, type: http-request, config: { url: 'https://127.0.0.1:9/', tls: { ca: FILE } } } ]",
    ),
    (
        "body",
        "steps: [ { id: ask, type: http-request, config: { method: POST, url: 'http://127.0.0.1:9/', bodyFile: FILE } } ]",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_of_an_organization_reads_no_file_of_the_machine() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    std::fs::create_dir(folder.join("flows")).unwrap();
    let secret = folder.join("secret.pem");
    std::fs::write(&secret, "-----BEGIN NOTHING-----").unwrap();
    let server = Process::start(folder, &["flows", "--data", "data"]);
    let client = Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let post = async |path: &str, body: Value| {
        let request = client.post(server.url(path)).header("bowline-organization", "acme");
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap())
    };
    let made = client
        .post(server.url("/api/v1/organizations"))
        .json(&json!({ "name": "acme" }));
    assert_eq!(made.send().await.unwrap().status().as_u16(), 201);
    for (name, text) in ASKS {
        // By its whole path, by a way out, and over a link in the organization's own folder.
        let link = folder.join("data/files/acme/link");
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        if !link.exists() {
            std::os::unix::fs::symlink(&secret, &link).unwrap();
        }
        for file in [&*secret.display().to_string(), "../../../secret.pem", "link"] {
            let text = format!("name: {name}\n{}\n", text.replace("FILE", file));
            let deploy = json!({ "files": [{ "name": format!("{name}.yaml"), "text": text }] });
            let (status, told) = post("/api/v1/workflows", deploy).await;
            assert_eq!(status, 201, "{told}");
            let (_, told) = post("/api/v1/executions?wait=30s", json!({ "workflow": name, "input": {} })).await;
            let is_refused =
                told.contains("outside of the organization") || told.contains("no file in the organization");
            assert!(is_refused, "{name} with {file}: {told}");
        }
    }
    assert!(server.stop().success());
}
