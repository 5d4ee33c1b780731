//! What goes into the registration and its services, and what comes out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A user, as the profile service knows one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserProfile {
    /// Chosen by the caller.
    pub user_id: String,
    /// Where the welcome mail goes.
    pub email: String,
    /// How the user is addressed.
    pub full_name: String,
    /// Where the welcome SMS goes, such as `+4790000001`.
    pub phone_number: String,
    /// Whatever else the user chose.
    #[serde(default)]
    pub preferences: Map<String, Value>,
}

/// A payment to take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentRequest {
    /// Who pays.
    pub user_id: String,
    /// How much, in units of the currency.
    pub amount: f64,
    /// Default `USD`.
    #[serde(default = "usd")]
    pub currency: String,
    /// Such as `card`.
    pub payment_method: String,
    /// What the user reads on the bill.
    pub description: String,
}

fn usd() -> String {
    "USD".into()
}

/// A payment that was taken or given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentResult {
    /// The gateway's number.
    pub transaction_id: String,
    /// Such as `success` or `refunded`.
    pub status: String,
    /// How much.
    pub amount: f64,
    /// When, as the gateway says it.
    pub timestamp: String,
}

/// The input of the workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// Who registers.
    pub user_profile: UserProfile,
    /// What the registration costs.
    pub payment_request: PaymentRequest,
}

/// The result of the workflow. A registration that failed is a result too: the workflow has done all that was to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RegistrationResult {
    /// The user is registered.
    Success {
        /// Whose registration it is.
        user_id: String,
        /// What went wrong without stopping the registration.
        errors: Vec<String>,
    },
    /// There is no profile, or the payment failed and the profile was deleted again.
    Failed {
        /// Why, and what could not be cleaned up.
        errors: Vec<String>,
    },
}
