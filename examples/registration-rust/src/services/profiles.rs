//! The profile service over HTTP.

use async_trait::async_trait;
use bowline::Classify as _;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{UserProfileService, http};
use crate::UserProfile;

/// Calls `POST /profiles`, and `GET`, `PATCH` and `DELETE` of `/profiles/{id}`, with a bearer token.
pub struct HttpProfiles {
    client: Client,
    base: Url,
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    user_id: String,
}

impl HttpProfiles {
    /// A client of the service at `base`.
    #[must_use]
    pub fn new(client: Client, base: Url, token: String) -> Self {
        Self { client, base, token }
    }

    fn request(&self, method: Method, id: Option<&str>) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("profiles").extend(id);
        }
        self.client.request(method, url).bearer_auth(&self.token)
    }
}

#[async_trait]
impl UserProfileService for HttpProfiles {
    async fn create_user_profile(&self, profile: &UserProfile, key: &str) -> bowline::Result<String> {
        let request = self
            .request(Method::POST, None)
            .header("Idempotency-Key", key)
            .json(profile);
        // It was created, whatever the answer looks like.
        let created: Created = http::send(request)
            .await?
            .json()
            .await
            .outcome_unknown("profile.bad-answer")?;
        Ok(created.user_id)
    }

    async fn get_user_profile(&self, user_id: &str) -> bowline::Result<Option<UserProfile>> {
        match http::send(self.request(Method::GET, Some(user_id))).await {
            Ok(response) => Ok(Some(response.json().await.permanent("profile.bad-answer")?)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn update_user_profile(
        &self,
        user_id: &str,
        updates: &Map<String, Value>,
        key: &str,
    ) -> bowline::Result<bool> {
        let request = self
            .request(Method::PATCH, Some(user_id))
            .header("Idempotency-Key", key)
            .json(updates);
        match http::send(request).await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete_user_profile(&self, user_id: &str, key: &str) -> bowline::Result<()> {
        let request = self
            .request(Method::DELETE, Some(user_id))
            .header("Idempotency-Key", key);
        match http::send(request).await {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_gone(error: &bowline::Error) -> bool {
    error.is(&format!("http.{}", StatusCode::NOT_FOUND.as_u16()))
}
