//! From a mocks definition to services that can start, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use bowline_expression::{Binding, Moment, Template, nearest};
use serde_json::{Map, Value, json};

use crate::check::{decode, dotted, join, kind_of, read};
use crate::definition::{Document, HttpService, SmtpService};
use crate::error::{MockError, Problem};
use crate::http::service::Service as Http;
use crate::smtp::Service as Smtp;

/// Services that can start.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) services: Vec<ServicePlan>,
    pub(crate) env: Option<Template>,
    pub(crate) record: Option<String>,
}

/// One service.
#[derive(Debug)]
pub(crate) struct ServicePlan {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) kind: Kind,
}

/// What a service speaks.
#[derive(Debug)]
pub(crate) enum Kind {
    Http(Http),
    Smtp(Smtp),
}

impl Kind {
    /// The scheme of the service's URL.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Smtp(_) => "smtp",
        }
    }
}

const TYPES: [&str; 2] = ["mock-http-service", "mock-smtp-service"];

impl Plan {
    /// Checks and compiles a definition.
    ///
    /// # Errors
    /// [`MockError::Invalid`] with every problem.
    pub(crate) fn compile(definition: &Value) -> Result<Self, MockError> {
        let mut problems = Vec::new();
        let document = match definition {
            Value::Array(services) => Some(Document::of_services(services.clone())),
            Value::Object(fields) => document(fields, &mut problems),
            other => {
                problems.push(
                    Problem::new("", format!("is {}", kind_of(other)))
                        .expected("a list of services, or a mapping with `services`"),
                );
                None
            }
        };
        let base = if definition.is_array() { "" } else { "services" };
        let mut plan = Self {
            services: Vec::new(),
            env: None,
            record: None,
        };
        if let Some(document) = document {
            for (index, service) in document.services.iter().enumerate() {
                let at = format!("{base}[{index}]");
                if let Some(service) = compile_service(service, &at, &mut problems) {
                    if plan.services.iter().any(|other| other.id == service.id) {
                        problems.push(Problem::new(
                            join(&at, "id"),
                            format!("a service `{}` is there already", service.id),
                        ));
                    }
                    plan.services.push(service);
                }
            }
            // Only where all services are known can a name be called unknown.
            let all_known = plan.services.len() == document.services.len();
            plan.env = compile_env(
                document.env,
                all_known.then_some(plan.services.as_slice()),
                &mut problems,
            );
            plan.record = document.record;
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(MockError::Invalid(problems))
        }
    }
}

/// The long form. Its services are left to [`compile_service`], which knows their types.
fn document(fields: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Document> {
    const FIELDS: [&str; 4] = ["services", "env", "record", "extends"];
    let mut fields = fields.clone();
    fields.retain(|name, _| {
        let known = FIELDS.contains(&name.as_str());
        if !known {
            let hint = nearest(name, FIELDS).map(|name| format!("did you mean `{name}`?"));
            let hint = hint.or_else(|| {
                (name == "id" || name == "type")
                    .then(|| "a single service is a list of one: begin with `- `".to_owned())
            });
            problems.push(
                Problem::new(name.as_str(), "unknown field")
                    .expected(format!("one of: {}", FIELDS.join(", ")))
                    .hint(hint),
            );
        }
        known
    });
    if !fields.contains_key("services") {
        if problems.is_empty() {
            problems.push(Problem::new("", "`services` is missing"));
        }
        return None;
    }
    let fields = Value::Object(fields);
    let mut told = Vec::new();
    let document = decode(&fields, "", &mut told);
    problems.extend(told);
    document
}

fn compile_service(service: &Value, at: &str, problems: &mut Vec<Problem>) -> Option<ServicePlan> {
    let Some(fields) = service.as_object() else {
        problems.push(
            Problem::new(at, format!("is {}", kind_of(service))).expected("a mapping with `id`, `type` and `config`"),
        );
        return None;
    };
    match fields.get("type").and_then(Value::as_str) {
        Some("mock-http-service") => {
            let service = read::<HttpService>(service, at, problems)?;
            let (id, port) = (service.id.clone(), service.config.port);
            let kind = Kind::Http(Http::compile(service, at, problems));
            Some(ServicePlan { id, port, kind })
        }
        Some("mock-smtp-service") => {
            let service = read::<SmtpService>(service, at, problems)?;
            let (id, port) = (service.id.clone(), service.config.port);
            let kind = Kind::Smtp(Smtp::compile(service, at, problems));
            Some(ServicePlan { id, port, kind })
        }
        Some(other) => {
            let hint = nearest(other, TYPES).map(|name| format!("did you mean `{name}`?"));
            let problem = Problem::new(join(at, "type"), format!("`{other}` is not a mock service"));
            problems.push(problem.expected(format!("one of: {}", TYPES.join(", "))).hint(hint));
            None
        }
        None => {
            problems.push(Problem::new(at, "`type` is missing").expected(format!("one of: {}", TYPES.join(", "))));
            None
        }
    }
}

/// Compiles `env`, and tries it on made-up addresses where the services are known.
fn compile_env(
    env: Map<String, Value>,
    services: Option<&[ServicePlan]>,
    problems: &mut Vec<Problem>,
) -> Option<Template> {
    if env.is_empty() {
        return None;
    }
    for (name, value) in &env {
        if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
            let problem = Problem::new(format!("env.{name}"), format!("is {}", kind_of(value)));
            problems.push(problem.expected("text, a number, or true or false"));
        }
        if name.is_empty() || name.contains(['=', '\0']) {
            problems.push(Problem::new(
                format!("env.{name}"),
                "is not the name of an environment variable",
            ));
        }
    }
    match Template::compile(&Value::Object(env)) {
        Ok(template) => {
            if let Some(services) = services {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
                let scope = env_scope(
                    services
                        .iter()
                        .map(|service| (service.id.as_str(), service.kind.scheme(), address)),
                );
                if let Err(error) = template.render(&scope, &Moment::default()) {
                    problems.push(
                        Problem::new(join("env", &dotted(&error.pointer)), error.message.clone()).hint(error.hint),
                    );
                }
            }
            Some(template)
        }
        Err(errors) => {
            for error in errors {
                problems.push(Problem::new(join("env", &dotted(&error.pointer)), error.message).hint(error.hint));
            }
            None
        }
    }
}

/// What `env` may read: `mocks`, with an address for each service.
pub(crate) fn env_scope<'a>(
    services: impl Iterator<Item = (&'a str, &'a str, SocketAddr)>,
) -> BTreeMap<String, Binding> {
    let mocks: Map<String, Value> = services
        .map(|(id, scheme, address)| {
            let place = json!({ "url": format!("{scheme}://{address}"), "host": address.ip().to_string(), "port": address.port() });
            (id.to_owned(), place)
        })
        .collect();
    BTreeMap::from([("mocks".to_owned(), Binding::open(Value::Object(mocks)))])
}
