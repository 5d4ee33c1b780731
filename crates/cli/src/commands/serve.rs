//! `bowline serve`: the server, from its configuration to its end.

use std::path::Path;
use std::sync::Arc;

use bowline_connector::Watch;
use bowline_host::{ErrorKind, Host, HostError, HostOptions};
use bowline_server::config::Loaded;
use bowline_server::{ServeError, Server, Stop, accept, notify};
use bowline_telemetry::Telemetry;
use bowline_testing::MockServices;

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::session::block_on;
use crate::wiring::signals::Signals;
use crate::wiring::{environment, logging, masker, registry, server, settings, store};

pub(super) fn run(args: &ServeArgs, log: Option<&str>) -> Result {
    let loaded = server::configuration(&args.config)?;
    logging::install_server(log.unwrap_or(&loaded.config.logs.filter), loaded.config.logs.format);
    block_on(serve(args, loaded))
}

async fn serve(args: &ServeArgs, loaded: Loaded) -> Result {
    let mut signals = Signals::install()?;
    let workflows = server::workflows(&loaded).to_owned();
    let mocks = match &args.mocks {
        Some(file) => Some(MockServices::start_file(file).await?),
        None => None,
    };
    let mock_env = mocks.as_ref().map(MockServices::env).unwrap_or_default();
    // Before anything is opened: another server in this place is told at once.
    let listener = accept::listener(&loaded.config).map_err(|error| match store::holder(server::data(&loaded)) {
        // Likely it is that one which listens here.
        Some(holder) => in_use(&holder, server::data(&loaded), &error),
        None => refused(&error),
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::usage(format!("the address that is listened on is not known: {error}")))?;
    if !address.ip().is_loopback()
        && let Some(why) = server::without_keys(&loaded, address.ip())?
    {
        return Err(Failure::usage(why));
    }
    let folder = server::data(&loaded).to_owned();
    let edits = server::file(&args.config)?.map(|file| tokio::spawn(settings::watch(file)));
    let config = loaded.config;
    let url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let telemetry = Telemetry::new(&config.traces).map_err(Failure::usage)?;
    let mut registry = Arc::unwrap_or_clone(registry());
    registry.set_watch(&(Arc::new(telemetry.clone()) as Arc<dyn Watch>));
    let mut options = HostOptions::new(&folder, Arc::new(registry), masker().clone());
    options.observers.push(Arc::new(telemetry.clone()));
    let traces = telemetry.clone();
    options.trace = Some(Arc::new(move || traces.new_trace()));
    options.workflows = Some(workflows);
    options.env = environment::variables(config.env_file.as_deref(), mock_env)?;
    options.credentials = environment::credentials(config.credentials.as_deref())?;
    options.public_url = Some(url.clone());
    options.engine.drivers = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(4);
    let host = Host::open(options).await.map_err(not_opened)?;
    telemetry.look_in(Arc::clone(host.store()));
    let stop = Stop::new();
    let grace = config.stop_grace.duration();
    let server = match Server::new(config, host.clone(), listener, stop.clone()) {
        Ok(server) => server,
        Err(error) => {
            host.stop(grace).await;
            return Err(refused(&error));
        }
    };
    server.app().metrics.attach(&telemetry);
    let server = server.with_door(&folder);
    terminal::print(&format!("listening on http://{address}"))?;
    notify::ready();
    let teller = stop.clone();
    let told = tokio::spawn(async move {
        signals.first().await;
        tracing::info!("stopping: requests and steps under way may end");
        notify::stopping();
        teller.stop();
    });
    server.run().await;
    host.stop(grace).await;
    telemetry.flush().await;
    told.abort();
    if let Some(edits) = edits {
        edits.abort();
    }
    Ok(Exit::Success)
}

fn in_use(holder: &str, folder: &Path, error: &ServeError) -> Failure {
    let folder = folder.display();
    let message = anyhow::anyhow!("the data folder {folder} is in use by {holder}, and {error}");
    Failure::new(Exit::Store, message).hint(
        "stop that process first; a second server needs a folder of its own (--data) and another port (--listen, port 0 \
         takes a free one)",
    )
}

fn refused(error: &ServeError) -> Failure {
    Failure::usage(error)
}

fn not_opened(error: HostError) -> Failure {
    let exit = match error.kind {
        ErrorKind::Invalid | ErrorKind::NotFound => Exit::Usage,
        _ => Exit::Store,
    };
    let hint = error.hint.clone();
    let failure = Failure::new(exit, anyhow::anyhow!("{}", error.message));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
