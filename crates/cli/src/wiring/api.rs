//! The server that has a data folder, asked through the socket that it has there. Who may open that needs no key.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bowline_store::DEFAULT_ORGANIZATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::store;
use crate::exit::{Exit, Failure, Result};

/// What stands in a part of a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How long is waited for a sign that a server is there.
const LOOK: Duration = Duration::from_secs(5);

/// How long is waited for the next part of an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that is there and says nothing.
fn silent(holder: &str, folder: &Path, waited: Duration) -> Failure {
    let (folder, waited) = (folder.display(), waited.as_secs());
    let message =
        anyhow::anyhow!("the server ({holder}) that has the data folder {folder} has not answered for {waited} s");
    Failure::new(Exit::Store, message).hint("see its log; what was asked for may be done all the same")
}

/// A part of a path.
pub(crate) fn part(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The API of a server that runs beside this process.
pub(crate) struct Api {
    client: Client,
    folder: PathBuf,
    organization: String,
    /// Where others reach the server.
    pub(crate) address: String,
    /// Who it is, such as `pid 4711`.
    pub(crate) holder: String,
}

impl Api {
    /// The server that runs executions in this folder; none where nobody does, or somebody who is no server.
    pub(crate) async fn find(folder: &Path) -> Result<Option<Self>> {
        let Some(holder) = store::holder(folder) else {
            return Ok(None);
        };
        let Some(client) = client(folder)? else {
            return Ok(None);
        };
        // A socket whose server has gone cannot be opened.
        let look = client.get("http://folder/health/live").timeout(LOOK).send().await;
        let answer = match look {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return Err(silent(&holder, folder, LOOK)),
            Err(_) => return Ok(None),
        };
        let address = answer.headers().get("bowline-address");
        Ok(Some(Self {
            address: address
                .and_then(|address| address.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            client,
            folder: folder.to_owned(),
            organization: DEFAULT_ORGANIZATION.to_owned(),
            holder,
        }))
    }

    /// As [`Api::find`], where nothing can be done without a server.
    pub(crate) async fn of(folder: &Path, organization: &str) -> Result<Self> {
        let found = Self::find(folder).await?;
        let Some(api) = found else {
            let folder = folder.display();
            return Err(
                Failure::usage(format!("no server runs on the data folder {folder}")).hint(format!(
                    "start one with `bowline serve WORKFLOWS --data {folder}`, or name its folder with --data"
                )),
            );
        };
        Ok(api.within(organization))
    }

    /// The same server, for this organization.
    pub(crate) fn within(self, organization: &str) -> Self {
        Self {
            organization: organization.to_owned(),
            ..self
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, Some(body), None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.send(Method::DELETE, path, None, None).await
    }

    /// As [`Api::post`], of what is done once for each key.
    pub(crate) async fn post_once(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Value> {
        self.send(Method::POST, path, Some(body), key).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Value> {
        let mut request = self.client.request(method, format!("http://folder/api/v1/{path}"));
        if self.organization != DEFAULT_ORGANIZATION {
            request = request.header("bowline-organization", &self.organization);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let gone = |error: reqwest::Error| {
            if error.is_timeout() {
                return silent(&self.holder, &self.folder, PATIENCE);
            }
            Failure::new(Exit::Store, anyhow::anyhow!("{} does not answer: {error}", self.holder))
        };
        let answer = request.send().await.map_err(gone)?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let text = answer.text().await.map_err(gone)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| Failure::new(Exit::Bug, error))
    }
}

fn client(folder: &Path) -> Result<Option<Client>> {
    #[cfg(unix)]
    {
        let socket = folder.join(bowline_server::accept::folder::SOCKET);
        if !socket.exists() {
            return Ok(None);
        }
        let client = Client::builder()
            .no_proxy()
            .read_timeout(PATIENCE)
            .unix_socket(socket)
            .build();
        client.map(Some).map_err(|error| Failure::new(Exit::Bug, error))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

/// A problem of the API as the command line tells it.
async fn refusal(answer: Response) -> Failure {
    let status = answer.status();
    let exit = if status.is_server_error() {
        Exit::Store
    } else {
        Exit::Usage
    };
    let problem: Value = answer.json().await.unwrap_or_default();
    let text = |field: &str| problem[field].as_str();
    let mut message = text("detail").map_or_else(|| format!("the server answers {status}"), str::to_owned);
    for wrong in problem["problems"].as_array().into_iter().flatten() {
        let at = wrong["pointer"].as_str().unwrap_or_default();
        let what = wrong["message"].as_str().unwrap_or_default();
        let colon = if at.is_empty() { "" } else { ": " };
        // Writing to a text cannot fail.
        let _ = write!(message, "\n  {at}{colon}{what}");
    }
    let failure = Failure::new(exit, anyhow::anyhow!("{message}"));
    match text("hint") {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
