//! Runs the triggers of everything that is deployed: starts and stops them as workflows come, change and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_engine::Clock;
use bowline_host::{Active, Host};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::place::Place;
use crate::schedule::{ScheduleSource, Schedules};
use crate::source::{Bound, Source, TriggerView};
use crate::watch::DirectorySource;

/// How long a trigger that ended in an error rests before it is run again; twice as long each time.
const REST: Duration = Duration::from_secs(1);

/// The longest rest.
const LONG_REST: Duration = Duration::from_secs(60);

/// Triggers at work. Clones are the same ones.
#[derive(Clone)]
pub struct Triggers(Arc<Inner>);

struct Inner {
    host: Host,
    schedules: Schedules,
    all: All,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

type All = Arc<Mutex<Vec<Arc<Bound>>>>;

impl Drop for Inner {
    /// Leaves at once, as a crash would, but for telling the tasks.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// By organization and name.
type Running = BTreeMap<(String, String), (Arc<Bound>, CancellationToken, JoinHandle<()>)>;

impl Triggers {
    /// Runs the triggers of everything that is deployed in `host`, now and later: schedules, directories, and those of
    /// `others`. `clock` is the engine's.
    #[must_use]
    pub fn start(host: &Host, clock: Clock, others: Vec<Arc<dyn Source>>) -> Self {
        let place: Arc<dyn Place> = Arc::new(host.clone());
        let stop = CancellationToken::new();
        let schedules = Schedules::new(Arc::clone(&place), clock.clone(), stop.clone());
        let mut sources: Vec<Arc<dyn Source>> = vec![
            Arc::new(ScheduleSource::new(schedules.clone())),
            Arc::new(DirectorySource::new(clock)),
        ];
        sources.extend(others);
        let all = All::default();
        let task = tokio::spawn(supervise(Arc::clone(&all), stop.clone(), host.clone(), place, sources));
        Self(Arc::new(Inner {
            host: host.clone(),
            schedules,
            all,
            stop,
            task: Mutex::new(Some(task)),
        }))
    }

    /// The schedules, those of workflows and those that were made through the API.
    #[must_use]
    pub fn schedules(&self) -> &Schedules {
        &self.0.schedules
    }

    /// The triggers of an organization's workflows, and how they are: those that are run here, and those that others run,
    /// such as webhooks.
    #[must_use]
    pub fn list(&self, organization: &str) -> Vec<TriggerView> {
        let all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let active = Arc::clone(&self.0.host.active(None).borrow());
        let mut views = Vec::new();
        for active in active.iter().filter(|active| *active.organization == *organization) {
            let problems = self.0.host.trigger_problems(organization, &active.workflow);
            for trigger in &active.plan.triggers {
                let bound = all.iter().find(|bound| {
                    bound.organization == organization
                        && bound.workflow == *active.workflow
                        && bound.trigger.id == trigger.id
                });
                views.push(bound.map_or_else(
                    || {
                        TriggerView {
                            workflow: active.workflow.to_string(),
                            trigger: trigger.id.clone(),
                            kind: trigger.kind.clone(),
                            problem: problems
                                .iter()
                                .find(|problem| problem.path == trigger.location.path)
                                .map(|problem| problem.message.clone()),
                        }
                    },
                    |bound| bound.view(),
                ));
            }
        }
        views
    }

    /// Stops all of them. What is under way is durable or comes again. Call it before the host is stopped.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // One that panicked has been reported by its panic.
            let _ = task.await;
        }
        self.0.schedules.stopped().await;
    }
}

async fn supervise(
    shown: All,
    stop: CancellationToken,
    host: Host,
    place: Arc<dyn Place>,
    sources: Vec<Arc<dyn Source>>,
) {
    let mut active = host.active(None);
    let mut running: Running = BTreeMap::new();
    let mut rest = REST;
    loop {
        let list = Arc::clone(&active.borrow_and_update());
        let mut all = bind(&list, &place, &sources);
        let before = std::mem::take(&mut *shown.lock().unwrap_or_else(PoisonError::into_inner));
        for bound in &mut all {
            // One that goes on as it is keeps what it has to say.
            if let Some(same) = before
                .iter()
                .find(|other| name(other) == name(bound) && bound.is_like(other))
            {
                *bound = Arc::clone(same);
            }
        }
        shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&all);
        leave(&all, &mut running).await;
        let is_left = |old: &&Arc<Bound>| !all.iter().any(|bound| Arc::ptr_eq(bound, old));
        before.iter().filter(is_left).for_each(|old| old.forget());
        let done = apply(&sources, &all, &mut running, &stop).await;
        let again = async {
            if done {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(rest).await;
        };
        tokio::select! {
            () = stop.cancelled() => break,
            changed = active.changed() => if changed.is_err() { stop.cancelled().await; break },
            () = again => rest = (rest * 2).min(LONG_REST),
        }
        if done {
            rest = REST;
        }
    }
    for (_, (_, stop, task)) in running {
        stop.cancel();
        let _ = task.await;
    }
}

fn name(bound: &Bound) -> (String, String) {
    (bound.organization.clone(), bound.name())
}

/// Stops what is not there any more or has changed.
async fn leave(all: &[Arc<Bound>], running: &mut Running) {
    let wanted: BTreeMap<_, _> = all.iter().map(|bound| (name(bound), bound)).collect();
    let leaving: Vec<_> = running
        .iter()
        .filter(|(name, (bound, ..))| wanted.get(*name).is_none_or(|wanted| !wanted.is_like(bound)))
        .map(|(name, _)| name.clone())
        .collect();
    let leaving: Vec<_> = leaving.iter().filter_map(|name| running.remove(name)).collect();
    for (_, stop, _) in &leaving {
        stop.cancel();
    }
    for (_, _, task) in leaving {
        let _ = task.await;
    }
}

/// Starts what is new. False where something is to be tried again.
async fn apply(
    sources: &[Arc<dyn Source>],
    all: &[Arc<Bound>],
    running: &mut Running,
    stop: &CancellationToken,
) -> bool {
    let mut done = true;
    for source in sources {
        let kind = source.kind().name;
        let own: Vec<_> = all.iter().filter(|bound| bound.trigger.kind == kind).cloned().collect();
        if let Err(error) = source.present(&own).await {
            tracing::warn!(kind, %error, "triggers could not be noted");
            for bound in &own {
                bound.report(Some(error.to_string()));
            }
            done = false;
            continue;
        }
        for bound in own {
            if let Some(unusable) = &bound.unusable {
                bound.report(Some(unusable.clone()));
                continue;
            }
            running.entry(name(&bound)).or_insert_with(|| {
                let stop = stop.child_token();
                let task = tokio::spawn(run(Arc::clone(source), Arc::clone(&bound), stop.clone()));
                (bound, stop, task)
            });
        }
    }
    done
}

/// Runs one trigger, again and again where it fails.
async fn run(source: Arc<dyn Source>, bound: Arc<Bound>, stop: CancellationToken) {
    let mut rest = REST;
    while !stop.is_cancelled() {
        let began = tokio::time::Instant::now();
        match source.run(Arc::clone(&bound), stop.clone()).await {
            Ok(()) => return,
            Err(error) => bound.report(Some(error.to_string())),
        }
        if began.elapsed() > LONG_REST {
            rest = REST;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => rest = (rest * 2).min(LONG_REST),
        }
    }
}

/// The triggers of these workflows that one of the sources runs.
fn bind(active: &[Active], place: &Arc<dyn Place>, sources: &[Arc<dyn Source>]) -> Vec<Arc<Bound>> {
    let kinds: Vec<&str> = sources.iter().map(|source| source.kind().name).collect();
    let mut all = Vec::new();
    for workflow in active {
        for trigger in workflow
            .plan
            .triggers
            .iter()
            .filter(|trigger| kinds.contains(&trigger.kind.as_str()))
        {
            let config = workflow.plan.trigger_config(trigger, &workflow.settings);
            let unusable = config.as_ref().err().map(ToString::to_string);
            all.push(Arc::new(Bound {
                organization: workflow.organization.to_string(),
                workflow: workflow.workflow.to_string(),
                trigger: trigger.clone(),
                config: config.unwrap_or_default(),
                active: workflow.clone(),
                place: Arc::clone(place),
                unusable,
                problem: Mutex::default(),
            }));
        }
    }
    all
}
