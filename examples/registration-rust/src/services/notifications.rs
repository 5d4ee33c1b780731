//! Mail over SMTP, and SMS over an HTTP API like Twilio's.

use async_trait::async_trait;
use bowline::{Classify as _, Error, ErrorKind};
use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Client;
use url::Url;

use super::{NotificationService, http};

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The server, such as `smtps://user:password@mail.example` or `smtp://127.0.0.1:2525`.
    pub server: String,
    /// Whom mail comes from, such as `Welcome <welcome@example.com>`.
    pub from: String,
}

/// How SMS are sent.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// The API, such as `https://api.twilio.com`.
    pub base: Url,
    /// The account.
    pub account: String,
    /// Its secret.
    pub token: String,
    /// Whom SMS come from, such as `+4790000000`.
    pub from: String,
}

/// Sends mail and SMS.
pub struct Notifier {
    mail: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    client: Client,
    sms: SmsSettings,
}

impl Notifier {
    /// Sends with these settings.
    ///
    /// # Errors
    /// Where the mail server or the sender is no such thing.
    pub fn new(client: Client, mail: &MailSettings, sms: SmsSettings) -> bowline::Result<Self> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&mail.server).permanent("smtp.server")?;
        Ok(Self {
            mail: transport.build(),
            from: mail.from.parse().permanent("smtp.from")?,
            client,
            sms,
        })
    }
}

#[async_trait]
impl NotificationService for Notifier {
    async fn send_welcome_email(&self, email: &str, user_name: &str, key: &str) -> bowline::Result<()> {
        let to: lettre::Address = email.parse().permanent("smtp.address")?;
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(user_name.to_owned()), to))
            // The same for every attempt, so that mail programs show a repeated mail once.
            .message_id(Some(format!("<{key}@{domain}>")))
            .subject(format!("Welcome, {user_name}"))
            .body("Your registration is complete.".to_owned())
            .permanent("smtp.message")?;
        self.mail.send(message).await.map(drop).map_err(|error| smtp(&error))
    }

    async fn send_sms(&self, phone_number: &str, message: &str, key: &str) -> bowline::Result<()> {
        let SmsSettings {
            base,
            account,
            token,
            from,
        } = &self.sms;
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["2010-04-01", "Accounts", account, "Messages.json"]);
        }
        let form = [("To", phone_number), ("From", from), ("Body", message)];
        let request = self
            .client
            .post(url)
            .basic_auth(account, Some(token))
            .header("Idempotency-Key", key);
        http::send(request.form(&form)).await.map(drop)
    }
}

/// What a failed mail means for the next attempt.
fn smtp(error: &lettre::transport::smtp::Error) -> Error {
    let code = match error.status() {
        Some(status) => format!("smtp.{status}"),
        None => "smtp.failed".to_owned(),
    };
    let kind = if error.is_permanent() || error.is_client() {
        ErrorKind::Permanent
    } else if error.is_timeout() {
        ErrorKind::OutcomeUnknown
    } else {
        ErrorKind::Transient
    };
    Error::caused_by(code, kind, error)
}
