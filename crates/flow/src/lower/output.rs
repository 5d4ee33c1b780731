//! `output` of a node: a shape, an expression, or names for fields of the result.

use std::sync::Arc;

use bowline_connector::transform::{Shape, Transform};

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{OutputName, OutputPlan};
use crate::report::plain;
use crate::schema::{Checker, Mode, definition, language};

use super::Lowering;
use super::names::is_name;
use super::scope::Origin;

impl Lowering<'_> {
    pub(super) fn output(&mut self, node: &Cursor) -> Option<OutputPlan> {
        let Some(cursor) = node.field("output") else {
            return Some(OutputPlan::Whole);
        };
        if cursor.text().is_some() {
            return self.reading_result(&cursor).map(OutputPlan::Expression);
        }
        if !cursor.is_map() {
            return None;
        }
        let fields = cursor.node.entries();
        if fields.is_empty() {
            self.report.at(codes::EMPTY, &cursor, "nothing stands here", plain);
            return None;
        }
        if fields.iter().any(|entry| matches!(&*entry.key, "format" | "transform")) {
            return self.shape(&cursor);
        }
        let names = cursor
            .fields()
            .map(|(entry, name)| (entry.key.clone(), name))
            .collect::<Vec<_>>();
        let mut found = Vec::new();
        for (field, name) in names {
            found.extend(self.output_name(&field, &name));
        }
        Some(OutputPlan::Names(found))
    }

    /// An expression that reads `result`.
    fn reading_result(&mut self, cursor: &Cursor) -> Option<bowline_expression::Template> {
        let mark = self.scope.mark();
        self.scope.add(&Arc::from("result"), Origin::Local);
        let template = self.computed(cursor, "an expression", "the result");
        self.scope.leave(mark);
        template
    }

    fn shape(&mut self, cursor: &Cursor) -> Option<OutputPlan> {
        let before = self.report.heard();
        Checker::new(language(), Mode::Language, &mut self.report).check(cursor, definition("OutputShape"));
        let transform = cursor.field("transform");
        let expression = transform.as_ref().and_then(|transform| transform.field("expression"));
        let expression = match expression {
            Some(expression) => Some(self.reading_result(&expression)?),
            None => None,
        };
        if self.report.heard() > before {
            return None;
        }
        match serde_json::from_value::<Shape>(cursor.node.to_value()) {
            // The expression is compiled already, and applied by whoever applies the shape.
            Ok(shape) => {
                let transform = shape.transform.map(|transform| Transform {
                    expression: None,
                    ..transform
                });
                Some(OutputPlan::Shape {
                    shape: Shape { transform, ..shape },
                    expression,
                })
            }
            Err(error) => {
                self.report.at(
                    codes::CONFIG,
                    cursor,
                    format!("this shape cannot be used: {error}"),
                    plain,
                );
                None
            }
        }
    }

    fn output_name(&mut self, field: &str, cursor: &Cursor) -> Option<OutputName> {
        let Some(text) = cursor.text() else {
            let message = format!("this is {}, not a name", cursor.node.kind_name());
            self.report.at(codes::WRONG_TYPE, cursor, message, |problem| {
                problem.expected("the name that the field gets, such as auth.accessToken").hint(
                    "an `output` map gives names to fields of the result; to compute a result write output: \"${ ... }\"",
                )
            });
            return None;
        };
        let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let name = parts(text);
        if !name.iter().all(|part| is_name(part)) {
            self.report.at(
                codes::BAD_NAME,
                cursor,
                format!("{text:?} cannot be a name"),
                |problem| {
                    problem.expected(
                        "names of letters, digits, `_` and `-`, with `.` between levels, such as auth.accessToken",
                    )
                },
            );
            return None;
        }
        let root = name.first()?;
        let may_be_extended = matches!(root.as_str(), "auth" | "credentials") && name.len() > 1;
        if !may_be_extended && self.check_name(root, cursor.at(), &cursor.path) {
            self.check_variable(root, cursor.at(), &cursor.path);
        }
        let field = parts(field);
        Some(OutputName { field, name })
    }
}
