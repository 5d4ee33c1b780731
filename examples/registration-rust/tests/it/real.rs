//! The real implementations against mock servers that speak HTTP and SMTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bowline::{Bowline, Clock};
use bowline_example_registration::services::{
    HttpPayments, HttpProfiles, MailSettings, Notifier, SmsSettings, SqliteDatabase,
};
use bowline_example_registration::{
    DatabaseService as _, PaymentService as _, RegistrationResult, Services, UserProfileService as _, workflow,
};
use bowline_testing::MockServices;
use serde_json::{Map, json};
use url::Url;

use super::ada;

/// The mocks of the same workflow written in YAML.
async fn mocks(file: &str) -> MockServices {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../user-registration");
    MockServices::start_file(folder.join(file)).await.unwrap()
}

struct Real {
    profiles: Arc<HttpProfiles>,
    payments: Arc<HttpPayments>,
    database: Arc<SqliteDatabase>,
    notifications: Arc<Notifier>,
}

impl Real {
    fn new(mocks: &MockServices, users_db: PathBuf) -> Self {
        let url = |service: &str| Url::parse(mocks.url(service).unwrap()).unwrap();
        let client = reqwest::Client::new();
        let mail = MailSettings {
            server: mocks.url("mail").unwrap().to_owned(),
            from: "Welcome <welcome@example.com>".into(),
        };
        let sms = SmsSettings {
            base: url("sms"),
            account: "AC1".into(),
            token: "secret".into(),
            from: "+4790000000".into(),
        };
        Self {
            profiles: Arc::new(HttpProfiles::new(client.clone(), url("profile"), "token".into())),
            payments: Arc::new(HttpPayments::new(client.clone(), url("payment"), "key".into())),
            database: Arc::new(SqliteDatabase::new(users_db)),
            notifications: Arc::new(Notifier::new(client, &mail, sms).unwrap()),
        }
    }

    fn services(&self) -> Services {
        Services {
            profiles: Arc::clone(&self.profiles) as _,
            payments: Arc::clone(&self.payments) as _,
            database: Arc::clone(&self.database) as _,
            notifications: Arc::clone(&self.notifications) as _,
        }
    }
}

/// Runs the registration on a data folder, with pauses in virtual time; how it ended, and the calls by service.
async fn register(file: &str) -> (RegistrationResult, Vec<String>, Option<serde_json::Value>) {
    let mocks = mocks(file).await;
    let folder = tempfile::tempdir().unwrap();
    let real = Real::new(&mocks, folder.path().join("users.db"));
    let workflow = workflow(real.services());
    let builder = Bowline::builder()
        .workflow(&workflow)
        .engine_options(|options| options.clock = Clock::virtual_now());
    let bowline = builder.open(folder.path().join("data")).await.unwrap();
    let result = bowline.start(&workflow, ada()).await.unwrap().result().await;
    bowline.stop(Duration::from_secs(5)).await;
    let calls = mocks
        .all_calls()
        .iter()
        .map(|call| format!("{} {}", call.service, call.method))
        .collect();
    let saved = real.database.get_user_data("user-1001").await.unwrap();
    mocks.stop().await;
    (result.unwrap(), calls, saved)
}

/// Whether the user is registered, and what went wrong.
fn errors(result: &RegistrationResult) -> (bool, &[String]) {
    match result {
        RegistrationResult::Success { errors, .. } => (true, errors),
        RegistrationResult::Failed { errors } => (false, errors),
    }
}

fn failed_with(result: &RegistrationResult, what: &str, code: &str) -> bool {
    let (registered, errors) = errors(result);
    !registered && errors.len() == 1 && errors[0].starts_with(what) && errors[0].contains(code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_registered_over_http_sql_smtp_and_sms() {
    let (result, calls, saved) = register("mocks.yaml").await;
    assert_eq!(errors(&result), (true, &[][..]));
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert_eq!(calls[..2], ["profile POST", "payment POST"]);
    assert_eq!(saved.unwrap()["email"], json!("ada@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_refused_ends_the_registration() {
    let (result, calls, saved) = register("mocks.profile-fails.yaml").await;
    assert!(
        failed_with(&result, "Profile creation failed", "[http.422]"),
        "{result:?}"
    );
    assert_eq!(calls, ["profile POST"]);
    assert_eq!(saved, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_down_is_tried_five_times_and_the_profile_is_deleted() {
    let (result, calls, saved) = register("mocks.payment-fails.yaml").await;
    assert!(
        failed_with(&result, "Payment processing failed", "[http.503]"),
        "{result:?}"
    );
    let mut expected = vec!["profile POST"];
    expected.extend(["payment POST"; 5]);
    expected.push("profile DELETE");
    assert_eq!(calls, expected);
    assert_eq!(saved, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_refuses_does_not_stop_the_registration() {
    let (result, calls, saved) = register("mocks.email-fails.yaml").await;
    let (registered, errors) = errors(&result);
    assert!(
        registered && errors.len() == 1 && errors[0].starts_with("Email notification failed"),
        "{errors:?}"
    );
    assert_eq!(calls.iter().filter(|call| call.starts_with("sms")).count(), 1);
    assert!(saved.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sms_that_is_refused_does_not_stop_the_registration() {
    let (result, _, saved) = register("mocks.sms-fails.yaml").await;
    let (registered, errors) = errors(&result);
    assert!(
        registered && errors.len() == 1 && errors[0].starts_with("SMS notification failed"),
        "{errors:?}"
    );
    assert!(saved.is_some());
}

/// What the services can do besides what the registration needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_are_found_and_changed_and_payments_given_back() {
    let mocks = mocks("mocks.yaml").await;
    let folder = tempfile::tempdir().unwrap();
    let real = Real::new(&mocks, folder.path().join("users.db"));
    let refunded = real.payments.refund_payment("txn-7", 49.9, "key-1").await.unwrap();
    assert_eq!(
        (refunded.transaction_id.as_str(), refunded.status.as_str()),
        ("txn-7", "refunded")
    );
    let mut updates = Map::new();
    updates.insert("email".into(), json!("countess@example.com"));
    // The mock has no such route and answers 404, as a service does that does not know the user.
    let changed = real.profiles.update_user_profile("nobody", &updates, "key-2").await;
    assert!(!changed.unwrap());
    let calls = mocks.calls("profile");
    assert_eq!(calls[0].idempotency_key.as_deref(), Some("key-2"));
    mocks.stop().await;
}
