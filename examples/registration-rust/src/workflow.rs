//! The workflow itself.
//!
//! | service | if it fails |
//! |---|---|
//! | profile | the registration fails; there is nothing to clean up |
//! | payment | the registration fails, and the profile is deleted again |
//! | database | the error is collected, the registration goes on |
//! | notifications | the error is collected, the registration goes on |

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bowline::{Caught as _, Context, Workflow, WorkflowName};
use serde_json::json;

use crate::{
    DatabaseService, NotificationService, PaymentService, Registration, RegistrationResult, UserProfileService,
    external_api, internal,
};

/// The workflow's name, for those who start it.
pub const REGISTER: WorkflowName<Registration, RegistrationResult> = WorkflowName::new("user-registration");

/// What the workflow calls.
#[derive(Clone)]
pub struct Services {
    /// Keeps user profiles.
    pub profiles: Arc<dyn UserProfileService>,
    /// Takes payments.
    pub payments: Arc<dyn PaymentService>,
    /// Our own database.
    pub database: Arc<dyn DatabaseService>,
    /// Mail and SMS.
    pub notifications: Arc<dyn NotificationService>,
}

/// The workflow with its services.
#[must_use]
pub fn workflow(services: Services) -> Workflow<Registration, RegistrationResult> {
    Workflow::with(REGISTER, services, register)
}

/// Registers a user.
///
/// # Errors
/// Only where the execution is cancelled; the profile is deleted again then. All other failures are in the result.
pub async fn register(ctx: Context, services: Services, request: Registration) -> bowline::Result<RegistrationResult> {
    let profiles = ctx.service(&services.profiles, &external_api());
    let payments = ctx.service(&services.payments, &external_api());
    let database = ctx.service(&services.database, &internal());
    let notifications = ctx.service(&services.notifications, &internal());
    let Registration {
        user_profile: user,
        payment_request,
    } = request;

    // Critical. If the payment fails, the profile is deleted again.
    let saga = ctx.saga();
    let critical = saga
        .run(async {
            let cleaning = profiles.clone();
            let user_id = profiles
                .call("create profile", user.clone(), |profiles, user, call| async move {
                    profiles.create_user_profile(&user, &call.idempotency_key()).await
                })
                .undo(&saga, |ctx, user_id| async move {
                    let delete = cleaning
                        .on(&ctx)
                        .call("delete profile", user_id, |profiles, id, call| async move {
                            profiles.delete_user_profile(&id, &call.idempotency_key()).await
                        });
                    delete.await
                })
                .await
                .map_err(|error| error.context("Profile creation failed"))?;
            let payment = payments
                .call(
                    "process payment",
                    payment_request,
                    |payments, request, call| async move {
                        payments.process_payment(&request, &call.idempotency_key()).await
                    },
                )
                .await
                .map_err(|error| error.context("Payment processing failed"))?;
            Ok((user_id, payment))
        })
        .await;
    let (user_id, payment) = match critical.caught()? {
        Ok(done) => done,
        Err(error) => {
            let errors = vec![error.to_string()];
            return Ok(RegistrationResult::Failed { errors });
        }
    };

    // Best effort. A failure is collected; only a cancellation ends the workflow here.
    let mut errors = Vec::new();
    let registered_at = ctx.now().duration_since(UNIX_EPOCH)?.as_millis();
    let data = json!({
        "email": user.email,
        "transactionId": payment.transaction_id,
        "registrationDate": u64::try_from(registered_at)?,
    });
    let save = database.call(
        "save user data",
        (user_id.clone(), data),
        |database, (id, data), _| async move { database.save_user_data(&id, &data).await },
    );
    if let Err(error) = save.await.caught()? {
        errors.push(format!("Database save failed: {error}"));
    }
    let mail = notifications.call(
        "send welcome email",
        user.clone(),
        |notifications, user, call| async move {
            let key = call.idempotency_key();
            notifications
                .send_welcome_email(&user.email, &user.full_name, &key)
                .await
        },
    );
    if let Err(error) = mail.await.caught()? {
        errors.push(format!("Email notification failed: {error}"));
    }
    let text = format!("Welcome, {}!", user.full_name);
    let sms =
        notifications.call(
            "send welcome sms",
            (user.phone_number, text),
            |notifications, (to, text), call| async move {
                notifications.send_sms(&to, &text, &call.idempotency_key()).await
            },
        );
    if let Err(error) = sms.await.caught()? {
        errors.push(format!("SMS notification failed: {error}"));
    }
    Ok(RegistrationResult::Success { user_id, errors })
}
