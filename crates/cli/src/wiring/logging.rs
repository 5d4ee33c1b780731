//! Logs: to stderr, above live progress, through the masker.

use bowline_expression::MaskingWriter;
use bowline_server::config::LogFormat;
use tracing_subscriber::EnvFilter;

use super::masker;
use crate::terminal;
use crate::terminal::screen::Above;

fn filter(filters: &str) -> EnvFilter {
    EnvFilter::try_new(filters).unwrap_or_else(|error| {
        terminal::note(&format!("warning: --log: {error}; warnings and errors are logged"));
        EnvFilter::new("warn")
    })
}

/// Sets up the logs of the server.
pub(crate) fn install_server(filters: &str, format: LogFormat) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(filters))
        .with_writer(|| MaskingWriter::new(Above, masker().clone()));
    let set = match format {
        LogFormat::Text => {
            let subscriber = subscriber.with_ansi(console::colors_enabled_stderr());
            tracing::subscriber::set_global_default(subscriber.finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(subscriber.json().flatten_event(true).finish()),
    };
    if set.is_err() {
        terminal::note("warning: logging was set up already");
    }
}

/// Sets up logging with these filters; warnings and errors where there are none.
pub(crate) fn install(filters: Option<&str>) {
    let filter = filter(filters.unwrap_or("warn"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(|| MaskingWriter::new(Above, masker().clone()))
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        terminal::note("warning: logging was set up already");
    }
}
