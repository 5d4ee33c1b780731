//! One workflow: its picture, its text, its versions and what is different between them; and a form that starts it.

use bowline_flow::{Plan, graph};
use bowline_host::{Deployment, DeploymentSource, Difference, Workflow};
use maud::{Markup, PreEscaped, html};

use crate::fields::{Begin, fields, required};
use crate::frame::{Frame, Section};
use crate::pages::deploy::difference_of_texts;
use crate::pages::execution::example;
use crate::pages::workflows::{problem_line, state};
use crate::parts::icon::{Icon, icon};
use crate::parts::live::part;
use crate::parts::table::table;
use crate::parts::words::sentence;
use crate::parts::{address, chip, json, time};

/// The page of a workflow. `plan` draws it; `difference` is shown where two versions were compared.
pub fn page(frame: &Frame, workflow: &Workflow, plan: Option<&Plan>, difference: Option<&Difference>) -> String {
    let summary = &workflow.summary;
    let body = html! {
        p.crumbs { a href="/ui/workflows" { "Workflows" } }
        (part("head", &head(workflow)))
        @if frame.may_operate { (actions(frame, workflow)) }
        div.columns.halves {
            section.panel aria-labelledby="graph-title" {
                header { h2 id="graph-title" { "Graph" } }
                @if let Some(plan) = plan {
                    div.canvas tabindex="0" role="region" aria-label="Graph, scrolls" { (PreEscaped(graph::embedded(plan, None))) }
                } @else { div.inside { p.soft { "This version of Bowline cannot draw it." } } }
            }
            div {
                (part("versions", &versions(workflow)))
                @if let Some(difference) = difference { (different(difference)) }
                section.panel aria-labelledby="text-title" {
                    header { h2 id="text-title" { "Text" } @if !workflow.deployment.file.is_empty() { span.soft { (workflow.deployment.file) } } }
                    div.inside { (json::text("Text of the workflow", &workflow.source_text)) }
                    @if let Some(shared) = &workflow.shared_text {
                        div.inside { h3 { "bowline.yaml" } (json::text("Text of the shared file", shared)) }
                    }
                }
            }
        }
    };
    frame.page(
        Some(Section::Workflows),
        &summary.name,
        Some("/ui/live/workflows"),
        &body,
    )
}

fn head(workflow: &Workflow) -> Markup {
    let summary = &workflow.summary;
    html! {
        div.head { h1 { (summary.name) } (state(summary)) }
        div.sub {
            span { "Version " (workflow.deployment.version) @if !workflow.current { " (not the one that runs)" } }
            span { "Deployed " (time::relative(&workflow.deployment.at)) }
            @if let Some(by) = &workflow.deployment.by { span { "by " (by) } }
            @if summary.source == Some(DeploymentSource::Folder) && summary.withdrawn_at.is_none() {
                span { "From the folder" @if let Some(file) = &summary.file { " (" code { (file) } ")" } ": change or remove it there" }
            }
            span { a href=(address::query("/ui/executions", &[("workflow", &summary.name)])) { "Its executions" } }
        }
        @if let Some(description) = &summary.description { p { (description) } }
        @if !summary.triggers.is_empty() {
            p.sub { "Started by " @for trigger in &summary.triggers { (chip::plain(&format!("{} · {}", trigger.kind, trigger.id))) " " } }
        }
        @if !summary.problems.is_empty() {
            div.note.bad { (icon(Icon::Warning)) div {
                p { strong { "Its file cannot be used now. " } @if summary.version.is_some() { "The last good version goes on." } }
                ul { @for problem in &summary.problems { li { (sentence(&problem_line(problem))) } } }
            } }
        }
        @if !summary.trigger_problems.is_empty() {
            div.note.bad { (icon(Icon::Warning)) div {
                p { strong { "Not all of its triggers work. " } "Started by hand it runs all the same." }
                ul { @for problem in &summary.trigger_problems { li { (sentence(&problem_line(problem))) } } }
            } }
        }
        @if let Some(at) = &summary.withdrawn_at {
            div.note.why { (icon(Icon::Stop)) p { "It is out of use since " (time::exact(at)) ": nothing starts it, until it is deployed again." } }
        }
        @if !summary.missing.is_empty() {
            div.note.why { (icon(Icon::Warning)) p { "Not set on this server: " (summary.missing.join(", ")) } }
        }
    }
}

fn actions(frame: &Frame, workflow: &Workflow) -> Markup {
    let summary = &workflow.summary;
    let own = address::workflow(&summary.name);
    let (name, title) = if summary.paused {
        ("unpause", "Go on")
    } else {
        ("pause", "Pause")
    };
    let is_used = summary.withdrawn_at.is_none() && summary.version.is_some();
    let is_of_folder = summary.source == Some(DeploymentSource::Folder);
    let version = workflow.deployment.version.to_string();
    html! {
        div.actions {
            @if is_used {
                (start(frame, workflow))
                form method="post" action={ (own) "/" (name) } {
                    (frame.hidden())
                    button { (title) }
                }
            }
            @if frame.may_deploy && !(is_used && is_of_folder) {
                a.button href=(address::query("/ui/deploy", &[("workflow", &summary.name), ("version", &version)])) {
                    (icon(Icon::Pen))
                    @if !is_used { "Deploy again" } @else if workflow.current { "Change" } @else { "Change from here" }
                }
                @if is_used {
                    details.action id="action-remove" {
                        summary.button.risky { "Remove" }
                        div.sheet { form.form method="post" action={ (own) "/remove" } {
                            (frame.hidden())
                            p { "Nothing starts it any more, and its triggers stop. What runs goes on; executions and versions stay, "
                                "and deploying it again brings it back." }
                            div.buttons { button.main.risky { "Remove " (summary.name) } }
                        } }
                    }
                }
            }
        }
    }
}

fn start(frame: &Frame, workflow: &Workflow) -> Markup {
    let schema = workflow.input_schema.as_ref();
    let needed = schema.map(required).unwrap_or_default();
    let fields = fields(schema, &[], &needed, &Begin::Default);
    let action = format!("{}/start", address::workflow(&workflow.summary.name));
    let form = |fields: &Markup| {
        html! {
            form.form method="post" action=(action) {
                (frame.hidden())
                input type="hidden" name="version" value=[(!workflow.current).then_some(workflow.deployment.version)];
                (fields)
                label { "Idempotency key (optional; a second start with the same one does nothing)" input name="key" maxlength="255" spellcheck="false"; }
                div.buttons { button.main { "Start an execution" } }
            }
        }
    };
    let json = html! {
        label { "Input, as JSON"
            textarea name="input" data-json rows="8" spellcheck="false" { "\n" (json::pretty(&example(schema))) }
        }
    };
    html! {
        details.action id="action-start" {
            summary.button.main { "Start" }
            div.sheet {
                @if let Some(fields) = &fields {
                    (form(fields))
                    details.more { summary { "Write the input as JSON" } (form(&json)) }
                } @else { (form(&json)) }
            }
        }
    }
}

fn versions(workflow: &Workflow) -> Markup {
    let headings = [
        ("Version", false),
        ("Deployed", false),
        ("From", false),
        ("Compare", true),
    ];
    let rows: Vec<_> = workflow.versions.iter().map(|one| version(workflow, one)).collect();
    html! {
        section.panel aria-labelledby="versions-title" {
            header { h2 id="versions-title" { "Versions" } }
            (table("Versions, newest first", &headings, &rows))
        }
    }
}

fn version(workflow: &Workflow, one: &Deployment) -> Vec<Markup> {
    let own = address::workflow(&workflow.summary.name);
    let shown = one.version == workflow.deployment.version;
    let before = one.version.saturating_sub(1);
    let is_old_here = workflow.versions.iter().any(|other| other.version == before);
    vec![
        html! {
            @if shown { strong { (one.version) } } @else { a href={ (own) "?version=" (one.version) } { (one.version) } }
            @if Some(one.version) == workflow.summary.version { " " (chip::chip("done", Icon::Play, "runs")) }
        },
        time::relative(&one.at),
        html! {
            @match one.source { DeploymentSource::Folder => "folder", DeploymentSource::Api => "API" }
            @if let Some(by) = &one.by { span.soft { " · " (by) } }
        },
        html! { @if is_old_here {
            a href={ (own) "?version=" (one.version) "&from=" (before) "&to=" (one.version) } { "Changes since " (before) }
        } },
    ]
}

fn different(difference: &Difference) -> Markup {
    html! {
        section.panel aria-labelledby="difference-title" {
            header { h2 id="difference-title" { "From version " (difference.from) " to " (difference.to) } }
            div.inside.form { (changes(difference)) }
        }
    }
}

/// What is different between two versions.
pub(crate) fn changes(difference: &Difference) -> Markup {
    let nothing = difference.added.is_empty()
        && difference.removed.is_empty()
        && difference.changed.is_empty()
        && difference.adjusted.is_empty();
    html! {
        @if nothing { p { "No step differs." } } @else { ul.diff {
            @for step in &difference.added { li { strong { "Added " } code { (step.path) } " · " (step.kind) } }
            @for step in &difference.removed { li { strong { "Removed " } code { (step.path) } " · " (step.kind) } }
            @for step in &difference.changed {
                li { strong { "Changed " } code { (step.path) } " · " (step.fields.join(", ")) " · it runs again" }
            }
            @for step in &difference.adjusted { li { strong { "Adjusted " } code { (step.path) } " · it keeps its result" } }
            @for step in &difference.affected { li { strong { "Affected " } code { (step.path) } " · reads " (step.reads.join(", ")) } }
        } }
        (difference_of_texts(&difference.text))
    }
}
