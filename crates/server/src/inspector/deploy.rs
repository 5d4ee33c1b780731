//! Deploying a workflow from its text.

use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bowline_host::{Deploy, ErrorKind, HostError};
use bowline_inspector::pages::deploy::{self, Checked, Draft};
use serde::Deserialize;

use super::answer::{self, encoded};
use super::form::Sent;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{Note, Role, Routes, Rule, Scope};
use crate::problem::Problem;

/// What workflows of a folder share is in a file of this name.
const SHARED: &str = "bowline.yaml";

pub(super) fn routes() -> Routes {
    let write = Rule::of(Role::Deployer, Scope::Workflows);
    Routes::new()
        .route(write, "inspector.deploy", Method::GET, "/ui/deploy", ask)
        .route(write, "deployWorkflows", Method::POST, "/ui/deploy", deploy_)
        .route(
            write,
            "removeWorkflow",
            Method::POST,
            "/ui/workflows/{name}/remove",
            remove,
        )
}

/// What the form begins with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Begin {
    workflow: Option<String>,
    version: Option<u32>,
}

async fn ask(State(app): State<App>, visitor: Visitor, Query(from): Query<Begin>) -> Result<Response, Problem> {
    let draft = match from.workflow {
        None => Draft::default(),
        Some(name) => {
            let workflow = app.host.workflow(visitor.organization(), &name, from.version).await?;
            Draft {
                workflow: Some(name),
                file: workflow.deployment.file,
                text: workflow.source_text,
                shared: workflow.shared_text.unwrap_or_default(),
            }
        }
    };
    Ok(answer::page(deploy::page(&visitor.frame(), &draft, Checked::Not)))
}

async fn deploy_(State(app): State<App>, note: Note, sent: Sent) -> Result<Response, Problem> {
    let draft = Draft {
        workflow: sent.some("workflow"),
        file: sent.text("file").to_owned(),
        text: sent.whole("text"),
        shared: sent.whole("shared"),
    };
    // What was changed after it was checked is checked again.
    let is_looked_at = sent.text("checked") == draft.mark();
    if let Some(workflow) = &draft.workflow {
        note.say("workflow", workflow.as_str());
    }
    let result = if sent.text("action") == "deploy" && is_looked_at {
        keep(&app, &sent, &draft, &note).await
    } else {
        note.only_looks();
        look(&app, &sent, &draft).await
    };
    let frame = sent.visitor.frame();
    match result {
        Ok(response) => Ok(response),
        Err(Refused::Otherwise(problem)) => Err(problem),
        Err(Refused::Files(error)) => {
            let status = Problem::from(error.clone()).status;
            let found = Checked::Wrong {
                message: &error.message,
                hint: error.hint.as_deref(),
                problems: &error.problems,
            };
            Ok(answer::with_status(status, deploy::page(&frame, &draft, found)))
        }
    }
}

/// Why something is not done.
enum Refused {
    /// Because of what is in the form, which is shown again with it.
    Files(HostError),
    /// For another reason.
    Otherwise(Problem),
}

impl From<HostError> for Refused {
    fn from(error: HostError) -> Self {
        match error.kind {
            ErrorKind::Internal | ErrorKind::Unavailable => Self::Otherwise(error.into()),
            _ => Self::Files(error),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Otherwise(problem)
    }
}

/// Checks, and shows what would change.
async fn look(app: &App, sent: &Sent, draft: &Draft) -> Result<Response, Refused> {
    let organization = sent.visitor.organization();
    let files = files(draft);
    let dry_run = Deploy {
        files: files.clone(),
        dry_run: true,
        ..Deploy::default()
    };
    app.host.deploy(organization, dry_run).await?;
    let candidates = app.host.candidates(organization, files).await?;
    let page = deploy::page(&sent.visitor.frame(), draft, Checked::Good(&candidates));
    Ok(answer::with_status(StatusCode::OK, page))
}

async fn keep(app: &App, sent: &Sent, draft: &Draft, note: &Note) -> Result<Response, Refused> {
    let deploy = Deploy {
        files: files(draft),
        dry_run: false,
        by: Some(sent.visitor.name().to_owned()),
        // What somebody else has deployed in between is not overwritten unseen.
        expects: Some(sent.text("expects").to_owned()),
        with: vec![note.write()?],
    };
    let deployed = app.host.deploy(sent.visitor.organization(), deploy).await?;
    let name = deployed.deployments.first().map_or("", |one| one.workflow.as_str());
    Ok(answer::redirect(&format!(
        "/ui/workflows/{}?done=deployed",
        encoded(name)
    ))?)
}

fn files(draft: &Draft) -> Vec<(String, String)> {
    let name = match draft.file.as_str() {
        "" => file_name(&draft.text),
        name => name.to_owned(),
    };
    let mut files = vec![(name, draft.text.clone())];
    if !draft.shared.trim().is_empty() {
        files.push((SHARED.to_owned(), draft.shared.clone()));
    }
    files
}

/// A name for a text that has none: that of the workflow.
fn file_name(text: &str) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("name:"));
    let name = name.unwrap_or_default().trim().trim_matches(['"', '\'']);
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric() || ['-', '_', '.'].contains(c))
        .take(100)
        .collect();
    let ending = if text.trim_start().starts_with('{') {
        "json"
    } else {
        "yaml"
    };
    match plain.as_str() {
        "" => format!("workflow.{ending}"),
        plain => format!("{plain}.{ending}"),
    }
}

async fn remove(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let by = sent.visitor.name().to_owned();
    app.host.withdraw(sent.visitor.organization(), &name, Some(&by)).await?;
    answer::redirect(&format!("/ui/workflows/{}?done=removed", encoded(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_file_gets_the_name_of_its_workflow() {
        assert_eq!(file_name("# about\nname: order\nsteps: []"), "order.yaml");
        assert_eq!(file_name("name: \"a/../b c\""), "a..bc.yaml");
        assert_eq!(file_name("steps: []"), "workflow.yaml");
        assert_eq!(file_name("{\"name\": \"x\"}"), "workflow.json");
    }

    #[test]
    fn the_shared_file_comes_along_where_there_is_one() {
        let mut draft = Draft {
            file: "a.yml".to_owned(),
            text: "name: a".to_owned(),
            shared: " \n".to_owned(),
            ..Draft::default()
        };
        assert_eq!(files(&draft), [("a.yml".to_owned(), "name: a".to_owned())]);
        draft.shared = "env: {}".to_owned();
        assert_eq!(files(&draft)[1].0, "bowline.yaml");
    }
}
