//! The four services, as the workflow sees them, and what really calls them.
//!
//! Each call that changes something gets an idempotency key: it is the same for every attempt of a step, also after a
//! crash, so that a service can tell a repeated request from a new one.

mod database;
mod http;
mod notifications;
mod payments;
mod profiles;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use database::SqliteDatabase;
pub use notifications::{MailSettings, Notifier, SmsSettings};
pub use payments::HttpPayments;
pub use profiles::HttpProfiles;

use crate::{PaymentRequest, PaymentResult, UserProfile};

/// Keeps user profiles.
#[async_trait]
pub trait UserProfileService: Send + Sync {
    /// Creates a profile and returns its id.
    async fn create_user_profile(&self, profile: &UserProfile, key: &str) -> bowline::Result<String>;

    /// The profile with this id; none if there is none.
    async fn get_user_profile(&self, user_id: &str) -> bowline::Result<Option<UserProfile>>;

    /// Changes some fields of a profile; false if there is none with this id.
    async fn update_user_profile(
        &self,
        user_id: &str,
        updates: &Map<String, Value>,
        key: &str,
    ) -> bowline::Result<bool>;

    /// Deletes a profile; does nothing if it is gone already.
    async fn delete_user_profile(&self, user_id: &str, key: &str) -> bowline::Result<()>;
}

/// Takes payments and gives them back.
#[async_trait]
pub trait PaymentService: Send + Sync {
    /// Takes a payment.
    async fn process_payment(&self, request: &PaymentRequest, key: &str) -> bowline::Result<PaymentResult>;

    /// Gives a payment back.
    async fn refund_payment(&self, transaction_id: &str, amount: f64, key: &str) -> bowline::Result<PaymentResult>;
}

/// Our own database of users. Saving is repeatable by itself, so it needs no key.
#[async_trait]
pub trait DatabaseService: Send + Sync {
    /// Keeps data of a user, in place of what was kept before.
    async fn save_user_data(&self, user_id: &str, data: &Value) -> bowline::Result<()>;

    /// What was kept; none if nothing was.
    async fn get_user_data(&self, user_id: &str) -> bowline::Result<Option<Value>>;
}

/// Tells users things.
#[async_trait]
pub trait NotificationService: Send + Sync {
    /// Sends the welcome mail.
    async fn send_welcome_email(&self, email: &str, user_name: &str, key: &str) -> bowline::Result<()>;

    /// Sends an SMS.
    async fn send_sms(&self, phone_number: &str, message: &str, key: &str) -> bowline::Result<()>;
}
