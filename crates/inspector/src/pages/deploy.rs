//! Deploying a workflow from its text: first it is checked and compared with what runs, then it is deployed.

use std::hash::{DefaultHasher, Hash, Hasher};

use bowline_host::{Candidate, Problem};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::pages::workflow::changes;
use crate::pages::workflows::problem_line;
use crate::parts::icon::{Icon, icon};
use crate::parts::words::sentence;
use crate::parts::{address, json};

/// What is in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The workflow that is changed; none for a new one.
    pub workflow: Option<String>,
    /// The name of its file; empty: made from the workflow's name.
    pub file: String,
    /// Its text.
    pub text: String,
    /// The text of `bowline.yaml`, where there is one.
    pub shared: String,
}

impl Draft {
    /// Changes with what would be deployed, so that nothing else is deployed than what was looked at.
    pub fn mark(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.file, &self.text, &self.shared).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// What was found out about it.
#[derive(Clone, Copy, Debug)]
pub enum Checked<'a> {
    /// Nothing yet.
    Not,
    /// It cannot be deployed.
    Wrong {
        /// Why, in a sentence.
        message: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Everything that is wrong.
        problems: &'a [Problem],
    },
    /// It can.
    Good(&'a [Candidate]),
}

/// The page. It begins with what was found out, because that is what somebody looks for.
pub fn page(frame: &Frame, draft: &Draft, checked: Checked<'_>) -> String {
    let title = match &draft.workflow {
        Some(name) => format!("Change {name}"),
        None => "Deploy a workflow".to_owned(),
    };
    let body = html! {
        p.crumbs {
            a href="/ui/workflows" { "Workflows" }
            @if let Some(name) = &draft.workflow { " / " a href=(address::workflow(name)) { (name) } }
        }
        div.head { h1 { (title) } }
        form.form id="deploy" method="post" action="/ui/deploy" {
            (frame.hidden())
            // What Enter presses in a field, whatever stands on the page.
            button hidden name="action" value="check" {}
            @match checked {
                Checked::Not => {}
                Checked::Wrong { message, hint, problems } => (wrong(draft, message, hint, problems)),
                Checked::Good(candidates) => {
                    input type="hidden" name="checked" value=(draft.mark());
                    (good(candidates))
                }
            }
            (fields(draft))
            div.buttons {
                button.main[!matches!(checked, Checked::Good(_))] name="action" value="check" { "Check" }
                span.hint { "Nothing is deployed before you have seen what changes." }
            }
        }
    };
    frame.page(Some(Section::Workflows), &title, None, &body)
}

fn wrong(draft: &Draft, message: &str, hint: Option<&str>, problems: &[Problem]) -> Markup {
    html! {
        div.note.bad role="alert" { (icon(Icon::Warning)) div {
            p { strong { (message) } }
            @if let Some(hint) = hint { p { (hint) } }
            @if !problems.is_empty() { ul { @for problem in problems {
                li {
                    (sentence(&problem_line(problem)))
                    @if let Some(line) = line_of(draft, problem) { pre.line { (line) } }
                }
            } } }
        } }
    }
}

/// The line of the text that a problem is about, with its number.
fn line_of(draft: &Draft, problem: &Problem) -> Option<String> {
    let number = problem.line?;
    let text = if problem.file.ends_with("bowline.yaml") {
        &draft.shared
    } else {
        &draft.text
    };
    let line = text.lines().nth(number.checked_sub(1)?)?;
    Some(format!("{number} │ {}", line.trim_end()))
}

fn good(candidates: &[Candidate]) -> Markup {
    let hash = candidates.first().and_then(|one| one.current_hash.as_deref());
    let is_same = candidates.iter().all(|one| one.current == Some(one.version));
    html! {
        @for one in candidates {
            section.panel aria-label={ "What changes in " (one.workflow) } {
                header {
                    h2 { (one.workflow) }
                    span.soft { @match (one.current, one.version) {
                        (None, version) => { "new, as version " (version) }
                        (Some(current), version) if current == version => { "the same as version " (version) ", which runs" }
                        (Some(current), version) => { "version " (current) " to " (version) }
                    } }
                }
                div.inside.form {
                    @if let Some(difference) = &one.changes { (changes(difference)) }
                    @else if is_same { p { "There is nothing to deploy." } }
                    @else {
                        p { "It has no problems." }
                        @if let Some(description) = &one.description { p.soft { (description) } }
                    }
                    @if !is_same { div.buttons {
                        button.main name="action" value="deploy" { "Deploy version " (one.version) }
                        span.hint { "Executions that run stay on their version." }
                    } }
                }
            }
        }
        input type="hidden" name="expects" value=(hash.unwrap_or_default());
    }
}

fn fields(draft: &Draft) -> Markup {
    html! {
        @if let Some(name) = &draft.workflow { input type="hidden" name="workflow" value=(name); }
        label { "Text of the workflow"
            textarea.source name="text" rows="24" required spellcheck="false" placeholder="name: hello" { "\n" (draft.text) }
        }
        label.upload hidden { "Or take it from a file" input type="file" accept=".yaml,.yml,.json" data-into="text" data-name="file"; }
        details.more open[!draft.shared.is_empty()] {
            summary { "Name of the file, and what it shares with others" }
            div.form {
                label { "Name of the file" input name="file" value=(draft.file) placeholder="hello.yaml" maxlength="200" spellcheck="false"; }
                label { "Text of bowline.yaml (connections, callbacks and defaults that it uses)"
                    textarea name="shared" rows="8" spellcheck="false" { "\n" (draft.shared) }
                }
            }
        }
    }
}

/// A difference of texts, as it is read: what goes and what comes in two colours, each with its sign.
pub(crate) fn difference_of_texts(text: &str) -> Markup {
    if text.is_empty() {
        return html! {};
    }
    html! {
        pre.value.delta tabindex="0" role="region" aria-label="Difference of the texts" {
            @for (at, line) in json::shown(text).lines().enumerate() {
                @match line.as_bytes().first() {
                    // The names of the two.
                    Some(b'+' | b'-') if at < 2 && (line.starts_with("+++ ") || line.starts_with("--- ")) => span.soft { (line) "\n" },
                    Some(b'+') => ins { (line) "\n" },
                    Some(b'-') => del { (line) "\n" },
                    Some(b'@') => span.soft { (line) "\n" },
                    _ => { (line) "\n" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_the_line_that_it_is_about() {
        let draft = Draft {
            text: "name: a\nstpes: []\n".to_owned(),
            shared: "env: 1\n".to_owned(),
            ..Draft::default()
        };
        let at = |file: &str, line| Problem {
            file: file.to_owned(),
            line: Some(line),
            ..Problem::default()
        };
        assert_eq!(line_of(&draft, &at("a.yaml", 2)).as_deref(), Some("2 │ stpes: []"));
        assert_eq!(line_of(&draft, &at("bowline.yaml", 1)).as_deref(), Some("1 │ env: 1"));
        assert_eq!(line_of(&draft, &at("a.yaml", 9)), None);
        assert_eq!(line_of(&draft, &Problem::default()), None);
    }

    #[test]
    fn a_difference_says_with_signs_what_goes_and_what_comes() {
        let shown = difference_of_texts("--- a (version 1)\n+++ a (version 2)\n@@ -1 +1 @@\n-a\n+<b>\n c\n").0;
        assert!(shown.contains("<del>-a\n</del><ins>+&lt;b&gt;\n</ins> c\n"), "{shown}");
        assert_eq!(
            shown.matches("<ins>").count() + shown.matches("<del>").count(),
            2,
            "{shown}"
        );
    }
}
