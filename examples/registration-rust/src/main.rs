//! Registers the user of a file, or goes on with what an earlier process left.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bowline::Bowline;
use bowline_example_registration::services::{
    HttpPayments, HttpProfiles, MailSettings, Notifier, SmsSettings, SqliteDatabase,
};
use bowline_example_registration::{REGISTER, Registration, RegistrationResult, Services, workflow};
use clap::Parser;
use url::Url;

/// How long calls under way may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Registers a user: profile, payment, database, mail and SMS.
#[derive(Parser)]
struct Args {
    /// A JSON file with `userProfile` and `paymentRequest`; without it, unfinished registrations go on.
    input: Option<PathBuf>,
    /// Where executions are kept.
    #[arg(long, default_value = ".bowline")]
    data: PathBuf,
    /// The profile service.
    #[arg(long, env)]
    profile_url: Url,
    /// Its bearer token.
    #[arg(long, env, hide_env_values = true)]
    profile_token: String,
    /// The payment gateway.
    #[arg(long, env)]
    payment_url: Url,
    /// Its API key.
    #[arg(long, env, hide_env_values = true)]
    payment_api_key: String,
    /// The database of users.
    #[arg(long, env, default_value = "users.db")]
    users_db: PathBuf,
    /// The mail server, such as `smtps://user:password@mail.example`.
    #[arg(long, env, hide_env_values = true)]
    smtp_url: String,
    /// The SMS API.
    #[arg(long, env)]
    sms_url: Url,
    /// Its account.
    #[arg(long, env)]
    sms_account_sid: String,
    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    sms_auth_token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let services = services(&args).map_err(bowline::Error::into_step_error)?;
    let workflow = workflow(services);
    let bowline = Bowline::builder().workflow(&workflow).open(&args.data).await;
    let bowline = bowline.map_err(bowline::Error::into_step_error)?;
    let done = match &args.input {
        Some(file) => register(&bowline, file).await,
        None => bowline.settled().await.map_err(|error| error.into_step_error().into()),
    };
    bowline.stop(GRACE).await;
    done
}

async fn register(bowline: &Bowline, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let request: Registration = serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?;
    let result = async {
        let handle = bowline.start(REGISTER, request).await?;
        handle.result().await
    };
    let result = result.await.map_err(bowline::Error::into_step_error)?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &result)?;
    writeln!(out)?;
    anyhow::ensure!(
        matches!(result, RegistrationResult::Success { .. }),
        "the registration failed"
    );
    Ok(())
}

fn services(args: &Args) -> bowline::Result<Services> {
    let client = reqwest::Client::new();
    let mail = MailSettings {
        server: args.smtp_url.clone(),
        from: "Welcome <welcome@example.com>".into(),
    };
    let sms = SmsSettings {
        base: args.sms_url.clone(),
        account: args.sms_account_sid.clone(),
        token: args.sms_auth_token.clone(),
        from: "+4790000000".into(),
    };
    Ok(Services {
        profiles: Arc::new(HttpProfiles::new(
            client.clone(),
            args.profile_url.clone(),
            args.profile_token.clone(),
        )),
        payments: Arc::new(HttpPayments::new(
            client.clone(),
            args.payment_url.clone(),
            args.payment_api_key.clone(),
        )),
        database: Arc::new(SqliteDatabase::new(&args.users_db)),
        notifications: Arc::new(Notifier::new(client, &mail, sms)?),
    })
}
