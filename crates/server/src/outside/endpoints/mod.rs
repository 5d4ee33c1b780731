//! Which paths lead where: the webhooks and callback endpoints of everything that is deployed.
//!
//! Made anew when something was deployed. A path is whose it was first ([`claims`]), whether that one can be used or not.

mod claims;
mod declared;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::Method;
use bowline_host::{Active, Host, Problem};
use bowline_webhooks::{KIND, Table};
use tokio::sync::watch::Receiver;

pub(super) use self::claims::Claims;
use self::claims::Owner;
pub(super) use self::declared::{Callback, Target, Webhook, hidden};

/// Who says what is wrong with endpoints, among those who speak of a workflow's triggers.
const SOURCE: &str = "webhooks";

/// An organization, and the name of one of its workflows.
type Workflow = (Arc<str>, Arc<str>);

/// In which order endpoints get their paths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// First the one that had it.
    Owner,
    /// Then one of the same workflow: its trigger may have another id now.
    SameWorkflow,
    Other,
}

/// What is at a path.
pub(super) enum Found {
    Webhook(Arc<Webhook>, BTreeMap<String, String>),
    Callback(Arc<Callback>, BTreeMap<String, String>),
    OtherMethods(Vec<String>, Target),
    Nothing,
}

/// An endpoint, and what keeps it from being called.
pub(super) struct Listed {
    pub(super) organization: Arc<str>,
    pub(super) target: Target,
    /// Its own.
    pub(super) problems: Vec<String>,
    /// What other workflows say about it that does not count.
    pub(super) contradictions: Vec<String>,
}

impl Listed {
    pub(super) fn all_problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(&self.contradictions)
    }
}

/// All endpoints of one moment.
pub(super) struct Built {
    from: Arc<Vec<Active>>,
    table: Table<Target>,
    pub(super) all: Vec<Listed>,
    /// Who has which path.
    pub(super) claims: Claims,
    /// By workflow: what is wrong with what it declares.
    problems: Vec<(Workflow, Vec<Problem>)>,
}

impl Built {
    pub(super) fn find(&self, organization: &str, path: &str, method: &Method) -> Found {
        match self.table.find(organization, path, method) {
            bowline_webhooks::Found::Endpoint(Target::Webhook(webhook), params) => {
                Found::Webhook(Arc::clone(webhook), params)
            }
            bowline_webhooks::Found::Endpoint(Target::Callback(callback), params) => {
                Found::Callback(Arc::clone(callback), params)
            }
            bowline_webhooks::Found::Methods(methods, target) => {
                Found::OtherMethods(methods.into_iter().map(ToOwned::to_owned).collect(), target.clone())
            }
            bowline_webhooks::Found::Nothing => Found::Nothing,
        }
    }

    /// The webhook of this id.
    pub(super) fn webhook(&self, organization: &str, id: &str) -> Option<Arc<Webhook>> {
        self.all.iter().find_map(|listed| match &listed.target {
            Target::Webhook(webhook) if *listed.organization == *organization && webhook.id == id => {
                Some(Arc::clone(webhook))
            }
            _ => None,
        })
    }

    /// Whether there is an endpoint of this id.
    pub(super) fn has(&self, organization: &str, id: &str) -> bool {
        let mut all = self.all.iter();
        all.any(|listed| *listed.organization == *organization && listed.target.id() == id)
    }
}

pub(super) struct Endpoints {
    host: Host,
    active: Receiver<Arc<Vec<Active>>>,
    built: RwLock<Arc<Built>>,
}

impl Endpoints {
    /// Those of what is deployed now. `claims` is what the store keeps of who has which path.
    pub(super) fn new(host: &Host, claims: &Claims) -> Self {
        let active = host.active(None);
        let list = Arc::clone(&active.borrow());
        let built = build(list, claims);
        built.tell(host, None);
        Self {
            host: host.clone(),
            built: RwLock::new(Arc::new(built)),
            active,
        }
    }

    /// Those of what is deployed now.
    pub(super) fn current(&self) -> Arc<Built> {
        let list = Arc::clone(&self.active.borrow());
        let built = Arc::clone(&self.built.read().unwrap_or_else(PoisonError::into_inner));
        if Arc::ptr_eq(&built.from, &list) {
            return built;
        }
        let mut place = self.built.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made it meanwhile.
        let list = Arc::clone(&self.active.borrow());
        if !Arc::ptr_eq(&place.from, &list) {
            let built = build(list, &place.claims);
            built.tell(&self.host, Some(&place));
            *place = Arc::new(built);
        }
        Arc::clone(&place)
    }

    /// Changes when something is deployed.
    pub(super) fn changes(&self) -> Receiver<Arc<Vec<Active>>> {
        self.active.clone()
    }
}

impl Built {
    /// Says what is wrong: with the workflows all of it, and in the log what was not wrong before.
    fn tell(&self, host: &Host, before: Option<&Self>) {
        let old: BTreeSet<_> = before.iter().flat_map(|before| before.told()).collect();
        for told @ (organization, endpoint, problem) in self.told() {
            if !old.contains(&told) {
                tracing::warn!(%organization, %endpoint, %problem, "an endpoint cannot be used as it is");
            }
        }
        host.set_trigger_problems(SOURCE, self.problems.clone());
    }

    fn told(&self) -> impl Iterator<Item = (&str, &str, &String)> {
        self.all.iter().flat_map(|listed| {
            let all = listed.all_problems();
            all.map(|problem| (&*listed.organization, listed.target.id(), problem))
        })
    }

    fn declare(&mut self, target: Target, problems: Vec<String>, contradictions: Vec<String>) {
        self.all.push(Listed {
            organization: Arc::clone(&target.active().organization),
            target,
            problems,
            contradictions,
        });
    }

    /// Puts an endpoint at its path for the methods that are wanted of it; what stands in the way is its problem.
    fn put(&mut self, at: usize, had: &Claims, turn: Turn) {
        let Some(listed) = self.all.get(at) else { return };
        let (organization, target) = (Arc::clone(&listed.organization), listed.target.clone());
        let path = target.path();
        if path.is_empty() {
            return;
        }
        for method in target.methods() {
            let its = match had.owner(&organization, method, path) {
                Some(owner) if owner.endpoint == target.id() => Turn::Owner,
                Some(owner) if owner.workflow == *target.active().workflow => Turn::SameWorkflow,
                _ => Turn::Other,
            };
            if its != turn {
                continue;
            }
            let put = self
                .table
                .add(&organization, path, std::slice::from_ref(method), &target);
            let problem = match put {
                Ok(()) => {
                    let owner = Owner {
                        endpoint: target.id().to_owned(),
                        workflow: target.active().workflow.to_string(),
                    };
                    self.claims.put(&organization, method, path, owner);
                    continue;
                }
                Err(problem) => problem,
            };
            let problem = match self.claims.owner(&organization, method, path) {
                Some(owner) => format!(
                    "path: {method} {path} is the endpoint {} of the workflow {}, which had it first; give this one a \
                     path of its own",
                    owner.endpoint, owner.workflow
                ),
                None => problem,
            };
            if let Some(listed) = self.all.get_mut(at) {
                listed.problems.push(problem);
            }
        }
    }
}

fn build(from: Arc<Vec<Active>>, had: &Claims) -> Built {
    let mut built = Built {
        from: Arc::clone(&from),
        table: Table::default(),
        all: Vec::new(),
        claims: Claims::default(),
        problems: Vec::new(),
    };
    // By organization and name: those who declare it.
    let mut channels: BTreeMap<(&Arc<str>, &String), Vec<&Active>> = BTreeMap::new();
    for active in from.iter() {
        for trigger in active.plan.triggers.iter().filter(|trigger| trigger.kind == KIND) {
            let webhook = declared::webhook(active, trigger, had);
            let problems = webhook.endpoint.as_ref().err().cloned().unwrap_or_default();
            built.declare(Target::Webhook(Arc::new(webhook)), problems, Vec::new());
        }
        for name in active.plan.callbacks.keys() {
            channels.entry((&active.organization, name)).or_default().push(active);
        }
    }
    let mut others = Vec::new();
    for ((organization, name), declarers) in channels {
        let holder = holder(had, organization, name, &declarers);
        let Some((active, named)) = holder.and_then(|active| Some((active, active.plan.callbacks.get(name)?))) else {
            continue;
        };
        let callback = declared::callback(active, name, named, had);
        let problems = callback.config.as_ref().err().cloned().unwrap_or_default();
        let mut contradictions = Vec::new();
        for other in declarers {
            let Some(theirs) = other.plan.callbacks.get(name) else {
                continue;
            };
            if declared::settings(theirs) != declared::settings(named) {
                let problem = format!(
                    "the workflows {} and {} declare callbacks.{name} with different settings; those of {}, which had it \
                     first, count. Deploy both with the same ones",
                    active.workflow, other.workflow, active.workflow
                );
                others.push((other, Problem::at(&theirs.location, problem.clone())));
                contradictions.push(problem);
            }
        }
        built.declare(Target::Callback(Arc::new(callback)), problems, contradictions);
    }
    for turn in [Turn::Owner, Turn::SameWorkflow, Turn::Other] {
        for at in 0..built.all.len() {
            built.put(at, had, turn);
        }
    }
    let mut problems: BTreeMap<Workflow, Vec<Problem>> = BTreeMap::new();
    let of = |active: &Active| (Arc::clone(&active.organization), Arc::clone(&active.workflow));
    for listed in &built.all {
        let (what, location) = match &listed.target {
            Target::Webhook(webhook) => (format!("trigger {}", webhook.trigger.id), &webhook.trigger.location),
            Target::Callback(callback) => (format!("callbacks.{}", callback.named.name), &callback.named.location),
        };
        let told = listed.problems.iter();
        let told = told.map(|problem| Problem::at(location, format!("{what}: {problem}")));
        problems.entry(of(listed.target.active())).or_default().extend(told);
    }
    for (other, problem) in others {
        problems.entry(of(other)).or_default().push(problem);
    }
    built.problems = problems.into_iter().collect();
    built
}

/// The workflow whose settings of a callback endpoint count: who had it first, while it declares it.
fn holder<'a>(had: &Claims, organization: &str, name: &str, declarers: &[&'a Active]) -> Option<&'a Active> {
    let id = format!("callback:{name}");
    let owner = had.workflow(organization, &id);
    let mut all = declarers.iter();
    let first = owner.and_then(|owner| all.find(|active| *active.workflow == *owner));
    first.or(declarers.first()).copied()
}
