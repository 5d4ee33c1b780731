//! `bowline keys`, `bowline organizations`.

use bowline_access::{Role, Scope};
use bowline_connector::Millis;
use clap::{Args, Subcommand};

use super::DataArgs;

/// `bowline keys ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make an API key and print it. It cannot be shown again.
    #[command(after_help = "Example: bowline keys create 'deployment pipeline' --role deployer --expires 90d")]
    Create(KeyCreateArgs),
    /// List the API keys of an organization.
    #[command(after_help = "Example: bowline keys list --json")]
    List(KeyListArgs),
    /// Give a key another secret and print it. The one before is accepted for a while too, so that nobody is shut out.
    #[command(after_help = "Example: bowline keys rotate 3f9c2a7d51e0b846 --overlap 2h")]
    Rotate(KeyRotateArgs),
    /// Revoke a key, for good.
    #[command(after_help = "Example: bowline keys revoke 3f9c2a7d51e0b846")]
    Revoke(KeyRevokeArgs),
}

/// `bowline organizations ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum OrganizationsCommand {
    /// Make an organization. Nothing of another one exists for those who belong to it.
    #[command(after_help = "Example: bowline organizations create acme --title 'Acme Corporation'")]
    Create(OrganizationCreateArgs),
    /// List the organizations.
    #[command(after_help = "Example: bowline organizations list --json")]
    List(OrganizationListArgs),
    /// Refuse the keys and tokens of an organization. Its executions go on.
    #[command(after_help = "Example: bowline organizations disable acme")]
    Disable(OrganizationArgs),
    /// Accept the keys and tokens of an organization again.
    #[command(after_help = "Example: bowline organizations enable acme")]
    Enable(OrganizationArgs),
}

/// Whose keys.
#[derive(Debug, Args)]
pub(crate) struct OfOrganization {
    /// The organization.
    #[arg(long, value_name = "NAME", default_value = bowline_access::DEFAULT_ORGANIZATION)]
    pub(crate) organization: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `bowline keys create`.
#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    /// What it is for.
    pub(crate) name: String,

    /// How much it may do: viewer, operator, deployer, or admin.
    #[arg(long)]
    pub(crate) role: Role,

    /// What it may work with; may be given several times, or with commas. Default: all but `organizations`.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    pub(crate) scopes: Vec<Scope>,

    /// After how long it expires, such as `90d`. Default: never.
    #[arg(long, value_name = "TIME", value_parser = Millis::parse)]
    pub(crate) expires: Option<Millis>,

    #[command(flatten)]
    pub(crate) of: OfOrganization,
}

/// `bowline keys list`.
#[derive(Debug, Args)]
pub(crate) struct KeyListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) of: OfOrganization,
}

/// `bowline keys rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeyRotateArgs {
    /// The id of the key.
    pub(crate) id: String,

    /// How long the secret before is accepted too. `0s` ends it at once.
    #[arg(long, value_name = "TIME", value_parser = Millis::parse, default_value = "1d")]
    pub(crate) overlap: Millis,

    #[command(flatten)]
    pub(crate) of: OfOrganization,
}

/// `bowline keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct KeyRevokeArgs {
    /// The id of the key.
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) of: OfOrganization,
}

/// `bowline organizations create`.
#[derive(Debug, Args)]
pub(crate) struct OrganizationCreateArgs {
    /// Its name in paths and tokens: a-z, 0-9 and `-`.
    pub(crate) name: String,

    /// What it is called. Default: its name.
    #[arg(long, default_value = "")]
    pub(crate) title: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `bowline organizations list`.
#[derive(Debug, Args)]
pub(crate) struct OrganizationListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `bowline organizations disable` and `enable`.
#[derive(Debug, Args)]
pub(crate) struct OrganizationArgs {
    /// Its name.
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}
