//! Whole documents: what kind they are, what they declare, what they do.

use bowline_expression::nearest;
use indexmap::IndexMap;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{ConnectionPlan, NodePlan, PlanParts, Retention};
use crate::report::plain;
use crate::schema::{Checker, Mode, definition, has_expression, language};
use crate::source::{SHARED_FILE, Source};

use super::Lowering;

/// What a document is, by the fields it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Steps,
    Saga,
    /// One step: the name of the definition.
    Single(&'static str),
}

impl Lowering<'_> {
    /// The plan's parts, if the document could be understood.
    pub(super) fn document(&mut self, root: &Cursor, shared: Option<&Cursor>, source: &Source) -> Option<PlanParts> {
        let form = self.form(root, source)?;
        let name = match form {
            Form::Steps => "WorkflowDocument",
            Form::Saga => "SagaDocument",
            Form::Single(name) => name,
        };
        Checker::new(language(), Mode::Language, &mut self.report).check(root, definition(name));

        let own_name = root.field("name").or_else(|| root.field("id"));
        self.name = own_name
            .as_ref()
            .and_then(|name| name.text())
            .map_or_else(|| source.stem(), str::to_owned);
        if let Some(cursor) = own_name.clone().filter(|name| name.text().is_some()) {
            self.check_workflow_name(&cursor);
        }
        let place = own_name.unwrap_or_else(|| root.clone());
        self.check_twins(&self.name.clone(), &place);
        let input_schema = root.field("input").and_then(|input| self.input_schema(&input));
        self.declare_connections(root);
        self.declare_nodes(root);
        if let Some(shared) = shared {
            self.declare_connections(shared);
            self.declare_nodes(shared);
            self.declare_defaults(shared);
        }
        let nodes = self.named_nodes();
        // Both are looked at, so that what is wrong in either is told.
        let (own, of_all) = (self.retention(root), shared.and_then(|shared| self.retention(shared)));

        let triggers = self.triggers(root);
        let callbacks = shared.map(|shared| self.endpoints(shared)).unwrap_or_default();

        let steps = match form {
            Form::Steps => root
                .field("steps")
                .map(|steps| self.steps(&steps, ""))
                .unwrap_or_default(),
            Form::Saga => self.saga_document(root).into_iter().collect(),
            Form::Single(_) => self.step(root, 0, "").into_iter().collect(),
        };
        let output = match form {
            // The `output` of a document that is one node is the node's.
            Form::Single("NodeDocument") => None,
            _ => root
                .field("output")
                .filter(|output| !output.is_null())
                .and_then(|output| self.template(&output)),
        };
        let text = |key: &str| root.text_of(key).map(str::to_owned);
        (!steps.is_empty()).then(|| PlanParts {
            name: self.name.clone(),
            description: text("description"),
            input_schema,
            input_validator: std::sync::OnceLock::new(),
            trigger: text("trigger"),
            triggers,
            callbacks,
            retention: own.or(of_all),
            connections: self.connections.clone(),
            nodes,
            steps,
            output,
            source: source.clone(),
            hash: source.hash(),
        })
    }

    fn form(&mut self, root: &Cursor, source: &Source) -> Option<Form> {
        if !root.is_map() {
            let message = format!("this is {}, not a workflow", root.node.kind_name());
            self.report.at(codes::NOT_A_WORKFLOW, root, message, |problem| {
                problem.expected("a mapping with `steps:`, or with one node or block")
            });
            return None;
        }
        if root.has("assertions") && !root.has("steps") {
            self.report.at(
                codes::NOT_A_WORKFLOW,
                root,
                "this is a test of a workflow, not a workflow",
                |problem| problem.hint("name it *.test.yaml and run it with `bowline test`"),
            );
            return None;
        }
        if root.text_of("type") == Some("mock-http-service") {
            self.report.at(
                codes::NOT_A_WORKFLOW,
                root,
                "this is a mock service, not a workflow",
                |problem| problem.hint("mock services stand in tests (*.test.yaml); `bowline test` starts them"),
            );
            return None;
        }
        if root.has("services") && !root.has("steps") {
            let message = "these are mock services, not a workflow";
            self.report.at(codes::NOT_A_WORKFLOW, root, message, |problem| {
                problem.hint("start them beside a workflow with `--mocks FILE`")
            });
            return None;
        }
        if let Some(steps) = root.field("steps") {
            let is_saga = root.has("onFailure") || steps.items().any(|step| step.has("action"));
            return Some(if is_saga { Form::Saga } else { Form::Steps });
        }
        for (key, name) in [
            ("parallel", "ParallelDocument"),
            ("scatter", "ScatterDocument"),
            ("saga", "NestedSagaDocument"),
            ("type", "NodeDocument"),
        ] {
            if root.has(key) {
                return Some(Form::Single(name));
            }
        }
        let is_shared = std::path::Path::new(&source.file)
            .file_name()
            .is_some_and(|name| name == SHARED_FILE);
        if is_shared || root.has("defaults") {
            self.report.at(
                codes::NOT_A_WORKFLOW,
                root,
                "this is the shared file, not a workflow",
                |problem| problem.hint("workflows are the other files of its folder; each reads it by itself"),
            );
            return None;
        }
        if let Some(entry) = root
            .node
            .entries()
            .iter()
            .find(|entry| super::steps::KEYS.contains(&&*entry.key))
        {
            let path = root.path.key(&entry.key);
            let message = format!("`{}` cannot be a whole workflow", entry.key);
            let hint = format!("make it a step:  steps: [ {{ {}: ... }} ]", entry.key);
            self.report
                .add(codes::MISSING_FIELD, entry.key_at, &path, message, |problem| {
                    problem.expected("`steps:` with a list").hint(hint)
                });
            return None;
        }
        Some(Form::Steps)
    }

    fn check_workflow_name(&mut self, cursor: &Cursor) {
        let name = cursor.text().unwrap_or_default();
        let fits = has_expression(name)
            || !name.is_empty()
                && name.chars().count() <= 128
                && !name.contains(['/', '\\'])
                && !name.chars().any(char::is_control);
        if !fits {
            self.report.at(
                codes::BAD_NAME,
                cursor,
                "this cannot be the name of a workflow",
                |problem| problem.expected("1 to 128 characters, none of them `/` or `\\`"),
            );
        }
    }

    /// Whether a value is a JSON Schema that can be used; problems if not.
    pub(super) fn check_schema(&mut self, cursor: &Cursor) -> bool {
        let schema = cursor.node.to_value();
        let before = self.report.heard();
        match jsonschema::meta::validator_for(&schema) {
            Ok(validator) => {
                for error in validator.iter_errors(&schema) {
                    let pointer = error.instance_path().to_string();
                    let node = cursor.node.nearest(&pointer);
                    let path = cursor.path.pointer(&pointer);
                    let message = format!("this is not a JSON Schema: {error}");
                    self.report.add(codes::BAD_SCHEMA, node.at, &path, message, plain);
                }
            }
            Err(error) => {
                self.report.at(
                    codes::BAD_SCHEMA,
                    cursor,
                    format!("this JSON Schema cannot be used: {error}"),
                    plain,
                );
            }
        }
        if self.report.heard() > before {
            return false;
        }
        if let Err(error) = jsonschema::validator_for(&schema) {
            self.report.at(
                codes::BAD_SCHEMA,
                cursor,
                format!("this JSON Schema cannot be used: {error}"),
                plain,
            );
            return false;
        }
        true
    }

    fn input_schema(&mut self, cursor: &Cursor) -> Option<serde_json::Value> {
        if !self.check_schema(cursor) {
            return None;
        }
        let schema = cursor.node.to_value();
        if schema.get("additionalProperties") == Some(&serde_json::Value::Bool(false))
            && ["patternProperties", "$ref", "allOf", "anyOf", "oneOf"]
                .iter()
                .all(|word| schema.get(word).is_none())
        {
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            self.input_fields = Some(properties.into_iter().flatten().map(|(name, _)| name.clone()).collect());
        }
        Some(schema)
    }

    /// Connections of a document; those that are there already win.
    fn declare_connections(&mut self, root: &Cursor) {
        let Some(connections) = root.field("connections") else {
            return;
        };
        for (entry, cursor) in connections.fields() {
            let Some(kind) = cursor.field("type").filter(|kind| kind.text().is_some()) else {
                continue;
            };
            let kind_name = kind.text().unwrap_or_default().to_owned();
            let registry = self.registry;
            let config = cursor.with(cursor.node.without("type"));
            let Some(known) = registry.connection(&kind_name) else {
                let names = registry.connections().map(|entry| entry.name).collect::<Vec<_>>();
                let otherwise = "this program knows the types that are listed";
                self.unknown_name(
                    codes::UNKNOWN_CONNECTION,
                    &kind,
                    "connection type",
                    &kind_name,
                    names.iter().copied(),
                    otherwise,
                );
                self.keep_connection(&entry.key, kind_name, &config);
                continue;
            };
            if let Some(retry) = config.field("retryPolicy") {
                let before = self.report.heard();
                Checker::new(language(), Mode::Language, &mut self.report).check(&retry, definition("Retry"));
                if self.report.heard() == before {
                    self.connection_retries.entry(entry.key.to_string()).or_insert(retry);
                }
            }
            let schema = self.configs.connection(known);
            let before = self.report.heard();
            Checker::new(&schema, Mode::Config, &mut self.report).check(&config, &schema);
            if self.report.heard() == before {
                self.check_whole(&config, known.check, &format!("the connection type `{kind_name}`"));
            }
            self.keep_connection(&entry.key, kind_name, &config);
        }
    }

    fn keep_connection(&mut self, name: &str, kind: String, config: &Cursor) {
        if let Some(config) = self.connection_template(config)
            && !self.connections.contains_key(name)
        {
            self.connections
                .insert(name.to_owned(), ConnectionPlan { kind, config });
        }
    }

    fn declare_nodes(&mut self, root: &Cursor) {
        let Some(nodes) = root.field("nodes") else { return };
        let mut own: IndexMap<String, Cursor> = IndexMap::new();
        for (entry, cursor) in nodes.fields() {
            self.check_name(&entry.key, entry.key_at, &cursor.path);
            own.insert(entry.key.to_string(), cursor);
        }
        for cursor in nodes.items() {
            let Some(id) = cursor.field("id") else {
                if cursor.is_map() {
                    self.report
                        .at(codes::MISSING_FIELD, &cursor, "the field `id` is missing", |problem| {
                            problem.hint("nodes in a list are named by their ids")
                        });
                }
                continue;
            };
            let Some(name) = id.text() else { continue };
            self.check_name(name, id.at(), &id.path);
            if let Some(first) = own.get(name) {
                let line = first.at().line;
                let message = format!("a node called `{name}` is already in line {line}");
                self.report.at(codes::DUPLICATE_NAME, &id, message, plain);
            }
            own.entry(name.to_owned()).or_insert(cursor);
        }
        for (name, cursor) in own {
            self.named.entry(name).or_insert(cursor);
        }
    }

    fn declare_defaults(&mut self, shared: &Cursor) {
        let Some(defaults) = shared.field("defaults") else {
            return;
        };
        for (entry, cursor) in defaults.fields() {
            if self.registry.connector(&entry.key).is_none() {
                let near = nearest(&entry.key, self.registry.connectors().map(|entry| entry.name));
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no connector called `{}`", entry.key);
                self.report.add(
                    codes::UNKNOWN_CONNECTOR,
                    entry.key_at,
                    &cursor.path,
                    message,
                    |problem| problem.hint_if(hint),
                );
            }
            self.defaults.insert(entry.key.to_string(), cursor);
        }
    }

    /// `retention` of a document or of the shared file.
    fn retention(&mut self, document: &Cursor) -> Option<Retention> {
        let field = document.field("retention").filter(Cursor::is_map)?;
        if !field.has("after") && !field.has("keep") {
            let message = "this `retention` bounds nothing";
            self.report.at(codes::MISSING_FIELD, &field, message, |problem| {
                problem.expected("`after` with a duration, `keep` with a number, or both")
            });
            return None;
        }
        Some(Retention {
            after: self.duration(&field, "after"),
            keep: field
                .field("keep")
                .and_then(|keep| keep.node.whole())
                .and_then(|keep| usize::try_from(keep).ok()),
        })
    }

    /// The named nodes for display. What they read is checked where they are used; here any name will do.
    fn named_nodes(&mut self) -> IndexMap<String, NodePlan> {
        self.permissive = true;
        let named = self.named.clone();
        let nodes = named
            .into_iter()
            .filter_map(|(name, cursor)| Some((name, self.node(&cursor, Mode::PartOfConfig)?)))
            .collect();
        self.permissive = false;
        nodes
    }
}
