//! Running mock services.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bowline_expression::Moment;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::{MockError, Problem};
use crate::plan::{Kind, Plan, env_scope};
use crate::recorder::{Call, Recorder};
use crate::{extend, http, smtp, yaml};

/// How long [`MockServices::stop`] waits for answers that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// How mocks are started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MockOptions {
    /// The folder that `record` and `extends` in the definition are relative to; the current one by default.
    pub base_dir: PathBuf,
    /// A file that calls are appended to as JSON lines, instead of the definition's `record`. Relative to the
    /// current folder.
    pub record: Option<PathBuf>,
}

impl MockOptions {
    /// Files are relative to `base_dir`.
    pub fn in_folder(base_dir: impl Into<PathBuf>) -> Self {
        Self {
            base_dir: base_dir.into(),
            record: None,
        }
    }

    /// Appends every call to `file`.
    #[must_use]
    pub fn record(mut self, file: impl Into<PathBuf>) -> Self {
        self.record = Some(file.into());
        self
    }
}

/// Mock services that listen on 127.0.0.1. Dropping them closes every connection at once; [`stop`](Self::stop)
/// lets answers that are under way finish.
pub struct MockServices {
    services: Vec<Running>,
    env: BTreeMap<String, String>,
    recorder: Arc<Recorder>,
    stop: CancellationToken,
}

struct Running {
    id: String,
    url: String,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The connections live in the task and end with it.
        self.accepting.abort();
    }
}

impl MockServices {
    /// Checks a definition without starting anything; what it `extends` is relative to `base_dir`.
    ///
    /// # Errors
    /// [`MockError::Invalid`] with every problem.
    pub fn check(definition: &Value, base_dir: &Path) -> Result<(), MockError> {
        Plan::compile(&extend::resolve(definition, base_dir)?).map(drop)
    }

    /// Starts the services of a mocks file, in YAML or JSON. `record` and `extends` are relative to the file.
    ///
    /// # Errors
    /// The file cannot be read or is wrong, or what [`start_with`](Self::start_with) says.
    pub async fn start_file(path: impl AsRef<Path>) -> Result<Self, MockError> {
        let path = path.as_ref();
        let definition = read_definition(path)?;
        Self::start(&definition, path.parent().unwrap_or(Path::new(""))).await
    }

    /// Starts the services of a definition; `record` and `extends` in it are relative to `base_dir`.
    ///
    /// # Errors
    /// What [`start_with`](Self::start_with) says.
    pub async fn start(definition: &Value, base_dir: &Path) -> Result<Self, MockError> {
        Self::start_with(definition, MockOptions::in_folder(base_dir)).await
    }

    /// Starts the services of a definition. All of them listen when this returns.
    ///
    /// # Errors
    /// [`MockError::Invalid`] with every problem of the definition, [`MockError::PortInUse`] or
    /// [`MockError::Bind`] for a port, [`MockError::Record`] for the file.
    pub async fn start_with(definition: &Value, options: MockOptions) -> Result<Self, MockError> {
        let plan = Plan::compile(&extend::resolve(definition, &options.base_dir)?)?;
        let record = options
            .record
            .or_else(|| plan.record.map(|file| options.base_dir.join(file)));
        let recorder = Arc::new(Recorder::new(record.as_deref().map(open_record).transpose()?));
        let stop = CancellationToken::new();

        let mut bound = Vec::new();
        for service in plan.services {
            let (listener, address) = listen(&service.id, service.port).await?;
            bound.push((service, listener, address));
        }
        let places = bound
            .iter()
            .map(|(service, _, address)| (service.id.as_str(), service.kind.scheme(), *address));
        let env = match &plan.env {
            Some(template) => template
                .render(&env_scope(places), &Moment::default())
                .map(|rendered| texts(&rendered.value))
                .map_err(|error| MockError::Invalid(vec![Problem::new("env", error.to_string())]))?,
            None => BTreeMap::new(),
        };
        let services = bound
            .into_iter()
            .map(|(service, listener, address)| Running {
                url: format!("{}://{address}", service.kind.scheme()),
                address,
                accepting: accepting(service.kind, listener, &recorder, &stop),
                id: service.id,
            })
            .collect();
        Ok(Self {
            services,
            env,
            recorder,
            stop,
        })
    }

    /// The base URL of a service, such as `http://127.0.0.1:40123`, without a slash at the end.
    pub fn url(&self, id: &str) -> Option<&str> {
        self.running(id).map(|service| service.url.as_str())
    }

    /// Where a service listens.
    pub fn address(&self, id: &str) -> Option<SocketAddr> {
        self.running(id).map(|service| service.address)
    }

    /// The base URL of every service, by id.
    pub fn urls(&self) -> BTreeMap<String, String> {
        self.services
            .iter()
            .map(|service| (service.id.clone(), service.url.clone()))
            .collect()
    }

    /// The environment variables that the definition sets for the workflow.
    pub fn env(&self) -> BTreeMap<String, String> {
        self.env.clone()
    }

    /// The calls to a service so far, oldest first; none for a service that does not exist.
    pub fn calls(&self, id: &str) -> Vec<Call> {
        self.recorder.of(id)
    }

    /// The calls to all services so far, oldest first.
    pub fn all_calls(&self) -> Vec<Call> {
        self.recorder.all()
    }

    /// Waits until a service has had `wanted` calls at least, and returns all it has had.
    ///
    /// # Errors
    /// [`MockError::NoSuchService`], or [`MockError::TooFewCalls`] after `within`.
    pub async fn wait_for_calls(&self, id: &str, wanted: usize, within: Duration) -> Result<Vec<Call>, MockError> {
        self.wait_for(id, wanted, within, |_| true).await?;
        Ok(self.calls(id))
    }

    /// Waits until `wanted` calls to a service satisfy `which`, and returns those that do.
    ///
    /// # Errors
    /// [`MockError::NoSuchService`], or [`MockError::TooFewCalls`] after `within`.
    pub async fn wait_for(
        &self,
        id: &str,
        wanted: usize,
        within: Duration,
        which: impl Fn(&Call) -> bool + Send + Sync,
    ) -> Result<Vec<Call>, MockError> {
        if self.running(id).is_none() {
            let known: Vec<&str> = self.services.iter().map(|service| service.id.as_str()).collect();
            return Err(MockError::NoSuchService {
                id: id.to_owned(),
                known: known.join(", "),
            });
        }
        let deadline = Instant::now() + within;
        let mut changes = self.recorder.changes();
        loop {
            // Marked as seen before counting: a call that comes in between wakes the wait below.
            changes.mark_unchanged();
            let seen = self.recorder.count(id, &which);
            if seen >= wanted {
                return Ok(self.recorder.of(id).into_iter().filter(|call| which(call)).collect());
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(MockError::TooFewCalls {
                    service: id.to_owned(),
                    wanted,
                    seen: self.recorder.count(id, &which),
                    within,
                });
            }
        }
    }

    /// Stops: no new connections, answers under way are sent (delays end at once), calls that hang are cut.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let deadline = Instant::now() + GRACE;
        for service in &mut self.services {
            match timeout_at(deadline, &mut service.accepting).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(service = service.id, %error, "a mock service failed"),
                Err(_) => tracing::warn!(
                    service = service.id,
                    "a mock service did not stop in time and is cut off"
                ),
            }
        }
    }

    fn running(&self, id: &str) -> Option<&Running> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Reads a mocks file into a definition, without checking what it says.
///
/// # Errors
/// [`MockError::Read`] or [`MockError::Syntax`].
pub fn read_definition(path: &Path) -> Result<Value, MockError> {
    let text = std::fs::read_to_string(path).map_err(|source| MockError::Read {
        path: path.to_owned(),
        source,
    })?;
    yaml::read(&text).map_err(|message| MockError::Syntax {
        path: path.to_owned(),
        message,
    })
}

fn open_record(path: &Path) -> Result<std::fs::File, MockError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| MockError::Record {
        path: path.to_owned(),
        source,
    })
}

async fn listen(service: &str, port: u16) -> Result<(TcpListener, SocketAddr), MockError> {
    let bound = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    bound.await.map_err(|source| {
        let service = service.to_owned();
        if source.kind() == io::ErrorKind::AddrInUse {
            MockError::PortInUse { service, port }
        } else {
            MockError::Bind { service, port, source }
        }
    })
}

fn accepting(kind: Kind, listener: TcpListener, recorder: &Arc<Recorder>, stop: &CancellationToken) -> JoinHandle<()> {
    let recorder = Arc::clone(recorder);
    let stop = stop.clone();
    match kind {
        Kind::Http(service) => {
            let service = Arc::new(service);
            let stopping = stop.clone();
            let serve = move |stream| {
                http::connection::serve(stream, Arc::clone(&service), Arc::clone(&recorder), stop.clone())
            };
            tokio::spawn(accept(listener, stopping, serve))
        }
        Kind::Smtp(service) => {
            let service = Arc::new(service);
            let stopping = stop.clone();
            let serve =
                move |stream| smtp::session::serve(stream, Arc::clone(&service), Arc::clone(&recorder), stop.clone());
            tokio::spawn(accept(listener, stopping, serve))
        }
    }
}

/// Takes connections until the mocks stop, then waits for those that are left.
async fn accept<F, S>(listener: TcpListener, stop: CancellationToken, serve: S)
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream) -> F,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => finished(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: let connections end before trying again.
                    tracing::warn!(%error, "a mock cannot take a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        finished(ended);
    }
}

fn finished(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection to a mock failed");
    }
}

/// The environment as texts.
fn texts(env: &Value) -> BTreeMap<String, String> {
    let fields = env.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (name.clone(), text)
        })
        .collect()
}
