//! The table of routes. A route is added with all that is known of it: who may call it, what it takes and gives, and
//! its handler. The router, the OpenAPI document and the rules come from the one call, so none can be forgotten.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::App;
use crate::guard::{Guarded, Routes, Rule, Rules};
use crate::problem::{PROBLEM_JSON, Problem};

/// An OpenAPI 3.1 document.
pub type Document = Value;

/// The routes of the API while they are gathered.
pub struct Api {
    pub(crate) router: Router<App>,
    pub(crate) rules: Rules,
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

/// What is known of a route before its handler.
pub struct Operation {
    method: Method,
    path: &'static str,
    id: &'static str,
    rule: Rule,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    query: Option<fn(&mut SchemaGenerator) -> Schema>,
    fields: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Body>,
    answers: Vec<Answer>,
    problems: Vec<u16>,
}

struct Body {
    media: &'static str,
    schema: Option<fn(&mut SchemaGenerator) -> Schema>,
    example: Option<Value>,
    required: bool,
}

struct Answer {
    status: u16,
    description: &'static str,
    media: &'static str,
    schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

fn schema_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

impl Operation {
    /// A route: method, path in axum's notation (`/executions/{id}`), a unique name for generated clients, who may
    /// call it, the resource it belongs to, and one line on what it does.
    pub fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        rule: Rule,
        tag: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            rule,
            tag,
            summary,
            description: "",
            query: None,
            fields: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// More than the summary has room for (Markdown).
    #[must_use]
    pub fn description(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// The type of its query parameters.
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(schema_of::<T>);
        self
    }

    /// A query parameter whose name is followed by the path of a field in brackets, any number of times.
    #[must_use]
    pub fn fields(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.fields.push((name, meaning));
        self
    }

    /// A request header it reads, and what it means.
    #[must_use]
    pub fn header(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.headers.push((name, meaning));
        self
    }

    /// The type of its JSON body, with an example.
    #[must_use]
    pub fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body {
            media: "application/json",
            schema: Some(schema_of::<T>),
            example: Some(example),
            required: true,
        });
        self
    }

    /// As [`Operation::body`], and the body may be left away.
    #[must_use]
    pub fn optional_body<T: JsonSchema>(self, example: Value) -> Self {
        let mut operation = self.body::<T>(example);
        if let Some(body) = &mut operation.body {
            body.required = false;
        }
        operation
    }

    /// A JSON answer.
    #[must_use]
    pub fn answers<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            description,
            media: "application/json",
            schema: Some(schema_of::<T>),
        });
        self
    }

    /// An answer without a body (`media` empty) or with one that is not JSON.
    #[must_use]
    pub fn answers_with(mut self, status: u16, description: &'static str, media: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            description,
            media,
            schema: None,
        });
        self
    }

    /// Statuses of problems besides those that every route has.
    #[must_use]
    pub fn problems(mut self, statuses: &[u16]) -> Self {
        self.problems.extend_from_slice(statuses);
        self
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            router: Router::new(),
            rules: Rules::new(),
            paths: Map::new(),
            schemas: SchemaSettings::draft2020_12()
                .with(|settings| {
                    settings.definitions_path = "/components/schemas".into();
                    settings.meta_schema = None;
                })
                .into_generator(),
        }
    }
}

impl Api {
    /// Adds a route.
    pub fn add<H, T>(&mut self, operation: Operation, handler: H)
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let Ok(filter) = MethodFilter::try_from(operation.method.clone()) else {
            // Only a method that nobody has heard of; the table of routes is constant and tested.
            tracing::error!(method = %operation.method, "no route can have this method");
            return;
        };
        self.router = std::mem::take(&mut self.router).route(operation.path, on(filter, handler));
        self.rules.insert(
            (operation.method.clone(), operation.path.to_owned()),
            Guarded {
                rule: operation.rule,
                action: operation.id,
            },
        );
        let method = operation.method.as_str().to_ascii_lowercase();
        // What takes the rest of a path is a parameter like any other there; a slash in it may be written as %2F.
        let path = operation.path.replace("{*", "{");
        let described = self.describe(&operation);
        let entry = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(method, described);
        }
    }

    /// The routes without their descriptions.
    pub(crate) fn into_routes(self) -> Routes {
        Routes {
            router: self.router,
            rules: self.rules,
        }
    }

    fn describe(&mut self, operation: &Operation) -> Value {
        let mut out = json!({
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.summary,
        });
        if !operation.description.is_empty() {
            out["description"] = operation.description.into();
        }
        operation.rule.describe(&mut out);
        let mut parameters = path_parameters(operation.path);
        if let Some(query) = operation.query {
            parameters.extend(query_parameters(query));
        }
        parameters.extend(operation.fields.iter().map(|(name, meaning)| {
            json!({
                "name": name,
                "in": "query",
                "description": meaning,
                "style": "deepObject",
                "explode": true,
                "schema": { "type": "object", "additionalProperties": { "type": "string" } },
            })
        }));
        parameters.extend(operation.headers.iter().map(|(name, meaning)| {
            json!({ "name": name, "in": "header", "description": meaning, "schema": { "type": "string" } })
        }));
        if !parameters.is_empty() {
            out["parameters"] = parameters.into();
        }
        if let Some(body) = &operation.body {
            let mut content = json!({ "schema": body.schema.map_or(json!({}), |of| of(&mut self.schemas).to_value()) });
            if let Some(example) = &body.example {
                content["example"] = example.clone();
            }
            out["requestBody"] = json!({ "required": body.required, "content": { (body.media): content } });
        }
        let mut responses = Map::new();
        for answer in &operation.answers {
            let mut response = json!({ "description": answer.description });
            if !answer.media.is_empty() {
                let schema = answer
                    .schema
                    .map_or(json!({ "type": "string" }), |of| of(&mut self.schemas).to_value());
                response["content"] = json!({ (answer.media): { "schema": schema } });
            }
            responses.insert(answer.status.to_string(), response);
        }
        let problem = self.schemas.subschema_for::<Problem>().to_value();
        for status in operation.problems.iter().chain(operation.rule.statuses()) {
            let meaning = axum::http::StatusCode::from_u16(*status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("Refused");
            responses.entry(status.to_string()).or_insert_with(
                || json!({ "description": meaning, "content": { (PROBLEM_JSON): { "schema": problem } } }),
            );
        }
        responses.insert(
            "default".to_owned(),
            json!({ "description": "Any other problem", "content": { (PROBLEM_JSON): { "schema": problem } } }),
        );
        out["responses"] = Value::Object(responses);
        out
    }

    /// The document of all routes so far.
    pub fn document(&mut self) -> Document {
        // Its schema is in the document though nothing but problems refers to it.
        self.schemas.subschema_for::<Problem>();
        let schemas = self.schemas.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Bowline",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Workflows, executions, and what they wait for.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "security": [{ "key": [] }],
            "paths": self.paths,
            "components": {
                "securitySchemes": {
                    "key": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "An API key (`bwk_...`) or a JWT. Without any key the server answers on loopback, and none is needed.",
                    },
                },
                "schemas": schemas,
            },
        })
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let name = name.trim_start_matches('*');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect()
}

fn query_parameters(of: fn(&mut SchemaGenerator) -> Schema) -> Vec<Value> {
    let mut own = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let schema = of(&mut own).to_value();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let description = schema
                .as_object_mut()
                .and_then(|fields| fields.remove("description"))
                .unwrap_or_default();
            json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
                "description": description,
                "schema": schema,
            })
        })
        .collect()
}
