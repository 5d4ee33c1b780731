//! The page of the server's settings.

use std::fmt::Write as _;

use bowline_server::config::{PREFIX, settings};
use serde_json::Value;

use super::fields;

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(super::MADE);
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "# Configuration of the server\n\n\
         `bowline serve` reads its settings from the `server:` of a `bowline.yaml` (the one in the folder with workflows, \
         or `--config FILE`). Variables go over the file, and flags over both. `bowline config check` tells every \
         setting with where it comes from.\n\n\
         The variable of a setting is its name in capitals after `{PREFIX}`. Lists may be written with commas, or as \
         JSON. Durations are milliseconds, or text such as `30s`, `5m`, `2d`. Relative paths in a file begin at its \
         folder.\n"
    );
    let mut section = None;
    for setting in settings() {
        let (of, _) = setting.name.rsplit_once('.').unwrap_or(("", ""));
        if section.as_deref() != Some(of) {
            let title = if of.is_empty() { "General" } else { of };
            let _ = write!(
                page,
                "\n## {title}\n\n| setting | type | default | meaning |\n|---|---|---|---|\n"
            );
            section = Some(of.to_owned());
        }
        let default = match &setting.default {
            Value::Null => String::new(),
            value => format!("`{value}`"),
        };
        let _ = writeln!(
            page,
            "| `{}`<br>`{}` | {} | {default} | {} |",
            setting.name,
            setting.variable,
            fields::cell(&fields::type_of(&setting.schema)),
            fields::meaning(&setting.schema),
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_described() {
        let bare: Vec<String> = settings()
            .into_iter()
            .filter(|setting| fields::meaning(&setting.schema).is_empty())
            .map(|setting| setting.name)
            .collect();
        assert!(bare.is_empty(), "without a description: {bare:?}");
        assert!(page().contains("BOWLINE_SERVER_EVENTS_HEARTBEAT"));
    }
}
