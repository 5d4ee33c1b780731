//! The codes of load problems, and what `bowline explain CODE` says about each.

use std::fmt;

/// The number of a kind of problem, such as `BOW0107`. A code keeps its meaning for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BOW{:04}", self.0)
    }
}

/// What there is to know about a code.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// A few words.
    pub title: &'static str,
    /// What it means and why it is so.
    pub text: &'static str,
    /// What to do.
    pub mend: &'static str,
}

/// The explanation of a code, written as `BOW0107`, `bow0107` or `0107`.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    let digits = code.trim();
    let digits = digits
        .get(..3)
        .filter(|p| p.eq_ignore_ascii_case("bow"))
        .map_or(digits, |_| &digits[3..]);
    let number: u16 = digits.parse().ok()?;
    EXPLANATIONS.iter().find(|explanation| explanation.code.0 == number)
}

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $text:literal, $mend:literal;)*) => {
        $(pub(crate) const $name: Code = Code($number);)*

        /// Every code, in order.
        pub const EXPLANATIONS: &[Explanation] = &[
            $(Explanation { code: $name, title: $title, text: $text, mend: $mend },)*
        ];
    };
}

codes! {
UNREADABLE = 101, "the file cannot be read",
    "The file is not there, is a folder, or the operating system does not let this program read it.",
    "Check the path and the permissions. A workflow is one file that ends in .yaml, .yml or .json.";
NOT_TEXT = 102, "the file is not UTF-8 text",
    "Workflow files are UTF-8. The message says at which byte something else begins; a zero byte counts as something else too.",
    "Save the file as UTF-8 in your editor, or convert it: iconv -f ISO-8859-1 -t UTF-8.";
TOO_LARGE = 103, "the document is too large",
    "A file has at most 4 MiB, is nested at most 128 levels deep and stands for at most 100,000 values once its aliases are expanded. The bounds keep one file from taking the memory of the whole program.",
    "Put large data into the workflow's input, or split the workflow and start the parts with `workflow:`.";
SYNTAX = 104, "the text is not YAML",
    "The YAML reader (which reads JSON too) stopped here. What follows this place has not been looked at.",
    "Look at the line and the one above it: a missing quote, a tab, a `: ` inside a text without quotes, or indentation that does not line up.";
DUPLICATE_FIELD = 105, "a field stands in a mapping twice",
    "Other programs keep the last of them and drop the first without a word. Here it is a problem, because one of them was meant to do something.",
    "Remove or rename one of them.";
UNSUPPORTED_YAML = 106, "a part of YAML that is not used here",
    "Workflows are JSON values written as YAML. Tags of one's own, several documents in a file and keys that are not text have no JSON value.",
    "Write the value without it. A text that starts with `!`, `&` or `*` has to be in quotes.";
UNKNOWN_FIELD = 107, "a field that nothing reads",
    "A field that is not known would be ignored, and what was meant by it would not happen. So it is refused.",
    "Correct the name, or remove the field. The message lists the fields that are known at this place.";
WRONG_TYPE = 108, "a value of the wrong type",
    "The value is text where a number is needed, a list where a mapping is needed, or the like. In YAML, `yes` and `on` are text, and a number in quotes is text.",
    "Write what the message expects. Expressions in `${}` may stand in every field of `config`, whatever its type.";
MISSING_FIELD = 109, "a field is missing",
    "The field has no default, so the step could not run without it.",
    "Add the field.";
ONE_OF = 110, "fields that exclude each other",
    "A step does one thing: it is a node (`type:`), a reference (`node:`) or one block. In the same way some settings are two ways to say one thing.",
    "Keep one of the fields; use two steps for two things.";
NOT_ALLOWED = 111, "a value that is not allowed",
    "The value has the right type, but is none of those that are possible here, or is out of range.",
    "Take one of the values that the message lists.";
UNKNOWN_NODE = 112, "no node of this name",
    "`node:`, and `action:` and `compensation:` of a saga, name a node of `nodes:` in the workflow or in bowline.yaml. Nothing there has this name.",
    "Correct the name, or describe the node under `nodes:`.";
UNKNOWN_CONNECTION = 113, "no connection of this name, or of this type",
    "`connection:` names a connection of `connections:` in the workflow or in bowline.yaml, and every connection has a `type` that this program knows.",
    "Correct the name, or declare the connection.";
UNKNOWN_CONNECTOR = 114, "no connector of this name",
    "`type:` of a step names a connector. This program has none of this name.",
    "Correct the name; `bowline connectors` lists all of them.";
UNKNOWN_WORKFLOW = 115, "no workflow of this name",
    "`workflow:` of a step names another workflow of the same folder, by its `name` or, where it has none, by its file name without the ending.",
    "Correct the name, or put the workflow's file into the folder.";
DUPLICATE_NAME = 116, "two things of one name",
    "Results are read and journaled by name, so a name may stand for one thing only among all that can be read at a place.",
    "Rename one of them.";
BAD_NAME = 117, "a name that cannot be used",
    "Names of steps, nodes and variables are read in expressions. They consist of letters, digits, `_` and `-`, do not start with `-`, and are none of the words that already mean something there: input, steps, workflow, env, credentials, auth, random and a few more.",
    "Choose another name. One without `-` can be read without backticks.";
EXPRESSION = 118, "an expression that cannot be read",
    "What stands in `${}` is JSONata. It is compiled when the workflow is loaded, so that a typing error does not wait for the day it is evaluated.",
    "See the place that the message names. A `${` that is meant as text is written `$${`.";
UNKNOWN_ROOT = 119, "an expression reads a name that nothing defines",
    "Expressions read `input`, `workflow`, `env`, `credentials`, `random`, the results of earlier steps by their ids, and names that `set` and `output` made. This name is none of them.",
    "Correct the name. An id with a `-` in it is read in backticks: `charge-card`.body.";
NOT_YET = 120, "an expression reads a step that has not run, or cannot be seen from there",
    "A step's result can be read by later steps of the same block and of blocks inside it. Branches of one `parallel` do not see each other, and what runs inside `forEach` is seen outside as the list of results only.",
    "Move the step before the one that reads it, or read the result of the whole block.";
UNKNOWN_INPUT = 121, "an expression reads a field that the input cannot have",
    "The schema under `input:` says `additionalProperties: false` and does not have this field, so it would never be there.",
    "Correct the name, or add the field to the schema.";
FIXED = 122, "an expression where only a fixed value can stand",
    "Names, timeouts, retries and the like are fixed when the workflow is loaded; expressions are evaluated while it runs.",
    "Write the value itself. Expressions can stand in `config`, `when`, `input`, `output`, `set`, `wait` and wherever the language names an expression.";
CONDITION = 123, "a text where an expression is needed",
    "The value decides something while the workflow runs, so it has to be an expression (or, for a condition, true or false). A text without `${}` would always be the same.",
    "Put the expression into `${ }`.";
DURATION = 124, "this is not a duration",
    "Durations are milliseconds when a number, or text such as 250ms, 30s, 5m, 2h, 1d, or ISO 8601 (PT5M). Months and years have no fixed length and are refused.",
    "Write the duration in one of these ways.";
UNREACHABLE = 125, "a step that can never run",
    "A step before it in the same list always ends the workflow, or a `catch` before it already takes every error.",
    "Remove the step, or give the one before it a `when`.";
EMPTY = 126, "a block with nothing in it",
    "A block without steps does nothing, so one of its parts was most likely forgotten.",
    "Add a step, or remove the block.";
LATER = 127, "not in this version yet",
    "The workflow uses a part of the language that this version cannot run. It is refused by name instead of being ignored.",
    "Remove it for now, or use a version that has it; the release notes say which one.";
BAD_SCHEMA = 128, "the schema of the input is not a JSON Schema",
    "`input:` is a JSON Schema (draft 2020-12 unless `$schema` says otherwise). Every start of the workflow is checked against it.",
    "Correct the schema at the place that the message names.";
CYCLE = 129, "workflows that start each other without end",
    "The workflow starts another one that, directly or by way of others, starts this one again.",
    "Break the chain that the message shows. To do something again and again, use `repeat:`.";
NUMBER = 130, "a number that cannot be kept as it is written",
    "The number has more digits than a program keeps, is no JSON number, or has a leading zero that would get lost.",
    "Write it in quotes if it is a name or a code rather than a quantity.";
CONFIG = 131, "a configuration that does not fit",
    "The connector, the connection type or the trigger says that the configuration does not fit, although each field has the right form.",
    "Read the message; it comes from there.";
NOT_A_WORKFLOW = 132, "this is not a workflow",
    "The file is empty, or it is a document of another kind, such as a test (*.test.yaml) or the shared bowline.yaml.",
    "Give the program a workflow: a file with `steps:`, or with one node or one block.";
AMBIGUOUS_WORKFLOW = 133, "two files of one folder hold a workflow of the same name",
    "Workflows start each other by name, and executions are listed by it. With two of one name it would depend on the order of the files which one is meant.",
    "Give one of them another `name`, or remove the file that is not used.";
NO_RESPONSE = 134, "a callback reads `response`, and no node answers before it",
    "`response` is the answer of the node that a `callback` stands on. A callback that is a step of its own has none.",
    "Put the `callback` on the node whose answer holds the reference, or read the result of an earlier step by its id.";
HEARTBEAT = 135, "a heartbeat that decides nothing",
    "`heartbeat` is how far apart signs of life may be. Where it is not shorter than `timeout`, the callback has timed out before the first sign of life is missed.",
    "Make `heartbeat` shorter than `timeout`, or leave one of them out.";
UNKNOWN_CALLBACK = 136, "no callback or approval of this name",
    "`callbacks.ID` reads the token and the address of a `callback` or `approve` that is a step of its own. The callback of a node is read in the node's `config` only, as `callback.url` and `callback.token`.",
    "Correct the id.";
UNKNOWN_TRIGGER = 137, "no trigger of this type",
    "`type:` of an entry of `triggers:` names a kind of trigger. This program has none of this name.",
    "Correct the name; the message lists all that there are. Connectors are steps, and stand under `steps:`.";
INTERNAL = 199, "a fault in Bowline",
    "The workflow was neither accepted nor refused for a reason. That is a fault in this program, not in the workflow.",
    "Please report it together with the file.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_found() {
        for (i, explanation) in EXPLANATIONS.iter().enumerate() {
            assert!(
                EXPLANATIONS[..i].iter().all(|other| other.code < explanation.code),
                "{}",
                explanation.code
            );
            let found = explain(&explanation.code.to_string()).map(|found| found.code);
            assert_eq!(found, Some(explanation.code));
        }
        assert_eq!(explain(" bow0107 ").map(|e| e.code), Some(UNKNOWN_FIELD));
        assert_eq!(explain("0107").map(|e| e.code), Some(UNKNOWN_FIELD));
        for none in ["", "BOW", "BOW9999", "x", "äöü", "BOW-107"] {
            assert!(explain(none).is_none(), "{none}");
        }
    }
}
