//! Which paths lead where: the webhooks and callback endpoints of everything that is deployed.
//!
//! Made anew when something was deployed. A path is whose it was first ([`claims`]), whether that one can be used or not,
//! and also while its workflow is out of use without anybody having removed it.

mod claims;
mod declared;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::Method;
use bowline_host::{Active, Host, Problem, Standing};
use bowline_webhooks::{KIND, Table};
use tokio::sync::watch::Receiver;

pub(super) use self::claims::Claims;
use self::claims::Owner;
pub(super) use self::declared::{Away, Callback, Target, Webhook};

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
    Away(Arc<Away>, BTreeMap<String, String>),
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

/// An address that leads to another workflow than before.
struct Handover {
    organization: String,
    address: String,
    from: String,
    to: String,
}

/// All endpoints of one moment.
pub(super) struct Built {
    from: Arc<Vec<Active>>,
    /// The host's revision that it was made at.
    revision: u64,
    /// Whether there are endpoints of workflows that are out of use: then what else changes counts too.
    has_away: bool,
    /// Addresses that lead to another workflow than before.
    handovers: Vec<Handover>,
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
            bowline_webhooks::Found::Endpoint(Target::Away(away), params) => Found::Away(Arc::clone(away), params),
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

    /// The endpoint of this id, where its workflow is out of use.
    fn away(&self, organization: &str, id: &str) -> Option<&Away> {
        self.all.iter().find_map(|listed| match &listed.target {
            Target::Away(away) if *listed.organization == *organization && away.id() == id => Some(&**away),
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
    revision: Receiver<u64>,
    built: RwLock<Arc<Built>>,
}

impl Endpoints {
    /// Those of what is deployed now. `claims` is what the store keeps of who has which path.
    pub(super) fn new(host: &Host, claims: &Claims) -> Self {
        let (active, revision) = (host.active(None), host.changes());
        let at = *revision.borrow();
        let list = Arc::clone(&active.borrow());
        let built = build(host, (list, at), claims);
        built.tell(host, None);
        Self {
            host: host.clone(),
            built: RwLock::new(Arc::new(built)),
            active,
            revision,
        }
    }

    /// Those of what is deployed now.
    pub(super) fn current(&self) -> Arc<Built> {
        let built = Arc::clone(&self.built.read().unwrap_or_else(PoisonError::into_inner));
        if self.is_of_now(&built) {
            return built;
        }
        let mut place = self.built.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made it meanwhile.
        if !self.is_of_now(&place) {
            let at = *self.revision.borrow();
            let list = Arc::clone(&self.active.borrow());
            let built = build(&self.host, (list, at), &place.claims);
            built.tell(&self.host, Some(&place));
            *place = Arc::new(built);
        }
        Arc::clone(&place)
    }

    fn is_of_now(&self, built: &Built) -> bool {
        Arc::ptr_eq(&built.from, &self.active.borrow())
            && (!built.has_away || built.revision == *self.revision.borrow())
    }

    /// Changes when something is deployed.
    pub(super) fn changes(&self) -> Receiver<Arc<Vec<Active>>> {
        self.active.clone()
    }

    /// Changes when anything about a workflow does.
    pub(super) fn revisions(&self) -> Receiver<u64> {
        self.revision.clone()
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
        for Handover {
            organization,
            address,
            from,
            to,
        } in &self.handovers
        {
            tracing::warn!(%organization, %address, %from, %to, "an address leads to another workflow from now on");
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
            organization: Arc::clone(target.organization()),
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
                Some(owner) if owner.workflow == target.workflow() => Turn::SameWorkflow,
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
                    self.claims.put(&organization, method, path, target.owner());
                    continue;
                }
                Err(problem) => problem,
            };
            let problem = match self.claims.owner(&organization, method, path) {
                Some(owner) => match self.away(&organization, &owner.endpoint) {
                    Some(away) => format!("path: {method} {path} is taken: {}", away.why()),
                    None => format!(
                        "path: {method} {path} is the endpoint {} of the workflow {}, which had it first; give this one a \
                         path of its own",
                        owner.endpoint, owner.workflow
                    ),
                },
                None => problem,
            };
            if let Some(listed) = self.all.get_mut(at) {
                listed.problems.push(problem);
            }
        }
    }
}

fn build(host: &Host, (from, revision): (Arc<Vec<Active>>, u64), had: &Claims) -> Built {
    let mut built = Built {
        from: Arc::clone(&from),
        revision,
        has_away: false,
        handovers: Vec::new(),
        table: Table::default(),
        all: Vec::new(),
        claims: Claims::default(),
        problems: Vec::new(),
    };
    let mut channels: Channels<'_> = BTreeMap::new();
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
    for away in away(host, &from, had, &channels) {
        let problems = vec![away.why()];
        built.has_away = true;
        built.declare(Target::Away(Arc::new(away)), problems, Vec::new());
    }
    let mut others = Vec::new();
    for ((organization, name), declarers) in channels {
        if let Some(away) = built.away(organization, &declared::callback_id(name)) {
            for other in declarers {
                if let Some(theirs) = other.plan.callbacks.get(name) {
                    let problem = format!("callbacks.{name}: {}", away.why());
                    others.push((other, Problem::at(&theirs.location, problem)));
                }
            }
            continue;
        }
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
    built.handovers = handovers(&built, had);
    let mut problems: BTreeMap<Workflow, Vec<Problem>> = BTreeMap::new();
    let of = |active: &Active| (Arc::clone(&active.organization), Arc::clone(&active.workflow));
    for listed in &built.all {
        let (what, location, active) = match &listed.target {
            Target::Webhook(webhook) => {
                let what = format!("trigger {}", webhook.trigger.id);
                (what, &webhook.trigger.location, &webhook.active)
            }
            Target::Callback(callback) => {
                let what = format!("callbacks.{}", callback.named.name);
                (what, &callback.named.location, &callback.active)
            }
            // Nobody looks at the triggers of a workflow that is out of use.
            Target::Away(_) => continue,
        };
        let told = listed.problems.iter();
        let told = told.map(|problem| Problem::at(location, format!("{what}: {problem}")));
        problems.entry(of(active)).or_default().extend(told);
    }
    for (other, problem) in others {
        problems.entry(of(other)).or_default().push(problem);
    }
    built.problems = problems.into_iter().collect();
    built
}

/// By organization and name: the workflows that declare a callback endpoint.
type Channels<'a> = BTreeMap<(&'a Arc<str>, &'a String), Vec<&'a Active>>;

/// The endpoints of workflows that are out of use without anybody having removed them.
fn away(host: &Host, from: &[Active], had: &Claims, channels: &Channels<'_>) -> Vec<Away> {
    let in_use: BTreeSet<(&str, &str)> = from
        .iter()
        .map(|active| (&*active.organization, &*active.workflow))
        .collect();
    let mut all: BTreeMap<(&str, &str, &str), Away> = BTreeMap::new();
    for (organization, method, path, owner) in had.iter() {
        if in_use.contains(&(organization, owner.workflow.as_str())) || is_shared(channels, organization, owner) {
            continue;
        }
        let place = (organization, owner.endpoint.as_str(), path);
        if let Some(away) = all.get_mut(&place) {
            away.methods.push(method);
            continue;
        }
        let standing = host.standing(organization, &owner.workflow);
        if standing != Standing::Gone {
            let mut away = Away::new(organization, path, owner, standing);
            away.methods.push(method);
            all.insert(place, away);
        }
    }
    all.into_values().collect()
}

/// Whether a callback endpoint is declared by another workflow as its owner did: then it goes on as it was.
fn is_shared(channels: &Channels<'_>, organization: &str, owner: &Owner) -> bool {
    let Some(settings) = &owner.settings else { return false };
    channels.iter().any(|((of, name), declarers)| {
        let is_it = ***of == *organization && declared::callback_name(&owner.endpoint) == Some(name.as_str());
        is_it
            && declarers.iter().any(|active| {
                let named = active.plan.callbacks.get(*name);
                named.is_some_and(|named| declared::settings_hash(named) == *settings)
            })
    })
}

/// The workflow whose settings of a callback endpoint count: who had it first, while it declares it, or else one that
/// declares it as that one did.
fn holder<'a>(had: &Claims, organization: &str, name: &str, declarers: &[&'a Active]) -> Option<&'a Active> {
    let id = declared::callback_id(name);
    let owners: Vec<&Owner> = had.owners(organization, &id).collect();
    let is_owner = |active: &Active| owners.iter().any(|owner| *owner.workflow == *active.workflow);
    let is_same = |active: &Active| {
        let settings = active.plan.callbacks.get(name).map(declared::settings_hash);
        settings.is_some() && owners.iter().any(|owner| owner.settings == settings)
    };
    let mut all = declarers.iter().copied();
    let first = all.clone().find(|active| is_owner(active));
    first
        .or_else(|| all.clone().find(|active| is_same(active)))
        .or_else(|| all.next())
}

/// The addresses that lead to another workflow than they did, in words for those who look after this.
fn handovers(built: &Built, had: &Claims) -> Vec<Handover> {
    let mut all = Vec::new();
    for (organization, method, path, owner) in had.iter() {
        let bowline_webhooks::Found::Endpoint(target, _) = built.table.find(organization, path, &method) else {
            continue;
        };
        let now = target.owner();
        let is_same = now.settings.is_some() && now.settings == owner.settings;
        if now.workflow != owner.workflow && !is_same {
            all.push(Handover {
                organization: organization.to_owned(),
                address: format!("{method} {path}"),
                from: owner.workflow.clone(),
                to: now.workflow,
            });
        }
    }
    all
}
