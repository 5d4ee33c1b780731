//! Who may do what: API keys, JSON Web Tokens, roles, organizations, sessions, and the audit log.
//!
//! Start reading at [`Access::authenticate`]: from the text of an `Authorization` header to a [`Caller`], which
//! [`Caller::may`] holds to a rule. What changes keys is in `manage`, and writes its line of the audit log in the same
//! commit. All of it is kept in the store's entries; another process that changes them is obeyed within a second.

mod access;
mod audit;
mod cache;
mod caller;
mod config;
mod denied;
mod error;
mod jwks;
mod jwt;
mod keys;
mod log;
mod manage;
mod organizations;
mod recorder;
mod role;
mod secret;
mod sessions;
mod time;

pub use access::{Access, Inner};
pub use audit::{Audit, AuditEntry, AuditFilter, AuditPage, Outcome};
pub use caller::{Caller, DEFAULT_ORGANIZATION, Kind};
pub use config::{Config, Jwt, OneOrMore, TokenAlgorithm};
pub use denied::Denied;
pub use error::AccessError;
pub use keys::{KeyState, KeyView, MadeKey, NewKey, PREFIX};
pub use organizations::OrganizationView;
pub use recorder::{RecordError, Recorder};
pub use role::{Role, Scope};
pub use secret::random_text;
pub use sessions::{MadeSession, form_token, is_form_token};
