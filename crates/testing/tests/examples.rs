//! The mocks of the examples: they start, set the variables that the workflows read, and do what their names say.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test needs and does not get fails it"
)]

use std::path::{Path, PathBuf};

use bowline_testing::{MockServices, mocks_schema, read_definition};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

async fn start(file: &str) -> MockServices {
    match MockServices::start_file(examples().join(file)).await {
        Ok(mocks) => mocks,
        Err(error) => panic!("{file}: {error}"),
    }
}

fn input(example: &str) -> Value {
    let text = std::fs::read_to_string(examples().join(example).join("input.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn post(mocks: &MockServices, variable: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}{path}", mocks.env()[variable]);
    let response = Client::new()
        .post(url)
        .header("idempotency-key", "k")
        .json(body)
        .send()
        .await
        .unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn every_mocks_file_starts_and_fits_the_schema() {
    let schema = mocks_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut files = 0;
    for folder in std::fs::read_dir(examples())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("mocks") {
                let definition = read_definition(&file).unwrap();
                let errors: Vec<_> = validator
                    .iter_errors(&definition)
                    .map(|error| error.to_string())
                    .collect();
                assert_eq!(errors, Vec::<String>::new(), "{}", file.display());
                let mocks = start(&file.to_string_lossy()).await;
                assert!(!mocks.env().is_empty(), "{}", file.display());
                files += 1;
            }
        }
    }
    assert!(files >= 11, "{files}");
}

#[tokio::test]
async fn registration_has_all_it_talks_to() {
    let mocks = start("user-registration/mocks.yaml").await;
    let env = mocks.env();
    for name in [
        "PROFILE_TOKEN",
        "PAYMENT_API_KEY",
        "SMS_AUTH_TOKEN",
        "USERS_DB",
        "SMTP_HOST",
        "SMTP_PORT",
    ] {
        assert!(!env[name].is_empty(), "{name}");
    }
    let input = input("user-registration");
    let created = post(&mocks, "PROFILE_URL", "/profiles", &input["userProfile"]).await;
    assert_eq!(created, (StatusCode::CREATED, json!({ "userId": "user-1001" })));
    let profile = format!("{}/profiles/user-1001", env["PROFILE_URL"]);
    assert_eq!(
        reqwest::get(&profile).await.unwrap().json::<Value>().await.unwrap()["userId"],
        "user-1001"
    );
    assert_eq!(
        Client::new().delete(&profile).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );

    let paid = post(&mocks, "PAYMENT_URL", "/payments", &input["paymentRequest"]).await;
    assert_eq!((paid.0, &paid.1["amount"]), (StatusCode::CREATED, &json!(49.9)));
    assert!(paid.1["transactionId"].as_str().unwrap().starts_with("txn-"));
    assert_eq!(
        post(&mocks, "PAYMENT_URL", "/payments", &input["paymentRequest"]).await,
        paid
    );
    let refund = json!({ "transactionId": paid.1["transactionId"], "amount": 49.9 });
    assert_eq!(
        post(&mocks, "PAYMENT_URL", "/refunds", &refund).await.1["status"],
        "refunded"
    );

    let sms = format!(
        "{}/2010-04-01/Accounts/{}/Messages.json",
        env["SMS_URL"], env["SMS_ACCOUNT_SID"]
    );
    let form = [("To", "+4790000001"), ("From", "+4790000002"), ("Body", "Welcome")];
    let answer = Client::new().post(sms).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        (&answer["to"], &answer["num_segments"]),
        (&json!("+4790000001"), &json!("1"))
    );
    assert_eq!(answer["sid"].as_str().unwrap().len(), 34);
}

#[tokio::test]
async fn each_failure_of_a_registration_is_the_one_in_its_name() {
    let input = input("user-registration");
    for (file, variable, path, status) in [
        ("profile-fails", "PROFILE_URL", "/profiles", 422),
        ("payment-fails", "PAYMENT_URL", "/payments", 503),
        ("payment-declined", "PAYMENT_URL", "/payments", 402),
        ("sms-fails", "SMS_URL", "/2010-04-01/Accounts/AC/Messages.json", 400),
    ] {
        let mocks = start(&format!("user-registration/mocks.{file}.yaml")).await;
        assert_eq!(
            post(&mocks, variable, path, &input["paymentRequest"]).await.0,
            status,
            "{file}"
        );
        if variable != "PROFILE_URL" {
            assert_eq!(
                post(&mocks, "PROFILE_URL", "/profiles", &input["userProfile"]).await.0,
                201,
                "{file}"
            );
        }
    }
    let env = start("user-registration/mocks.database-fails.yaml").await.env();
    assert!(!Path::new(&env["USERS_DB"]).parent().unwrap().exists());
    let mocks = start("user-registration/mocks.email-fails.yaml").await;
    assert!(mocks.url("mail").is_some());
}

#[tokio::test]
async fn an_order_can_be_placed_and_undone() {
    let order = input("order-saga");
    let mocks = start("order-saga/mocks.yaml").await;
    for (variable, action, undo, id) in [
        ("INVENTORY_URL", "/reserve", "/release", "reservationId"),
        ("PAYMENT_URL", "/charge", "/refund", "transactionId"),
        ("SHIPPING_URL", "/ship", "/cancel", "shipmentId"),
    ] {
        let (status, done) = post(&mocks, variable, action, &order).await;
        assert_eq!(status, StatusCode::CREATED, "{action}");
        let (status, undone) = post(&mocks, variable, undo, &json!({ id: done[id] })).await;
        assert_eq!((status, &undone[id]), (StatusCode::OK, &done[id]), "{undo}");
    }
    let mocks = start("order-saga/mocks.shipping-fails.yaml").await;
    assert_eq!(post(&mocks, "PAYMENT_URL", "/charge", &order).await.0, 201);
    assert_eq!(post(&mocks, "SHIPPING_URL", "/ship", &order).await.0, 422);
}

#[tokio::test]
async fn an_order_fans_out() {
    let order = input("fan-out");
    let mocks = start("fan-out/mocks.yaml").await;
    for (variable, path) in [
        ("INVENTORY_URL", "/inventory/update"),
        ("MAILER_URL", "/confirmations"),
        ("ANALYTICS_URL", "/events"),
        ("SHIPPING_URL", "/shipments"),
    ] {
        assert!(post(&mocks, variable, path, &order).await.0.is_success(), "{path}");
    }
}

#[tokio::test]
async fn suppliers_quote_and_the_cheapest_may_hang() {
    let mocks = start("scatter-gather/mocks.yaml").await;
    let mut prices = Vec::new();
    for variable in ["PRICE_A_URL", "PRICE_B_URL", "PRICE_C_URL"] {
        let quote: Value = reqwest::get(format!("{}/quote", mocks.env()[variable]))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(quote["currency"], "EUR");
        prices.push(quote["price"].as_f64().unwrap());
    }
    assert!(prices[2] < prices[1] && prices[1] < prices[0]);
    let mocks = start("scatter-gather/mocks.slow.yaml").await;
    assert_eq!(
        reqwest::get(format!("{}/quote", mocks.env()["PRICE_B_URL"]))
            .await
            .unwrap()
            .status(),
        200
    );
    let hanging = tokio::spawn(reqwest::get(format!("{}/quote", mocks.env()["PRICE_C_URL"])));
    let calls = mocks
        .wait_for_calls("price_c", 1, std::time::Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(calls[0].fault.as_deref(), Some("hang"));
    drop(mocks);
    assert!(hanging.await.unwrap().is_err());
}
