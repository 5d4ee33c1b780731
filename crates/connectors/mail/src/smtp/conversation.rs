//! One conversation with a mail server, step by step.
//!
//! The steps are driven here and not by the library's own `send`, because only who knows the step at which a
//! conversation broke knows whether the message can have been sent, and because every recipient has an answer
//! of its own.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bowline_connector::{StepContext, StepError};
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism as Sasl};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;

use super::config::{Mechanism, Security, SmtpConfig, Tls};
use super::error::{Reply, before_data, cause, connection, timed_out, unknown};

/// A mail server and how to talk to it.
pub(crate) struct Server {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    mechanisms: Vec<Sasl>,
    hello: ClientId,
    timeout: Duration,
    data_timeout: Duration,
    attachment_folders: Arc<[String]>,
}

/// A recipient that the server did not take.
pub(crate) struct Refusal {
    pub(crate) address: Address,
    pub(crate) reply: Reply,
}

/// A message that the server took.
pub(crate) struct Delivery {
    pub(crate) accepted: Vec<Address>,
    pub(crate) refused: Vec<Refusal>,
    /// What the server said to the message, such as `250 OK: queued as 12345`.
    pub(crate) response: String,
}

/// One message for some recipients.
pub(crate) struct Letter {
    pub(crate) from: Address,
    pub(crate) to: Vec<Address>,
    pub(crate) message: Vec<u8>,
    /// Send to those that the server takes, although it refuses others.
    pub(crate) allow_refusals: bool,
}

impl Server {
    /// Reads the configuration, certificates included.
    pub(super) fn new(ctx: &StepContext, config: SmtpConfig) -> Result<Self, StepError> {
        let port = config.port();
        if config.host.trim().is_empty() || config.host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid("`host` is not a host name"));
        }
        let hello = match config.helo_name {
            None => ClientId::default(),
            Some(name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic()) => ClientId::Domain(name),
            Some(_) => return Err(invalid("`heloName` is not a host name")),
        };
        let credentials = match (config.username, config.password) {
            (None, None) => None,
            (Some(user), Some(password)) => {
                if config.security == Security::None && !is_local(&config.host) {
                    return Err(invalid(
                        "with `security: none` the password would be sent in clear; use `tls` or `starttls`",
                    ));
                }
                // What SASL sends is another form of the password, which a server may quote.
                ctx.masker
                    .add(&BASE64.encode(format!("\0{user}\0{}", password.expose())));
                Some(Credentials::new(user, password.expose().to_owned()))
            }
            _ => return Err(invalid("`username` and `password` belong together")),
        };
        let mechanisms = match config.mechanism {
            None => DEFAULT_MECHANISMS.to_vec(),
            Some(Mechanism::Plain) => vec![Sasl::Plain],
            Some(Mechanism::Login) => vec![Sasl::Login],
            Some(Mechanism::Xoauth2) => vec![Sasl::Xoauth2],
        };
        let tls = match config.security {
            Security::None => None,
            Security::Tls | Security::Starttls => Some(tls(&config.host, &config.tls.unwrap_or_default(), ctx)?),
        };
        Ok(Self {
            host: config.host,
            port,
            security: config.security,
            tls,
            credentials,
            mechanisms,
            hello,
            timeout: config.timeout.map_or(Duration::from_secs(30), |limit| limit.0),
            data_timeout: config.data_timeout.map_or(Duration::from_mins(5), |limit| limit.0),
            attachment_folders: config.attachment_folders.into(),
        })
    }

    /// Folders from which attachments may be read, besides the workflow's own.
    pub(super) fn attachment_folders(&self) -> &[String] {
        &self.attachment_folders
    }

    /// Whether conversations begin with a login.
    pub(super) fn has_login(&self) -> bool {
        self.credentials.is_some()
    }

    /// Where it is.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Waits for an answer, but not longer than `timeout`.
    async fn answer<T>(&self, what: &str, wait: impl Future<Output = Result<T, Error>>) -> Result<T, StepError> {
        match tokio::time::timeout(self.timeout, wait).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(before_data(&error, what, &self.name())),
            Err(_) => Err(timed_out(&self.name(), self.timeout)),
        }
    }

    /// Begins a conversation: connects, encrypts, logs in.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, StepError> {
        let wrapped = if self.security == Security::Tls {
            self.tls.clone()
        } else {
            None
        };
        let server = (self.host.as_str(), self.port);
        let opening = AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, wrapped, None);
        let mut talk = self.answer("the conversation", opening).await?;
        if self.security == Security::Starttls {
            let Some(parameters) = self.tls.clone().filter(|_| talk.can_starttls()) else {
                return Err(StepError::permanent(
                    "smtp.no-starttls",
                    format!("{} does not offer STARTTLS, so nothing was sent", self.name()),
                ));
            };
            self.answer("STARTTLS", talk.starttls(parameters, &self.hello)).await?;
        }
        if self.security != Security::None && !talk.is_encrypted() {
            return Err(StepError::permanent(
                "smtp.tls",
                format!("{} is not encrypted", self.name()),
            ));
        }
        if let Some(credentials) = &self.credentials {
            if talk.server_info().get_auth_mechanism(&self.mechanisms).is_none() {
                let wanted: Vec<_> = self.mechanisms.iter().map(ToString::to_string).collect();
                return Err(StepError::permanent(
                    "smtp.no-login",
                    format!("{} offers no login by {}", self.name(), wanted.join(" or ")),
                ));
            }
            self.answer("the login", talk.auth(&self.mechanisms, credentials))
                .await?;
        }
        Ok(talk)
    }

    /// Whether a conversation that was not used for a while still is one.
    pub(super) async fn is_alive(&self, talk: &mut AsyncSmtpConnection) -> bool {
        !talk.has_broken()
            && tokio::time::timeout(self.timeout, talk.test_connected())
                .await
                .unwrap_or(false)
    }

    /// Ends a conversation as is polite; how it ends does not matter any more.
    pub(super) async fn quit(&self, mut talk: AsyncSmtpConnection) {
        let _ = tokio::time::timeout(self.timeout, talk.quit()).await;
    }

    /// Hands one letter over. The flag says whether the conversation may be used again.
    pub(super) async fn deliver(
        &self,
        talk: &mut AsyncSmtpConnection,
        letter: &Letter,
    ) -> (Result<Delivery, StepError>, bool) {
        let (accepted, refused) = match self.envelope(talk, letter).await {
            Ok(parts) => parts,
            Err(error) => return (Err(error), self.reset(talk).await),
        };
        if accepted.is_empty() || (!refused.is_empty() && !letter.allow_refusals) {
            return (Err(all_refused(&refused, &accepted)), self.reset(talk).await);
        }
        if let Err(error) = self.answer("the message", talk.command(Data)).await {
            return (Err(error), self.reset(talk).await);
        }
        // From here on the message may be sent, unless the server says that it is not.
        match tokio::time::timeout(self.data_timeout, talk.message(&letter.message)).await {
            Ok(Ok(response)) => (
                Ok(Delivery {
                    accepted,
                    refused,
                    response: text(&response),
                }),
                true,
            ),
            Ok(Err(error)) => match Reply::of(&error) {
                Some(reply) => (Err(reply.error("the message")), self.reset(talk).await),
                None => (Err(unknown(&self.name(), &cause(&error).to_string())), false),
            },
            Err(_) => (
                Err(unknown(&self.name(), &format!("none within {:?}", self.data_timeout))),
                false,
            ),
        }
    }

    /// Names the sender and the recipients; every recipient is answered for itself.
    async fn envelope(
        &self,
        talk: &mut AsyncSmtpConnection,
        letter: &Letter,
    ) -> Result<(Vec<Address>, Vec<Refusal>), StepError> {
        let mut parameters = Vec::new();
        if std::iter::once(&letter.from)
            .chain(&letter.to)
            .any(|address| !AsRef::<str>::as_ref(address).is_ascii())
        {
            if !talk.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(StepError::permanent(
                    "smtp.no-smtputf8",
                    format!(
                        "an address has letters beyond ASCII, which {} does not take (SMTPUTF8)",
                        self.name()
                    ),
                ));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        self.answer(
            "the sender",
            talk.command(Mail::new(Some(letter.from.clone()), parameters)),
        )
        .await?;
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for address in &letter.to {
            let command = Rcpt::new(address.clone(), Vec::new());
            match tokio::time::timeout(self.timeout, talk.command(command)).await {
                Ok(Ok(_)) => accepted.push(address.clone()),
                Ok(Err(error)) => match Reply::of(&error) {
                    // The server is about to hang up: this is no answer to the recipient.
                    Some(reply) if reply.code == 421 => return Err(reply.error("the recipients")),
                    Some(reply) => refused.push(Refusal {
                        address: address.clone(),
                        reply,
                    }),
                    None => return Err(connection(&error, &self.name())),
                },
                Err(_) => return Err(timed_out(&self.name(), self.timeout)),
            }
        }
        Ok((accepted, refused))
    }

    /// Forgets a letter that was not handed over. Says whether the conversation goes on.
    async fn reset(&self, talk: &mut AsyncSmtpConnection) -> bool {
        !talk.has_broken() && matches!(tokio::time::timeout(self.timeout, talk.command(Rset)).await, Ok(Ok(_)))
    }
}

/// One error for all refused recipients: trying again helps only if it can help every one of them.
fn all_refused(refused: &[Refusal], accepted: &[Address]) -> StepError {
    let worst = refused
        .iter()
        .find(|refusal| !refusal.reply.is_transient())
        .or(refused.first());
    let Some(worst) = worst else {
        return StepError::permanent("smtp.no-recipient", "there is no recipient");
    };
    let rejected: Vec<_> = refused
        .iter()
        .map(|Refusal { address, reply }| {
            serde_json::json!({ "address": address.to_string(), "status": reply.code, "message": reply.text })
        })
        .collect();
    let accepted: Vec<_> = accepted.iter().map(ToString::to_string).collect();
    let what = format!(
        "{} of {} recipients, first {}",
        refused.len(),
        refused.len() + accepted.len(),
        worst.address
    );
    worst.reply.error(&what).with_data(serde_json::json!({
        "status": worst.reply.code, "message": worst.reply.text, "rejected": rejected, "wouldAccept": accepted,
    }))
}

fn text(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" ")).trim_end().to_owned()
}

fn tls(host: &str, tls: &Tls, ctx: &StepContext) -> Result<TlsParameters, StepError> {
    let mut builder = TlsParametersBuilder::new(host.to_owned());
    if let Some(ca) = &tls.ca {
        let pem = if ca.contains("-----BEGIN") {
            ca.clone()
        } else {
            std::fs::read_to_string(ctx.file("tls.ca", ca)?)
                .map_err(|error| invalid(&format!("`tls.ca`: cannot read {ca}")).caused_by(&error))?
        };
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(invalid("`tls.ca` holds no certificate in PEM form"));
        }
        let certificate = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| invalid("`tls.ca` is not a certificate in PEM form").caused_by(&error))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    if tls.insecure_skip_verify {
        tracing::warn!(
            host,
            "the mail server's certificate is not verified (tls.insecureSkipVerify)"
        );
        builder = builder
            .dangerous_accept_invalid_certs(true)
            .dangerous_accept_invalid_hostnames(true);
    }
    builder
        .build()
        .map_err(|error| invalid("the TLS settings do not work").caused_by(&error))
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn invalid(message: &str) -> StepError {
    StepError::permanent("config.invalid", message)
}
