//! The registration with mocked services in virtual time, and with real implementations against mock servers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lints;
mod mocked;
mod real;

use bowline_example_registration::{PaymentRequest, Registration, UserProfile};

/// What every test registers.
fn ada() -> Registration {
    Registration {
        user_profile: UserProfile {
            user_id: "user-1001".into(),
            email: "ada@example.com".into(),
            full_name: "Ada Lovelace".into(),
            phone_number: "+4790000001".into(),
            preferences: serde_json::Map::new(),
        },
        payment_request: PaymentRequest {
            user_id: "user-1001".into(),
            amount: 49.9,
            currency: "USD".into(),
            payment_method: "card".into(),
            description: "Registration fee".into(),
        },
    }
}
