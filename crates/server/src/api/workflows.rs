//! Workflows: deploying, looking at versions, pausing.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_host::{Deploy, Deployed, Difference, Workflow, WorkflowSummary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::extract::{At, Json as Body, Params};
use crate::guard::{Caller, Note, Role, Rule, Scope};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Files that are deployed together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deployment {
    /// Workflows, and `bowline.yaml` for what they share.
    files: Vec<File>,
    /// Check everything, and keep nothing. Default false.
    #[serde(default)]
    dry_run: bool,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    /// Its name, such as `order.yaml`.
    name: String,
    /// Its text.
    text: String,
}

/// All workflows.
#[derive(Debug, Serialize, JsonSchema)]
struct Workflows {
    /// By name.
    items: Vec<WorkflowSummary>,
}

/// Which version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Version {
    /// Its number. Default: the current one.
    #[serde(default)]
    version: Option<u32>,
}

/// Which two versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Versions {
    /// The older one.
    from: u32,
    /// The newer one. Default: the current one.
    #[serde(default)]
    to: Option<u32>,
}

/// In which form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drawing {
    /// Its number. Default: the current one.
    #[serde(default)]
    version: Option<u32>,
    /// `svg` (the default) or `mermaid`.
    #[serde(default)]
    format: Format,
}

/// A form of a drawing.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A picture.
    #[default]
    Svg,
    /// Text for Mermaid.
    Mermaid,
}

pub(super) fn add(api: &mut Api) {
    let see = Rule::of(Role::Viewer, Scope::Workflows);
    let act = Rule::of(Role::Operator, Scope::Workflows);
    let deploy = Rule::of(Role::Deployer, Scope::Workflows);
    let operation = |method, path, id, rule, summary| Operation::new(method, path, id, rule, "workflows", summary);

    let list = operation(Method::GET, "/api/v1/workflows", "listWorkflows", see, "List workflows");
    api.add(list.answers::<Workflows>(200, "All of them"), list_);
    let post = operation(
        Method::POST,
        "/api/v1/workflows",
        "deployWorkflows",
        deploy,
        "Deploy workflows",
    );
    api.add(
        post.description(
            "All files or none. The same content again is the same version. One deployment has at most 500 files, 8 MiB \
             of text, 5,000 steps in a workflow and 20,000 in all, and 32 MiB where each workflow is counted with all \
             that it starts; more is refused with `workflow.too-large`. A workflow that is a file of the server's \
             folder is changed there and refused here. With `If-Match` the only workflow among \
             the files is deployed if its current version is the one with this `ETag`.",
        )
        .header("If-Match", "The ETag of the version that is replaced.")
        .body::<Deployment>(json!({
            "files": [{
                "name": "hello.yaml",
                "text": "name: hello\nsteps:\n  - set: {text: \"hello ${input.name}\"}\noutput: ${text}\n",
            }],
            "dryRun": true,
        }))
        .answers::<Deployed>(200, "No file has new content, or `dryRun` was asked for")
        .answers::<Deployed>(201, "New versions are deployed")
        .problems(&[400, 409, 412, 413, 415, 422]),
        deploy_,
    );
    let one = operation(
        Method::GET,
        "/api/v1/workflows/{name}",
        "getWorkflow",
        see,
        "One version of a workflow",
    );
    api.add(
        one.query::<Version>()
            .header("If-None-Match", "The ETag of what is known already.")
            .answers::<Workflow>(200, "The version, with its source and the list of all versions")
            .answers_with(304, "It is the one that is known", "")
            .problems(&[400, 404]),
        get,
    );
    let remove = operation(
        Method::DELETE,
        "/api/v1/workflows/{name}",
        "removeWorkflow",
        deploy,
        "Take a workflow out of use",
    );
    api.add(
        remove
            .description(
                "Nothing starts it any more, neither its triggers nor anybody else, nor does a retry or a rerun, until it \
                 is deployed again. \
                 Executions under way go on; executions, versions and their sources stay. A workflow of the server's \
                 folder is removed there.",
            )
            .answers_with(204, "It is out of use", "")
            .problems(&[404, 409, 410]),
        remove_,
    );
    let diff = operation(
        Method::GET,
        "/api/v1/workflows/{name}/diff",
        "diffWorkflow",
        see,
        "What is different between two versions",
    );
    api.add(
        diff.query::<Versions>()
            .answers::<Difference>(200, "The difference")
            .problems(&[400, 404]),
        diff_,
    );
    let graph = operation(
        Method::GET,
        "/api/v1/workflows/{name}/graph",
        "drawWorkflow",
        see,
        "A drawing of a workflow",
    );
    api.add(
        graph
            .query::<Drawing>()
            .answers_with(200, "The drawing", "image/svg+xml")
            .problems(&[400, 404]),
        graph_,
    );
    let pause = operation(
        Method::POST,
        "/api/v1/workflows/{name}/pause",
        "pauseWorkflow",
        act,
        "Make all executions of a workflow stand still, also those that start from now on",
    );
    api.add(pause.answers_with(204, "They do", "").problems(&[404]), pause_);
    let unpause = operation(
        Method::POST,
        "/api/v1/workflows/{name}/unpause",
        "unpauseWorkflow",
        act,
        "Let the paused executions of a workflow go on",
    );
    api.add(unpause.answers_with(204, "They do", "").problems(&[404]), unpause_);
}

async fn list_(State(app): State<App>, caller: Caller) -> Result<Json<Workflows>, Problem> {
    let items = app.host.workflows(&caller.organization).await?;
    Ok(Json(Workflows { items }))
}

async fn deploy_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    headers: HeaderMap,
    Body(body): Body<Deployment>,
) -> Result<Response, Problem> {
    let expects = match headers.get(IF_MATCH) {
        None => None,
        Some(value) => Some(hash_of(value.to_str().unwrap_or_default())?),
    };
    let is_conditional = expects.is_some();
    let names: Vec<&str> = body.files.iter().map(|file| file.name.as_str()).collect();
    note.say("files", names);
    let with = if body.dry_run {
        note.say("dryRun", true);
        Vec::new()
    } else {
        vec![note.write()?]
    };
    let deploy = Deploy {
        files: body.files.into_iter().map(|file| (file.name, file.text)).collect(),
        dry_run: body.dry_run,
        by: Some(caller.name.clone()),
        expects,
        with,
    };
    let deployed = app.host.deploy(&caller.organization, deploy).await.map_err(|error| {
        let mut problem = Problem::from(error);
        // What the condition of the request refuses has a status of its own.
        if is_conditional && problem.code == "workflow.changed" {
            problem.status = StatusCode::PRECONDITION_FAILED;
            problem.title = "Precondition Failed".into();
        }
        problem
    })?;
    // Whoever asks for the workflow now is told what keeps its webhooks from working.
    app.outside.follow();
    let is_new = !deployed.dry_run && deployed.unchanged.len() < deployed.deployments.len();
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let tag = match deployed.deployments.as_slice() {
        [only] if !deployed.dry_run => Some(tag_of(&only.hash)),
        _ => None,
    };
    let mut response = (status, Json(deployed)).into_response();
    if let Some(tag) = tag.and_then(|tag| tag.parse().ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

fn tag_of(hash: &str) -> String {
    format!("\"{hash}\"")
}

fn hash_of(tag: &str) -> Result<String, Problem> {
    tag.trim()
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .filter(|hash| !hash.is_empty() && !hash.contains('"'))
        .map(str::to_owned)
        .ok_or_else(|| Problem::invalid("If-Match must be one ETag in quotes, as a workflow was answered with"))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    headers: HeaderMap,
    Params(query): Params<Version>,
) -> Result<Response, Problem> {
    let workflow = app.host.workflow(&caller.organization, &name, query.version).await?;
    let tag = tag_of(&workflow.deployment.hash);
    // Of one version much never changes; whether it is paused, or has problems, does.
    let is_known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let summary = &workflow.summary;
    let is_well = summary.problems.is_empty() && summary.trigger_problems.is_empty();
    if is_known && is_well && !summary.paused && summary.withdrawn_at.is_none() {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(workflow)).into_response())
}

async fn remove_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    At(name): At<String>,
) -> Result<StatusCode, Problem> {
    note.say("workflow", &*name);
    let with = vec![note.write()?];
    let by = Some(caller.name.as_str());
    app.host.withdraw_with(&caller.organization, &name, by, with).await?;
    app.outside.follow();
    Ok(StatusCode::NO_CONTENT)
}

async fn diff_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Params(query): Params<Versions>,
) -> Result<Json<Difference>, Problem> {
    let to = if let Some(to) = query.to {
        to
    } else {
        let current = app.host.workflow(&caller.organization, &name, None).await?;
        current.deployment.version
    };
    Ok(Json(app.host.diff(&caller.organization, &name, query.from, to).await?))
}

async fn graph_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Params(query): Params<Drawing>,
) -> Result<Response, Problem> {
    let workflow = app.host.workflow(&caller.organization, &name, query.version).await?;
    let Some(graph) = workflow.graph else {
        return Err(Problem::not_found(
            "workflow.no-graph",
            "this version can no longer be read, so it cannot be drawn",
        ));
    };
    let (media, text) = match query.format {
        Format::Svg => ("image/svg+xml", graph.svg),
        Format::Mermaid => ("text/vnd.mermaid; charset=utf-8", graph.mermaid),
    };
    let headers = [
        (axum::http::header::CONTENT_TYPE, media),
        (
            axum::http::header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ];
    Ok((headers, text).into_response())
}

async fn pause_(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<StatusCode, Problem> {
    app.host.pause_workflow(&caller.organization, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unpause_(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<StatusCode, Problem> {
    app.host.unpause_workflow(&caller.organization, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
