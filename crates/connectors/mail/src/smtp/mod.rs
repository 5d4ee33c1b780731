//! The connection type `smtp`: a mail server, how to reach it, and a few open conversations with it.

mod config;
mod conversation;
mod error;
mod pool;
mod test;

use bowline_connector::{StepContext, StepError};

pub use config::{Mechanism, PoolConfig, Security, SmtpConfig, Tls};

pub(crate) use conversation::Letter;
pub(crate) use pool::Smtp;
pub(crate) use test::test;

use conversation::Server;

/// Builds a connection of type `smtp`. Opens nothing yet.
pub(crate) fn build(ctx: &StepContext, config: SmtpConfig) -> Result<Smtp, StepError> {
    let pool = config.pool.unwrap_or_default();
    if pool.max == 0 {
        return Err(StepError::permanent(
            "config.invalid",
            "`pool.max` is 0: no mail could ever be sent",
        ));
    }
    Ok(Smtp::new(Server::new(ctx, config)?, pool))
}
