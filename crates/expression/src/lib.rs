//! `${}` templates over JSONata, and secrets that stay secret.
//!
//! Three things live here because each needs the other two:
//!
//! - [`Expression`] is the body of one `${}`, compiled once and shared. It is given only the names it reads,
//!   so what it can see is known before it runs, and so is whether its result is a secret.
//! - [`Template`] is any JSON value whose strings may hold expressions. Rendering it gives the value for the
//!   connector and a masked twin for everybody else.
//! - [`Masker`] knows the texts of secrets and takes them out of what services send back and of what is
//!   logged; [`MaskingWriter`] does so for a log file or a terminal. [`Secret`] is one such text in a
//!   configuration.
//!
//! What always holds: evaluation is a function of the expression, the values it reads and a [`Moment`], so a
//! replay gives the same result; it ends within [`Limits`]; and no error text contains the value of a secret.
//!
//! ```
//! use std::collections::BTreeMap;
//! use bowline_expression::{Binding, Moment, Template};
//! use serde_json::json;
//!
//! let template = Template::compile(&json!({"total": "${$sum(input.prices)}", "to": "Dear ${input.name}"})).unwrap();
//! let scope = BTreeMap::from([(
//!     "input".to_owned(),
//!     Binding::open(json!({"prices": [1, 2], "name": "Ada"})),
//! )]);
//! let rendered = template.render(&scope, &Moment::default()).unwrap();
//! assert_eq!(rendered.value, json!({"total": 3, "to": "Dear Ada"}));
//! ```

mod error;
mod expression;
mod hint;
mod limits;
mod masker;
mod scan;
mod scope;
mod secret;
mod template;

pub use error::{CompileError, ExpressionError, TemplateError};
pub use expression::{Evaluated, Expression, Roots};
pub use hint::nearest;
pub use limits::{Limits, Moment};
pub use masker::{Masker, MaskingWriter};
pub use scan::escape;
pub use scope::{Binding, Scope};
pub use secret::{MASK, Secret};
pub use template::{Rendered, Template};
