//! The payment gateway over HTTP.

use async_trait::async_trait;
use bowline::Classify as _;
use reqwest::Client;
use serde::Serialize;
use serde_json::json;
use url::Url;

use super::{PaymentService, http};
use crate::{PaymentRequest, PaymentResult};

/// Calls `POST /payments` and `POST /refunds` with an API key.
pub struct HttpPayments {
    client: Client,
    base: Url,
    api_key: String,
}

impl HttpPayments {
    /// A client of the gateway at `base`.
    #[must_use]
    pub fn new(client: Client, base: Url, api_key: String) -> Self {
        Self { client, base, api_key }
    }

    async fn post(&self, path: &str, body: &(impl Serialize + Sync), key: &str) -> bowline::Result<PaymentResult> {
        let url = self.base.join(path).permanent("payment.url")?;
        let request = self.client.post(url).header("X-API-Key", &self.api_key);
        let answer = http::send(request.header("Idempotency-Key", key).json(body)).await?;
        // The money has moved, whatever the answer looks like.
        answer.json().await.outcome_unknown("payment.bad-answer")
    }
}

#[async_trait]
impl PaymentService for HttpPayments {
    async fn process_payment(&self, request: &PaymentRequest, key: &str) -> bowline::Result<PaymentResult> {
        self.post("payments", request, key).await
    }

    async fn refund_payment(&self, transaction_id: &str, amount: f64, key: &str) -> bowline::Result<PaymentResult> {
        let body = json!({ "transactionId": transaction_id, "amount": amount });
        self.post("refunds", &body, key).await
    }
}
