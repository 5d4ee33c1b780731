//! A look at SQL text before SQLite sees it: enough to refuse what would break the pool or surprise a user.
//!
//! It only ever refuses. Nothing is rewritten, and SQLite still judges the text itself, so what this scanner
//! takes for something else costs a clear message and never correctness.

/// A piece of SQL text. White space, comments and the insides of literals are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A keyword, a name or a number.
    Word(&'a str),
    /// A placeholder with its first character.
    Parameter(&'a str),
    /// A quoted text or name.
    Quoted,
    /// Any other character.
    Symbol(char),
}

/// What the scan found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The first words in upper case, two at most.
    pub(super) first_words: Vec<String>,
    /// How many bare `?` there are.
    pub(super) bare_parameters: usize,
    /// The placeholders that stand as elements of an `IN ( … )` list; a bare `?` as `#n`, counted from 1.
    pub(super) in_lists: Vec<String>,
    /// Whether the word `INSERT` or `REPLACE` begins a statement or follows a `WITH` clause.
    pub(super) inserts: bool,
}

impl Scan {
    /// Whether there is no statement at all.
    pub(super) fn is_empty(&self) -> bool {
        self.first_words.is_empty()
    }

    /// The first word, or nothing.
    pub(super) fn verb(&self) -> &str {
        self.first_words.first().map_or("", String::as_str)
    }
}

/// Scans `sql`.
pub(super) fn scan(sql: &str) -> Scan {
    let tokens = tokens(sql);
    let mut scan = Scan::default();
    let mut depth = 0_usize;
    // Depth of the parentheses of the innermost `IN (` list, while directly in it.
    let mut list: Option<usize> = None;
    for (index, token) in tokens.iter().enumerate() {
        match *token {
            Token::Word(word) => {
                if scan.first_words.len() < 2 && scan.first_words.len() == index {
                    scan.first_words.push(word.to_uppercase());
                }
                let starts = index == 0 || (scan.verb() == "WITH" && depth == 0);
                scan.inserts |= starts && (word.eq_ignore_ascii_case("insert") || word.eq_ignore_ascii_case("replace"));
            }
            Token::Symbol('(') => {
                depth += 1;
                if matches!(index.checked_sub(1).map(|before| tokens[before]), Some(Token::Word(word)) if word.eq_ignore_ascii_case("in"))
                {
                    list = Some(depth);
                }
            }
            Token::Symbol(')') => {
                if list == Some(depth) {
                    list = None;
                }
                depth = depth.saturating_sub(1);
            }
            Token::Parameter(name) => {
                let name = if name == "?" {
                    scan.bare_parameters += 1;
                    format!("#{}", scan.bare_parameters)
                } else {
                    name.to_owned()
                };
                let alone = matches!(tokens.get(index + 1), Some(Token::Symbol(',' | ')')))
                    && matches!(
                        index.checked_sub(1).map(|before| tokens[before]),
                        Some(Token::Symbol(',' | '('))
                    );
                if list == Some(depth) && alone {
                    scan.in_lists.push(name);
                }
            }
            Token::Quoted | Token::Symbol(_) => {}
        }
    }
    scan
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').map_or(rest.len(), |end| end + 1)),
            '/' if rest.starts_with("/*") => (None, rest[2..].find("*/").map_or(rest.len(), |end| end + 4)),
            '\'' | '"' | '`' => (Some(Token::Quoted), quoted(rest, first)),
            '[' => (Some(Token::Quoted), rest.find(']').map_or(rest.len(), |end| end + 1)),
            '?' => parameter(rest, 1 + run(&rest[1..], |c| c.is_ascii_digit())),
            ':' | '@' | '$' if rest[1..].starts_with(is_word) => parameter(rest, 1 + name(&rest[1..])),
            c if is_word(c) => {
                let length = run(rest, |c| is_word(c) || c == '$');
                (Some(Token::Word(&rest[..length])), length)
            }
            c => (Some(Token::Symbol(c)), c.len_utf8()),
        };
        found.extend(token);
        rest = &rest[length..];
    }
    found
}

fn parameter(rest: &str, length: usize) -> (Option<Token<'_>>, usize) {
    (Some(Token::Parameter(&rest[..length])), length)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Length of the leading run of characters that `accept` takes.
fn run(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c| !accept(c)).unwrap_or(text.len())
}

/// Length of a placeholder's name, with the `::suffix` that SQLite takes as part of it.
fn name(text: &str) -> usize {
    let mut length = run(text, is_word);
    while let Some(suffix) = text[length..].strip_prefix("::") {
        let more = run(suffix, is_word);
        if more == 0 {
            break;
        }
        length += 2 + more;
    }
    length
}

/// Length of a quoted text that begins with `quote`, in which a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(quote) {
        at += end + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_hide_what_is_in_them() {
        let sql = "-- begin ?\n/* commit $1 */ Select 'it''s ?', \"a ? b\", [?], `?` from t where a = ?";
        let scan = scan(sql);
        assert_eq!(scan.first_words, ["SELECT"]);
        assert_eq!(scan.bare_parameters, 1);
        assert!(super::scan(" -- nothing\n /* at all */ ").is_empty());
        assert!(super::scan("/* open").is_empty());
    }

    #[test]
    fn placeholders_in_lists_are_found() {
        for (sql, expected) in [
            ("select 1 where a in ($1)", vec!["$1"]),
            ("select 1 where a in (:ids, 3, @b) and c = $d", vec![":ids", "@b"]),
            ("select 1 where x = ? and a in (?)", vec!["#2"]),
            ("select 1 where a in (select value from json_each($1))", vec![]),
            ("select 1 where a in (abs($1))", vec![]),
            ("select 1 where a in ($1 + 1)", vec![]),
            ("insert into t values ($1)", vec![]),
        ] {
            assert_eq!(scan(sql).in_lists, expected, "{sql}");
        }
    }

    #[test]
    fn inserts_are_known() {
        for (sql, expected) in [
            ("insert into t values (1)", true),
            ("REPLACE into t values (1)", true),
            ("with a as (select 1) insert into t select * from a", true),
            ("update t set insert_count = 1", false),
            ("select replace(a, 'x', 'y') from t", false),
        ] {
            assert_eq!(scan(sql).inserts, expected, "{sql}");
        }
    }

    #[test]
    fn any_text_is_scanned_to_its_end() {
        for sql in [
            "'", "\"a", "[", "$", ":", "a::b", "?", "?12", "$1::int", "é ü", "--", "/*", "((", "))", "''''",
        ] {
            scan(sql);
        }
        assert_eq!(tokens("$1::int"), [Token::Parameter("$1::int")]);
    }
}
