//! What holds for every page, whatever is on it.

#![expect(clippy::panic, reason = "tests")]

mod sample;

use bowline_host::{
    Approval, Candidate, ConnectionReport, ConnectionView, Deployment, DeploymentSource, Difference, KeptCallback,
    OpenCallback, Page, Problem, Status, StepDetail, StepRef, StepState, TriggerView, Workflow, WorkflowSummary,
};
use bowline_inspector::pages::{
    self, audit, deploy, execution, executions, organizations, schedule, schedules, webhooks,
};
use bowline_inspector::{Frame, Notice, Section};
use serde_json::json;

/// What nobody may be able to put into a page.
const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror=y>";

fn frame() -> Frame {
    Frame {
        organization: "acme".to_owned(),
        who: EVIL.to_owned(),
        can_leave: true,
        home: Some("default".to_owned()),
        token: "form-token".to_owned(),
        once: "once".to_owned(),
        may_operate: true,
        may_deploy: true,
        notice: Some(Notice::Bad {
            message: EVIL.to_owned(),
            hint: Some("try again".to_owned()),
            problems: vec!["a.yaml:1:2: wrong".to_owned()],
        }),
        approvals: 2,
    }
}

fn approval() -> Approval {
    Approval {
        execution: "e-1".to_owned(),
        workflow: "order".to_owned(),
        path: "big".to_owned(),
        who: vec![EVIL.to_owned()],
        what: Some(EVIL.to_owned()),
        quorum: Some(json!(2)),
        form: Some(json!({ "properties": { "limit": { "type": "integer" } } })),
        opened_at: "2026-11-22T10:00:00Z".to_owned(),
        until: None,
    }
}

fn workflow() -> Workflow {
    let deployment = |version: u32| Deployment {
        workflow: "order".to_owned(),
        version,
        hash: "abc".to_owned(),
        at: "2026-11-22T10:00:00Z".to_owned(),
        by: Some(EVIL.to_owned()),
        source: DeploymentSource::Api,
        file: "order.yaml".to_owned(),
    };
    Workflow {
        summary: WorkflowSummary {
            name: EVIL.to_owned(),
            version: Some(2),
            hash: None,
            deployed_at: Some("2026-11-22T10:00:00Z".to_owned()),
            source: None,
            file: None,
            description: Some("Orders".to_owned()),
            triggers: vec![TriggerView {
                id: "nightly".to_owned(),
                kind: "schedule".to_owned(),
                description: None,
            }],
            paused: true,
            problems: vec![Problem {
                message: EVIL.to_owned(),
                ..Problem::default()
            }],
            trigger_problems: vec![Problem {
                message: EVIL.to_owned(),
                ..Problem::default()
            }],
            withdrawn_at: None,
            missing: vec!["env.KEY".to_owned()],
        },
        deployment: deployment(2),
        current: true,
        source_text: EVIL.to_owned(),
        shared_text: None,
        input_schema: Some(json!({ "properties": { "id": { "type": "string" } } })),
        versions: vec![deployment(2), deployment(1)],
        graph: None,
    }
}

fn difference() -> Difference {
    Difference {
        workflow: "order".to_owned(),
        from: 1,
        to: 2,
        added: vec![StepRef {
            path: "a".to_owned(),
            kind: "wait".to_owned(),
        }],
        removed: Vec::new(),
        changed: Vec::new(),
        adjusted: Vec::new(),
        affected: Vec::new(),
        text: "-a\n+b".to_owned(),
    }
}

fn delivery() -> webhooks::Delivery {
    webhooks::Delivery {
        id: "d-1".to_owned(),
        endpoint: EVIL.to_owned(),
        at: "2026-11-22T10:00:00Z".to_owned(),
        state: "refused".to_owned(),
        reason: EVIL.to_owned(),
        source: "evt_1".to_owned(),
        execution: Some("e-1".to_owned()),
        bytes: 17,
    }
}

fn schedule() -> schedules::Schedule {
    schedules::Schedule {
        name: EVIL.to_owned(),
        workflow: "order".to_owned(),
        when: vec!["0 30 7 * * MON-FRI".to_owned()],
        zone: "Europe/Oslo".to_owned(),
        next: vec!["2026-11-23T06:30:00Z".to_owned()],
        overlap: "skip".to_owned(),
        ..schedules::Schedule::default()
    }
}

fn organization(name: &str) -> organizations::Organization {
    organizations::Organization {
        name: name.to_owned(),
        title: EVIL.to_owned(),
        ..organizations::Organization::default()
    }
}

/// The pages with forms that show what was found out.
fn drafts(frame: &Frame) -> Vec<(&'static str, String)> {
    let draft = deploy::Draft {
        workflow: Some(EVIL.to_owned()),
        file: "a.yaml".to_owned(),
        text: EVIL.to_owned(),
        shared: EVIL.to_owned(),
    };
    let problems = [Problem {
        file: "a.yaml".to_owned(),
        line: Some(1),
        column: Some(2),
        message: EVIL.to_owned(),
        ..Problem::default()
    }];
    let wrong = deploy::Checked::Wrong {
        message: EVIL,
        hint: Some(EVIL),
        problems: &problems,
    };
    let candidate = Candidate {
        workflow: EVIL.to_owned(),
        description: Some(EVIL.to_owned()),
        current: Some(1),
        current_hash: Some(EVIL.to_owned()),
        version: 2,
        changes: Some(difference()),
    };
    let candidates = [candidate];
    let schedule = schedule::Draft {
        name: EVIL.to_owned(),
        workflow: "order".to_owned(),
        cron: EVIL.to_owned(),
        input: EVIL.to_owned(),
        ..schedule::Draft::default()
    };
    let mut changed = schedule.clone();
    changed.is_change = true;
    let names = [EVIL.to_owned(), "order".to_owned()];
    let bad = schedule::Checked::Wrong {
        message: EVIL.to_owned(),
        problems: vec![EVIL.to_owned()],
    };
    let good = schedule::Checked::Good {
        words: EVIL.to_owned(),
        next: vec!["2026-11-23T06:30:00Z".to_owned()],
    };
    vec![
        (
            "deploy",
            deploy::page(frame, &deploy::Draft::default(), deploy::Checked::Not),
        ),
        ("deploy-wrong", deploy::page(frame, &draft, wrong)),
        (
            "deploy-good",
            deploy::page(frame, &draft, deploy::Checked::Good(&candidates)),
        ),
        ("schedule-new", schedule::page(frame, &schedule, &names, &bad)),
        ("schedule-change", schedule::page(frame, &changed, &names, &good)),
    ]
}

/// Every page with a name, on data that has something in every place.
fn all() -> Vec<(&'static str, String)> {
    let frame = frame();
    let plan = sample::plan();
    let approvals = [approval()];
    let history = sample::history();
    let shown = |execution: &_| {
        execution::page(
            &frame,
            &execution::Shown {
                execution,
                plan: Some(&plan),
                history: &history,
                history_from: 0,
                approvals: &approvals,
                versions: &[3, 2],
                now: 1_795_341_630_000,
            },
        )
    };
    let detail = StepDetail {
        step: sample::step("charge", "http-request", StepState::Done, (1, Some(2))),
        input: Some(json!({ "url": EVIL })),
        output: None,
        omitted: Vec::new(),
    };
    let found = Page {
        items: vec![
            sample::summary(EVIL, Status::Waiting),
            sample::summary("e-2", Status::Failed),
            sample::summary("e-3", Status::Succeeded),
        ],
        next: Some("more".to_owned()),
    };
    let open = Page {
        items: vec![OpenCallback {
            execution: "e-1".to_owned(),
            workflow: "order".to_owned(),
            path: "pay".to_owned(),
            name: Some(EVIL.to_owned()),
            reference: Some(EVIL.to_owned()),
            opened_at: "2026-11-22T10:00:00Z".to_owned(),
            until: None,
            approval: false,
            token: None,
        }],
        next: None,
    };
    let kept = Page {
        items: vec![KeptCallback {
            id: 7,
            execution: None,
            name: Some("payments".to_owned()),
            reference: Some(EVIL.to_owned()),
            why: "nobody waits for it".to_owned(),
            received_at: "2026-11-22T10:00:00Z".to_owned(),
            expires_at: "2026-11-29T10:00:00Z".to_owned(),
            answer: "failed",
            body: Some(json!({ "x": EVIL })),
        }],
        next: None,
    };
    let connections = [ConnectionView {
        workflow: "order".to_owned(),
        name: "bank".to_owned(),
        kind: "http".to_owned(),
        target: Some(EVIL.to_owned()),
        missing: vec!["credentials.bank".to_owned()],
        testable: true,
    }];
    let report = ConnectionReport {
        ok: false,
        reachable: true,
        authenticated: Some(false),
        message: EVIL.to_owned(),
        code: Some("http.401".to_owned()),
        took_ms: 12,
    };
    let asked = executions::Asked {
        workflow: EVIL.to_owned(),
        ..executions::Asked::default()
    };
    let fires = [schedules::Fire {
        due: "2026-11-22T06:30:00Z".to_owned(),
        count: 3,
        until: Some("2026-11-22T06:32:00Z".to_owned()),
        fate: "missed".to_owned(),
        note: EVIL.to_owned(),
        ..schedules::Fire::default()
    }];
    let endpoints = [webhooks::Endpoint {
        name: EVIL.to_owned(),
        path: "/webhooks/order".to_owned(),
        methods: vec!["POST".to_owned()],
        workflow: "order".to_owned(),
        problems: vec!["the secret is empty".to_owned()],
        ..webhooks::Endpoint::default()
    }];
    let changes = [audit::Change {
        at: "2026-11-22T10:00:00Z".to_owned(),
        who: EVIL.to_owned(),
        action: "execution.cancel".to_owned(),
        detail: EVIL.to_owned(),
        ..audit::Change::default()
    }];
    let workflow = workflow();
    let bad = Notice::Good(EVIL.to_owned());
    let approvals_page = Page {
        items: approvals.to_vec(),
        next: None,
    };
    let whole = webhooks::Whole {
        delivery: delivery(),
        request: EVIL.to_owned(),
        headers: vec![(EVIL.to_owned(), EVIL.to_owned())],
        body: Some(EVIL.to_owned()),
        authentication: EVIL.to_owned(),
        problems: vec![EVIL.to_owned()],
        hint: EVIL.to_owned(),
        can_replay: true,
    };
    let mut pages = drafts(&frame);
    pages.extend([
        (
            "executions",
            executions::page(&frame, &asked, &[EVIL.to_owned()], &found, &[]),
        ),
        ("execution-waiting", shown(&sample::execution(Status::Waiting))),
        ("execution-failed", shown(&sample::execution(Status::Failed))),
        ("step", pages::step::page(&frame, "e-1", &detail)),
        (
            "value",
            pages::step::value_page(&frame, "e-1", None, "Input", &json!(EVIL)),
        ),
        (
            "workflows",
            pages::workflows::page(&frame, std::slice::from_ref(&workflow.summary)),
        ),
        (
            "workflow",
            pages::workflow::page(&frame, &workflow, Some(&plan), Some(&difference())),
        ),
        ("schedules", schedules::list(&frame, &[schedule()])),
        ("schedule", schedules::page(&frame, &schedule(), &fires, Some("x"))),
        (
            "backfill",
            schedules::confirm(&frame, EVIL, ("2026-11-20T10:00", EVIL), &[EVIL.to_owned()], false),
        ),
        (
            "organizations",
            organizations::page(&frame, &[organization("acme"), organization(EVIL)]),
        ),
        (
            "webhooks",
            webhooks::list(&frame, &endpoints, &webhooks::Asked::default(), &[delivery()], None),
        ),
        ("delivery", webhooks::page(&frame, &whole)),
        ("callbacks", pages::callbacks::page(&frame, &open, &kept)),
        ("approvals", pages::approvals::page(&frame, &approvals_page)),
        (
            "connections",
            pages::connections::page(&frame, &connections, Some(("order", "bank", &report))),
        ),
        ("audit", audit::page(&frame, &changes, Some("x"))),
        ("login", pages::login::page("/ui/executions", "t", Some(EVIL))),
        (
            "problem",
            pages::problem::page(
                &frame,
                Some(Section::Executions),
                "Not found",
                bad,
                ("/ui/executions", "Back"),
            ),
        ),
    ]);
    pages
}

#[test]
fn no_data_breaks_out_of_a_page() {
    for (name, page) in all() {
        assert!(!page.contains("<script>alert"), "{name}");
        assert!(!page.contains("<img"), "{name}");
        assert_eq!(page.matches("<script").count(), 1, "{name} has one script, the module");
    }
}

#[test]
fn nothing_on_a_page_needs_a_loose_content_policy() {
    for (name, page) in all() {
        for attribute in [
            " style=",
            " onclick=",
            " onload=",
            "<style",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!page.contains(attribute), "{name} has {attribute}");
        }
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    for (name, page) in all() {
        for form in page.split("<form").skip(1) {
            let (form, _) = form.split_once("</form>").unwrap();
            if form.contains("method=\"post\"") {
                assert!(form.contains("name=\"form-token\""), "{name}: {form}");
                // And says of which organization the page is, except where somebody logs in.
                assert!(
                    form.contains("name=\"organization\"") || name == "login",
                    "{name}: {form}"
                );
            }
        }
    }
}

#[test]
fn ids_are_unique_and_what_refers_to_them_is_there() {
    for (name, page) in all() {
        let values = |attribute: &str| -> Vec<String> {
            let parts = page.split(attribute).skip(1);
            parts
                .filter_map(|part| part.split_once('"'))
                .map(|(value, _)| value.to_owned())
                .collect()
        };
        let ids = values(" id=\"");
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{name} has an id twice: {ids:?}");
        for wanted in values("aria-labelledby=\"").iter().chain(&values("href=\"#")) {
            assert!(ids.contains(wanted), "{name} refers to {wanted}");
        }
    }
}

#[test]
fn who_may_only_look_gets_no_buttons() {
    let mut frame = frame();
    frame.may_operate = false;
    frame.may_deploy = false;
    frame.can_leave = false;
    frame.home = None;
    let plan = sample::plan();
    let execution = sample::execution(Status::Failed);
    let page = execution::page(
        &frame,
        &execution::Shown {
            execution: &execution,
            plan: Some(&plan),
            history: &sample::history(),
            history_from: 0,
            approvals: &[approval()],
            versions: &[],
            now: 0,
        },
    );
    assert!(!page.contains("method=\"post\""));
    assert!(!schedules::page(&frame, &schedule(), &[], None).contains("method=\"post\""));
    assert!(!pages::workflow::page(&frame, &workflow(), None, None).contains("method=\"post\""));
}

#[test]
fn states_are_told_in_words_and_drawn_on_the_graph() {
    let pages = all();
    let page = &pages.iter().find(|(name, _)| *name == "execution-waiting").unwrap().1;
    // The graph: a link to the step, with its state.
    assert!(page.contains(r##"class="state waiting" href="#step-1""##));
    assert!(page.contains(r##"class="state done" href="#step-0""##));
    assert!(page.contains("state skipped"));
    // The timeline: attempts with their outcome.
    assert!(page.contains("attempt 1, failed, 1.0 s"));
    assert!(page.contains("waits for the callback"));
}

#[test]
fn what_is_wrong_with_a_workflow_is_on_the_list_and_on_its_page() {
    let mut workflow = workflow();
    let summary = &mut workflow.summary;
    summary.paused = false;
    summary.problems.clear();
    summary.missing.clear();
    summary.trigger_problems[0].message = "the path /webhooks/a is taken by `other`".to_owned();
    let list = pages::workflows::page(&frame(), std::slice::from_ref(&workflow.summary));
    let page = pages::workflow::page(&frame(), &workflow, None, None);
    for text in [&list, &page] {
        assert!(
            text.contains("Needs attention") && text.contains("is taken by <code>other</code>"),
            "{text}"
        );
        assert!(!text.contains("Ready"));
    }
    workflow.summary.withdrawn_at = Some("2026-11-22T10:00:00Z".to_owned());
    let page = pages::workflow::page(&frame(), &workflow, None, None);
    assert!(page.contains("Out of use") && page.contains("Deploy again") && !page.contains("action-start"));
}

#[test]
fn who_is_elsewhere_sees_where_and_finds_the_way_back() {
    let there = pages::audit::page(&frame(), &[], None);
    assert!(
        there.contains("place away") && there.contains("Back to default"),
        "{there}"
    );
    let mut own = frame();
    own.home = None;
    let own = pages::audit::page(&own, &[], None);
    assert!(!own.contains("/ui/organizations") && own.contains("acme"), "{own}");
}

#[test]
fn what_is_kept_is_what_was_looked_at() {
    let mut draft = deploy::Draft {
        text: "name: a".to_owned(),
        ..deploy::Draft::default()
    };
    let mark = draft.mark();
    assert_eq!(mark, draft.clone().mark());
    draft.text.push(' ');
    assert_ne!(mark, draft.mark());
}

/// Writes the pages where they can be looked at: `BOWLINE_PAGES=folder`.
#[test]
fn pages_can_be_looked_at() {
    let Ok(folder) = std::env::var("BOWLINE_PAGES") else {
        return;
    };
    for (name, page) in all() {
        std::fs::write(format!("{folder}/{name}.html"), page.replace(EVIL, "Sample")).unwrap();
    }
}
