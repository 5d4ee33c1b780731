//! A user registration: profile, payment, database, notifications.
//!
//! [`register`] is the workflow. It knows four traits ([`UserProfileService`], [`PaymentService`],
//! [`DatabaseService`], [`NotificationService`]); [`services`] has implementations that call real ones, and the
//! tests put mocks in their place.

mod options;
pub mod services;
mod types;
mod workflow;

pub use options::{external_api, internal};
pub use services::{DatabaseService, NotificationService, PaymentService, UserProfileService};
pub use types::{PaymentRequest, PaymentResult, Registration, RegistrationResult, UserProfile};
pub use workflow::{REGISTER, Services, register, workflow};
