//! Testing a connection: one HEAD request to its `baseUrl`, as a step would make it.

use bowline_connector::{Millis, StepContext, StepError, Tested};

use crate::config::Config;
use crate::connection::HttpConnection;
use crate::method::Method;
use crate::request;

/// How long the other side has to answer, in milliseconds.
const PATIENCE: u64 = 10_000;

/// Whether the service answers, and takes the credentials.
pub(crate) async fn test(ctx: StepContext, name: String) -> Result<Tested, StepError> {
    let connection = ctx.connection::<HttpConnection>(&name)?;
    let Some(base) = &connection.base else {
        return Err(StepError::permanent(
            "connection.untestable",
            format!("connection `{name}` has no baseUrl, so there is nothing to ask"),
        ));
    };
    let place = crate::target::place(base);
    let has_credentials = connection.has_credentials();
    let config = Config {
        connection: Some(name),
        method: Method::Head,
        timeout: Some(Millis(std::time::Duration::from_millis(PATIENCE))),
        ..Config::default()
    };
    let (status, error) = match request::run(ctx, config).await {
        Ok(output) => (output.status, None),
        Err(error) => match error
            .code
            .strip_prefix("http.")
            .and_then(|code| code.parse::<u16>().ok())
        {
            Some(status) => (status, Some(error)),
            None => return Err(error),
        },
    };
    let refused = matches!(status, 401 | 403 | 407);
    let message = match (refused, has_credentials) {
        (true, true) => format!("HEAD {place} answered {status}: it did not take the credentials"),
        (true, false) => format!("HEAD {place} answered {status}: it wants credentials, and the connection has none"),
        (false, _) => format!("HEAD {place} answered {status}"),
    };
    Ok(Tested {
        reachable: true,
        authenticated: match (refused, status) {
            (true, _) => Some(false),
            (false, 200..400) if has_credentials => Some(true),
            // Many services have nothing at their root; that says nothing about credentials.
            _ => None,
        },
        error: error.filter(|_| refused || status >= 500),
        message,
    })
}
