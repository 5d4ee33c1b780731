//! Logs: to stderr, above live progress, through the masker.

use bowline_expression::MaskingWriter;
use tracing_subscriber::EnvFilter;

use super::masker;
use crate::terminal;
use crate::terminal::screen::Above;

/// Sets up logging with these filters; warnings and errors where there are none.
pub(crate) fn install(filters: Option<&str>) {
    let filters = filters.unwrap_or("warn");
    let filter = EnvFilter::try_new(filters).unwrap_or_else(|error| {
        terminal::note(&format!("warning: --log: {error}; warnings and errors are logged"));
        EnvFilter::new("warn")
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(|| MaskingWriter::new(Above, masker().clone()))
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        terminal::note("warning: logging was set up already");
    }
}
