//! What people are asked to decide, and callbacks that are waited for.

use bowline_core::{Answer, Payload};
use bowline_expression::Masker;
use bowline_flow::misfits_of_answer;
use bowline_store::{
    CallbackAddress, ExecNo, ExecutionRow, Store, StoreError, WaitFilter, WaitKind, WaitRow, WaitState,
};
use serde_json::{Map, Value};

use crate::answers::is_approval;
use crate::time::rfc3339;
use crate::{Approval, Decision, Delivered, ErrorKind, Host, HostError, OpenCallback, Page, Problem, Waiting, cursor};

/// Waits of a page where nothing is said, and at most.
const DEFAULT: usize = 100;
const MOST: usize = 500;

/// Waits that are looked at for one page at most.
const LOOKED_AT: usize = 5000;

type Found = (ExecutionRow, WaitRow);

impl Host {
    /// What people are asked to decide now. A page may be short; `next` is there as long as there may be more.
    ///
    /// # Errors
    /// `execution.not-found`, `search.cursor`.
    pub async fn approvals(&self, organization: &str, waiting: &Waiting) -> Result<Page<Approval>, HostError> {
        let page = self.open_waits(organization, waiting, is_approval).await?;
        Ok(page.map(|(row, wait)| self.approval(&row, &wait)))
    }

    /// Callbacks that are waited for now, approvals among them. A page may be short; `next` is there as long as there
    /// may be more.
    ///
    /// # Errors
    /// `execution.not-found`, `search.cursor`.
    pub async fn callbacks(&self, organization: &str, waiting: &Waiting) -> Result<Page<OpenCallback>, HostError> {
        let page = self.open_waits(organization, waiting, |_| true).await?;
        let masker = self.masker(organization);
        let tokens = waiting.tokens;
        Ok(page.map(|(row, wait)| OpenCallback {
            execution: row.id,
            workflow: row.workflow,
            approval: is_approval(&wait),
            token: tokens.then(|| self.0.tokens.token(wait.exec.0, wait.tag)),
            path: wait.path,
            name: Some(wait.name).filter(|name| !name.is_empty()),
            reference: wait.key.map(|key| masker.scrub_text(&key).into_owned()),
            opened_at: rfc3339(wait.opened_at),
            until: wait.until.map(rfc3339),
        }))
    }

    /// Decides an approval: the one at `path`, or the only one that the execution waits for.
    ///
    /// # Errors
    /// `execution.not-found`; `approval.none` and `approval.several` where `path` does not say which; `approval.form`
    /// where the answer does not fit the form.
    pub async fn approve(
        &self,
        organization: &str,
        id: &str,
        path: Option<&str>,
        decision: Decision,
    ) -> Result<Delivered, HostError> {
        let row = self.row(organization, id).await?;
        let exec = row.exec;
        let open = self.read(move |store| open_approvals(store, exec)).await?;
        let wait = one_of(id, &row, open, path, decision.by.as_deref())?;
        if let Some(field) = decision.form.keys().next()
            && !asks_for_more(about(&wait).get("form"))
        {
            let message = format!("`{field}` is unknown: this approval has no form");
            return Err(HostError::invalid("approval.form", message)
                .hint("it is answered with `approved`, and with `by` and `comment` where there is something to say"));
        }
        let mut answer = decision.form;
        answer.insert("approved".into(), decision.approved.into());
        if let Some(by) = decision.by {
            answer.insert("by".into(), by.into());
        }
        if let Some(comment) = decision.comment {
            answer.insert("comment".into(), comment.into());
        }
        let answer = Value::Object(answer);
        refuse_unfit_answer(&self.masker(organization), &wait, &answer)?;
        let output = Payload::of(&answer).map_err(|error| HostError::internal("answer.unwritable", &error))?;
        let address = CallbackAddress::Path {
            execution: id.to_owned(),
            path: wait.path,
        };
        self.deliver(organization, &address, Answer::Succeeded { output, event: None })
            .await
    }

    fn approval(&self, row: &ExecutionRow, wait: &WaitRow) -> Approval {
        let mut about = Value::Object(about(wait));
        self.masker(&row.organization).scrub(&mut about);
        let who = match &about["who"] {
            Value::Array(who) => who.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            Value::String(who) => vec![who.clone()],
            _ => Vec::new(),
        };
        let part = |name: &str| about.get(name).filter(|part| !part.is_null()).cloned();
        Approval {
            execution: row.id.clone(),
            workflow: row.workflow.clone(),
            path: wait.path.clone(),
            who,
            what: about["what"].as_str().map(ToOwned::to_owned),
            quorum: part("quorum"),
            form: part("form"),
            opened_at: rfc3339(wait.opened_at),
            until: wait.until.map(rfc3339),
        }
    }

    async fn open_waits(
        &self,
        organization: &str,
        waiting: &Waiting,
        fits: fn(&WaitRow) -> bool,
    ) -> Result<Page<Found>, HostError> {
        let limit = if waiting.limit == 0 {
            DEFAULT
        } else {
            waiting.limit.min(MOST)
        };
        let exec = match &waiting.execution {
            Some(id) => Some(self.row(organization, id).await?.exec),
            None => None,
        };
        let after = match &waiting.cursor {
            Some(text) => {
                let [exec, tag] = cursor::read('w', text)?;
                Some((ExecNo(exec), tag as u64))
            }
            None => None,
        };
        let filter = WaitFilter {
            organization: Some(organization.into()),
            exec,
            kind: Some(WaitKind::Callback),
            state: Some(WaitState::Open),
            after,
            limit: MOST,
            ..WaitFilter::default()
        };
        let (items, next) = self.read(move |store| page_of(store, filter, limit, fits)).await?;
        Ok(Page {
            items,
            next: next.map(|(exec, tag)| cursor::write('w', &[exec.0, tag as i64])),
        })
    }
}

/// Where the next page begins.
type Next = Option<(ExecNo, u64)>;

fn page_of(
    store: &dyn Store,
    mut filter: WaitFilter,
    limit: usize,
    fits: fn(&WaitRow) -> bool,
) -> Result<(Vec<Found>, Next), StoreError> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let page = store.waits(&filter)?;
        let is_last = page.len() < filter.page();
        for wait in page {
            looked_at += 1;
            let place = (wait.exec, wait.tag);
            filter.after = Some(place);
            // An execution that has ended or gone meanwhile waits for nothing.
            if fits(&wait)
                && let Some(row) = store
                    .execution_by_no(wait.exec)?
                    .filter(|row| !row.status.is_finished())
            {
                found.push((row, wait));
            }
            if found.len() == limit || looked_at == LOOKED_AT {
                return Ok((found, Some(place)));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

fn open_approvals(store: &dyn Store, exec: ExecNo) -> Result<Vec<WaitRow>, StoreError> {
    let filter = WaitFilter {
        exec: Some(exec),
        kind: Some(WaitKind::Callback),
        state: Some(WaitState::Open),
        limit: usize::MAX,
        ..WaitFilter::default()
    };
    let mut open = store.waits(&filter)?;
    open.retain(is_approval);
    Ok(open)
}

/// The approval that is meant.
fn one_of(
    id: &str,
    row: &ExecutionRow,
    mut open: Vec<WaitRow>,
    path: Option<&str>,
    by: Option<&str>,
) -> Result<WaitRow, HostError> {
    match path {
        // Who names one may answer for others. The approval of a node stands below it.
        Some(path) => {
            let below = format!("{path}/");
            let exact = open.iter().any(|wait| wait.path == path);
            open.retain(|wait| wait.path == path || (!exact && wait.path.starts_with(&below)));
        }
        // With a quorum each of those who are asked has an approval of their own.
        None => open.retain(|wait| is_theirs(wait, by)),
    }
    if open.len() > 1 {
        let paths: Vec<&str> = open.iter().map(|wait| wait.path.as_str()).collect();
        let message = format!("execution {id} waits for several approvals: {}", paths.join(", "));
        return Err(HostError::invalid("approval.several", message).hint("name one by its path"));
    }
    open.pop().ok_or_else(|| {
        let message = match (row.status.is_finished(), path) {
            (true, _) => format!("execution {id} has {} and waits for no approval", row.status.name()),
            (false, Some(path)) => format!("execution {id} waits for no approval at {path} now"),
            (false, None) => format!("execution {id} waits for no approval now"),
        };
        HostError::new(ErrorKind::Gone, "approval.none", message).hint("see what the execution waits for")
    })
}

fn is_theirs(wait: &WaitRow, by: Option<&str>) -> bool {
    let about = about(wait);
    match (by, about.get("quorum"), about.get("who")) {
        (Some(by), Some(Value::Object(_)), Some(Value::Array(who))) => who.iter().any(|one| one == by),
        _ => true,
    }
}

/// Whether a form has fields of its own: `approved`, `by` and `comment` are in every one.
fn asks_for_more(form: Option<&Value>) -> bool {
    let Some(Value::Object(form)) = form else { return false };
    let is_usual = |name: &str| ["approved", "by", "comment"].contains(&name);
    let own = form.get("properties").and_then(Value::as_object);
    own.is_some_and(|properties| properties.keys().any(|name| !is_usual(name)))
        || form
            .keys()
            .any(|name| !["type", "required", "properties"].contains(&name.as_str()))
}

fn about(wait: &WaitRow) -> Map<String, Value> {
    wait.detail
        .as_deref()
        .and_then(|detail| serde_json::from_slice(detail).ok())
        .unwrap_or_default()
}

/// An answer that does not fit the form would fail the step, so it is not taken.
pub(crate) fn refuse_unfit_answer(masker: &Masker, wait: &WaitRow, answer: &Value) -> Result<(), HostError> {
    let form = about(wait).remove("form").unwrap_or_default();
    if form.is_null() {
        return Ok(());
    }
    let problems = misfits_of_answer(&form, answer);
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems
        .iter()
        .map(|misfit| Problem::of_body(misfit.pointer.clone(), masker.scrub_text(&misfit.message)))
        .collect();
    Err(
        HostError::invalid("approval.form", "the answer does not fit the approval's form")
            .hint("give the form's fields beside `approved`; the list of approvals shows the form")
            .with(problems),
    )
}
