//! Mermaid text.

use std::fmt::Write as _;

use crate::plan::Plan;

use super::{Leaf, Look, Part, parts, shortened};

/// The workflow as a Mermaid flowchart. Every label is escaped, so that no document can break out of it.
pub fn mermaid(plan: &Plan) -> String {
    let mut chart = Chart {
        text: "flowchart TD\n".to_owned(),
        count: 0,
        depth: 1,
        ends: Vec::new(),
    };
    let start = chart.node(&plan.name, "([", "])");
    let exits = chart.draw(&parts(plan), vec![Exit { id: start, label: None }]);
    let end = chart.node("end", "([", "])");
    let ends = std::mem::take(&mut chart.ends);
    chart.link(&ends, &end);
    chart.link(&exits, &end);
    chart.text
}

struct Chart {
    text: String,
    count: usize,
    depth: usize,
    /// Steps that end the workflow.
    ends: Vec<Exit>,
}

/// Where the next part is linked from.
#[derive(Clone)]
struct Exit {
    id: String,
    label: Option<String>,
}

impl Chart {
    fn line(&mut self, line: &str) {
        let indent = "  ".repeat(self.depth);
        let _ = writeln!(self.text, "{indent}{line}");
    }

    fn node(&mut self, label: &str, open: &str, close: &str) -> String {
        let id = self.next("n");
        self.line(&format!("{id}{open}\"{}\"{close}", escape(label)));
        id
    }

    fn next(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    fn link(&mut self, from: &[Exit], to: &str) {
        for Exit { id, label } in from {
            match label {
                Some(label) => self.line(&format!("{id} -->|\"{}\"| {to}", escape(&shortened(label, 40)))),
                None => self.line(&format!("{id} --> {to}")),
            }
        }
    }

    /// Draws a part below `from`, and gives what the next one hangs below.
    fn draw(&mut self, part: &Part, from: Vec<Exit>) -> Vec<Exit> {
        match part {
            Part::Leaf(leaf) => {
                let id = self.leaf(leaf);
                self.link(&from, &id);
                let exit = Exit { id, label: None };
                if leaf.look == Look::End {
                    self.ends.push(exit);
                    return Vec::new();
                }
                vec![exit]
            }
            Part::Column(parts) => parts.iter().fold(from, |from, part| self.draw(part, from)),
            Part::Row(rows) => {
                // One place to fork from keeps the number of lines small.
                let from = if from.len() > 1 && rows.len() > 1 {
                    let fork = self.next("n");
                    self.line(&format!("{fork}(( ))"));
                    self.link(&from, &fork);
                    vec![Exit { id: fork, label: None }]
                } else {
                    from
                };
                rows.iter()
                    .flat_map(|(label, part)| {
                        let labelled = from.iter().map(|exit| Exit {
                            label: label.clone().or_else(|| exit.label.clone()),
                            ..exit.clone()
                        });
                        self.draw(part, labelled.collect())
                    })
                    .collect()
            }
            Part::Optional(title, inner) => {
                let around = from
                    .iter()
                    .map(|exit| Exit {
                        label: Some("otherwise".to_owned()),
                        ..exit.clone()
                    })
                    .collect::<Vec<_>>();
                let mut exits = self.frame(title, inner, from);
                exits.extend(around);
                exits
            }
            Part::Frame(title, inner) => self.frame(title, inner, from),
        }
    }

    fn frame(&mut self, title: &str, inner: &Part, from: Vec<Exit>) -> Vec<Exit> {
        let id = self.next("g");
        self.line(&format!("subgraph {id}[\"{}\"]", escape(&shortened(title, 60))));
        self.depth += 1;
        let exits = self.draw(inner, from);
        self.depth -= 1;
        self.line("end");
        exits
    }

    fn leaf(&mut self, leaf: &Leaf) -> String {
        let (open, close) = match leaf.look {
            Look::Node => ("[", "]"),
            Look::Timer => ("{{", "}}"),
            Look::Workflow => ("[[", "]]"),
            Look::Data => ("[/", "/]"),
            Look::End => ("([", "])"),
        };
        let id = self.next("n");
        let label = format!("{}<br/>{}", escape(&leaf.title), escape(&shortened(&leaf.detail, 40)));
        self.line(&format!("{id}{open}\"{label}\"{close}"));
        if let Some(undo) = &leaf.undo {
            let undo = self.node(undo, "[", "]");
            self.line(&format!("{id} -. undo .-> {undo}"));
        }
        id
    }
}

/// Text in which nothing means anything to Mermaid: all but letters, digits and harmless marks as entities.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',' | ':' | '/') {
            escaped.push(c);
        } else if !c.is_control() {
            let _ = write!(escaped, "#{};", u32::from(c));
        }
    }
    // A lone word `end` closes a block in Mermaid's grammar.
    if escaped.is_empty() { " ".to_owned() } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escape("a\"]; click b"), "a#34;#93;#59; click b");
        assert_eq!(escape("<script>\n"), "#60;script#62;");
        assert_eq!(escape(""), " ");
    }
}
