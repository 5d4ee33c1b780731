//! Testing a connection: a conversation that ends before a message is handed over.

use bowline_connector::{StepContext, StepError, Tested};

use super::Smtp;

/// Whether the server answers, encrypts as it is asked to, and takes the login.
pub(crate) async fn test(ctx: StepContext, name: String) -> Result<Tested, StepError> {
    ctx.connection::<Smtp>(&name)?.test().await
}
