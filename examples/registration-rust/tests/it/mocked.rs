//! Mocked services, virtual time: each row of the error table, and a crash at every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bowline::testing::{World, crash_at_every_commit};
use bowline::{Bowline, Error};
use bowline_example_registration::{
    DatabaseService, NotificationService, PaymentRequest, PaymentResult, PaymentService, RegistrationResult, Services,
    UserProfile, UserProfileService, workflow,
};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ada;

/// All four services: notes every call with its key, and fails those it is told to.
#[derive(Default)]
struct Mock {
    fails: BTreeMap<&'static str, Error>,
    calls: Mutex<Vec<(&'static str, String)>>,
    /// This call never ends, and tells when it begins.
    hangs: Option<(&'static str, Arc<Notify>)>,
    /// How long such calls were waited for.
    waited: Mutex<Vec<Duration>>,
}

/// Measures how long a call that never ends is waited for.
struct Waits<'a> {
    began: Instant,
    waited: &'a Mutex<Vec<Duration>>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.waited.lock().unwrap().push(self.began.elapsed());
    }
}

impl Mock {
    fn failing(fails: impl IntoIterator<Item = (&'static str, Error)>) -> Arc<Self> {
        Arc::new(Self {
            fails: fails.into_iter().collect(),
            ..Self::default()
        })
    }

    fn call(&self, what: &'static str, key: &str) -> bowline::Result<()> {
        self.calls.lock().unwrap().push((what, key.to_owned()));
        self.fails.get(what).cloned().map_or(Ok(()), Err)
    }

    async fn hang(&self, what: &'static str) {
        if let Some((hangs, began)) = &self.hangs
            && *hangs == what
        {
            began.notify_one();
            let _waits = Waits {
                began: Instant::now(),
                waited: &self.waited,
            };
            std::future::pending::<()>().await;
        }
    }

    /// How often each was called, in order of the first call.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for (what, _) in self.calls.lock().unwrap().iter() {
            match counts.iter_mut().find(|(known, _)| known == what) {
                Some((_, count)) => *count += 1,
                None => counts.push((what, 1)),
            }
        }
        counts
    }

    /// Every distinct thing that was done: a repeated call with the same key is no other thing.
    fn effects(&self) -> BTreeSet<(&'static str, String)> {
        self.calls.lock().unwrap().iter().cloned().collect()
    }

    fn services(self: &Arc<Self>) -> Services {
        let (profiles, payments, database) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        Services {
            profiles,
            payments,
            database,
            notifications: Arc::clone(self) as _,
        }
    }
}

#[async_trait]
impl UserProfileService for Mock {
    async fn create_user_profile(&self, profile: &UserProfile, key: &str) -> bowline::Result<String> {
        self.call("create profile", key)?;
        Ok(profile.user_id.clone())
    }

    async fn get_user_profile(&self, _: &str) -> bowline::Result<Option<UserProfile>> {
        panic!("the registration does not read profiles")
    }

    async fn update_user_profile(&self, _: &str, _: &Map<String, Value>, _: &str) -> bowline::Result<bool> {
        panic!("the registration does not change profiles")
    }

    async fn delete_user_profile(&self, user_id: &str, key: &str) -> bowline::Result<()> {
        assert_eq!(user_id, "user-1001");
        self.call("delete profile", key)
    }
}

#[async_trait]
impl PaymentService for Mock {
    async fn process_payment(&self, request: &PaymentRequest, key: &str) -> bowline::Result<PaymentResult> {
        self.call("process payment", key)?;
        self.hang("process payment").await;
        Ok(PaymentResult {
            transaction_id: "txn-1".into(),
            status: "success".into(),
            amount: request.amount,
            timestamp: "2024-01-01T00:00:00Z".into(),
        })
    }

    async fn refund_payment(&self, _: &str, _: f64, _: &str) -> bowline::Result<PaymentResult> {
        panic!("the registration gives nothing back")
    }
}

#[async_trait]
impl DatabaseService for Mock {
    async fn save_user_data(&self, user_id: &str, data: &Value) -> bowline::Result<()> {
        assert_eq!((user_id, &data["transactionId"]), ("user-1001", &Value::from("txn-1")));
        self.call("save user data", "")?;
        self.hang("save user data").await;
        Ok(())
    }

    async fn get_user_data(&self, _: &str) -> bowline::Result<Option<Value>> {
        panic!("the registration reads no user data")
    }
}

#[async_trait]
impl NotificationService for Mock {
    async fn send_welcome_email(&self, email: &str, user_name: &str, key: &str) -> bowline::Result<()> {
        assert_eq!((email, user_name), ("ada@example.com", "Ada Lovelace"));
        self.call("send mail", key)
    }

    async fn send_sms(&self, phone_number: &str, message: &str, key: &str) -> bowline::Result<()> {
        assert_eq!((phone_number, message), ("+4790000001", "Welcome, Ada Lovelace!"));
        self.call("send sms", key)
    }
}

/// Runs the registration; its result, what was called how often, and how long it took.
async fn register(mock: &Arc<Mock>) -> (RegistrationResult, Vec<(&'static str, usize)>, Duration) {
    let workflow = workflow(mock.services());
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let result = world.run(&workflow, ada()).await.unwrap();
    (result, mock.counts(), world.elapsed())
}

fn success(errors: &[&str]) -> RegistrationResult {
    RegistrationResult::Success {
        user_id: "user-1001".into(),
        errors: errors.iter().map(ToString::to_string).collect(),
    }
}

fn failed(error: &str) -> RegistrationResult {
    RegistrationResult::Failed {
        errors: vec![error.to_owned()],
    }
}

fn busy() -> Error {
    Error::transient("service.busy", "busy")
}

#[tokio::test]
async fn when_all_is_well_everything_is_done_once() {
    let (result, calls, took) = register(&Mock::failing([])).await;
    assert_eq!(result, success(&[]));
    let once = [
        "create profile",
        "process payment",
        "save user data",
        "send mail",
        "send sms",
    ];
    assert_eq!(calls, once.map(|what| (what, 1)));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test]
async fn without_a_profile_the_registration_fails_and_there_is_nothing_to_clean_up() {
    let (result, calls, took) = register(&Mock::failing([("create profile", busy())])).await;
    assert_eq!(result, failed("Profile creation failed: busy [service.busy]"));
    assert_eq!(calls, [("create profile", 5)]);
    // 2 + 4 + 8 + 16 seconds between five attempts.
    assert_eq!(took, Duration::from_secs(30));
}

#[tokio::test]
async fn without_a_payment_the_registration_fails_and_the_profile_is_deleted() {
    let (result, calls, took) = register(&Mock::failing([("process payment", busy())])).await;
    assert_eq!(result, failed("Payment processing failed: busy [service.busy]"));
    assert_eq!(
        calls,
        [("create profile", 1), ("process payment", 5), ("delete profile", 1)]
    );
    assert_eq!(took, Duration::from_secs(30));
}

#[tokio::test]
async fn a_declined_card_is_not_tried_again() {
    let declined = Error::permanent("card.declined", "the card was declined");
    let (result, calls, took) = register(&Mock::failing([("process payment", declined)])).await;
    assert_eq!(
        result,
        failed("Payment processing failed: the card was declined [card.declined]")
    );
    assert_eq!(
        calls,
        [("create profile", 1), ("process payment", 1), ("delete profile", 1)]
    );
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test]
async fn a_profile_that_cannot_be_deleted_is_told_with_the_payment_that_failed() {
    let (result, calls, _) = register(&Mock::failing([
        ("process payment", busy()),
        ("delete profile", busy()),
    ]))
    .await;
    let RegistrationResult::Failed { errors } = result else {
        panic!("{result:?}");
    };
    assert!(errors[0].starts_with("Payment processing failed: busy"), "{errors:?}");
    assert!(errors[0].contains("could not be undone: busy"), "{errors:?}");
    assert_eq!(
        calls,
        [("create profile", 1), ("process payment", 5), ("delete profile", 5)]
    );
}

#[tokio::test]
async fn without_the_database_the_registration_goes_on() {
    best_effort("save user data", "Database save failed: busy [service.busy]").await;
}

#[tokio::test]
async fn without_mail_the_registration_goes_on() {
    best_effort("send mail", "Email notification failed: busy [service.busy]").await;
}

#[tokio::test]
async fn without_sms_the_registration_goes_on() {
    best_effort("send sms", "SMS notification failed: busy [service.busy]").await;
}

async fn best_effort(what: &'static str, told: &str) {
    let (result, calls, took) = register(&Mock::failing([(what, busy())])).await;
    assert_eq!(result, success(&[told]));
    let expected = [
        "create profile",
        "process payment",
        "save user data",
        "send mail",
        "send sms",
    ];
    assert_eq!(calls, expected.map(|step| (step, if step == what { 3 } else { 1 })));
    // 1 + 1.5 seconds between three attempts.
    assert_eq!(took, Duration::from_millis(2_500));
}

/// The time of a call under way is the runtime's, which is paused here and jumps.
#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_waited_for_as_long_as_its_options_say() {
    for (what, attempts, each, pauses) in [
        ("process payment", 5, Duration::from_mins(5), Duration::from_secs(30)),
        (
            "save user data",
            3,
            Duration::from_mins(2),
            Duration::from_millis(2_500),
        ),
    ] {
        let mock = Arc::new(Mock {
            hangs: Some((what, Arc::default())),
            ..Mock::default()
        });
        let (result, calls, took) = register(&mock).await;
        assert!(calls.contains(&(what, attempts)), "{calls:?}");
        assert_eq!(took, pauses);
        let waited = mock.waited.lock().unwrap().clone();
        assert_eq!(waited.len(), attempts);
        for waited in waited {
            assert!(waited >= each && waited < each + Duration::from_secs(1), "{waited:?}");
        }
        match result {
            RegistrationResult::Failed { errors } => {
                assert_eq!(what, "process payment");
                assert!(errors[0].contains("[timeout]"), "{errors:?}");
                assert_eq!(calls.last(), Some(&("delete profile", 1)));
            }
            RegistrationResult::Success { errors, .. } => {
                assert_eq!(what, "save user data");
                assert!(errors[0].starts_with("Database save failed"), "{errors:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_registration_that_is_cancelled_while_it_pays_deletes_the_profile() {
    let began = Arc::new(Notify::new());
    let mock = Arc::new(Mock {
        hangs: Some(("process payment", Arc::clone(&began))),
        ..Mock::default()
    });
    let workflow = workflow(mock.services());
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let handle = world.start(&workflow, ada()).await.unwrap();
    began.notified().await;
    assert!(world.cancel(handle.id(), "the user left").await.unwrap());
    assert!(handle.result().await.unwrap_err().is_cancelled());
    assert_eq!(mock.counts().last(), Some(&("delete profile", 1)));
}

#[tokio::test]
async fn a_crash_at_any_commit_changes_nothing() {
    for fails in [
        None,
        Some("create profile"),
        Some("process payment"),
        Some("save user data"),
        Some("send mail"),
    ] {
        let report = crash_at_every_commit("user-registration", ada(), || {
            let mock = Mock::failing(fails.map(|what| (what, busy())));
            let workflow = workflow(mock.services());
            (Bowline::builder().workflow(&workflow), move || mock.effects())
        });
        let report = report.await.unwrap();
        assert!(report.commits > 5, "{fails:?}: {}", report.commits);
    }
}
