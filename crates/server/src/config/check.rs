//! What the type of a setting does not tell: which values would not do, and what is brought into one form.

use std::net::IpAddr;

use axum::http::Uri;
use bowline_connector::Millis;
use serde_json::Value;

use super::Config;
use super::merge::Loaded;
use super::problem::ConfigProblem;
use crate::guard::origin::is_for_this_machine;

/// Brings settings into one form, and tells what would not do.
pub(super) fn check(loaded: &mut Loaded) -> Vec<ConfigProblem> {
    let mut wrong: Vec<(&str, String)> = Vec::new();
    if let Some(url) = loaded.config.public_url.take() {
        let url = url.trim_end_matches('/').to_owned();
        if let Err(why) = public(&url) {
            wrong.push(("publicUrl", why));
        }
        loaded.config.public_url = Some(url);
    }
    let config = &loaded.config;
    for (name, time) in [
        ("events.heartbeat", config.events.heartbeat),
        ("connections.headerTimeout", config.connections.header_timeout),
        ("connections.stallTimeout", config.connections.stall_timeout),
        ("limits.bodyTimeout", config.limits.body_timeout),
    ] {
        let Millis(time) = time;
        if time.is_zero() {
            wrong.push((name, "nothing can be done in no time; expected more than 0".to_owned()));
        }
    }
    // One at a time, so that each is told under its own name.
    let mut traces = config.traces.clone();
    traces.sample = 1.0;
    if let Err(error) = traces.check() {
        wrong.push(("traces.endpoint", error.to_string()));
    }
    let mut problems: Vec<ConfigProblem> = wrong
        .into_iter()
        .map(|(name, message)| loaded.problem(name, message))
        .collect();
    problems.extend(out_of_bounds(loaded));
    problems
}

/// What is refused while there is neither an API key nor JWT, listening on this address; none where nothing is: then
/// everybody on this machine is let in.
pub fn keys_needed(config: &Config, address: IpAddr) -> Option<String> {
    let mend = "make a key with `bowline keys create NAME --role admin`, or configure `access.jwt`";
    if !address.to_canonical().is_loopback() {
        return Some(format!(
            "the server does not listen on {address}, where others can reach it, as long as there is no API key and no JWT \
             issuer: {mend}, or listen on 127.0.0.1"
        ));
    }
    (!is_for_this_machine(config)).then(|| {
        format!(
            "there is no API key, and `publicUrl` or `limits.proxies` says that others reach this server: nobody is let in \
             to the API and the inspector; {mend}"
        )
    })
}

/// Links are made of it by putting paths behind it.
fn public(url: &str) -> Result<(), String> {
    let form = "expected what links begin with, such as https://bowline.example.com";
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("`{url}` does not begin with http:// or https://; {form}"));
    }
    let parsed: Uri = url.parse().map_err(|error| format!("`{url}`: {error}; {form}"))?;
    if parsed.host().is_none_or(str::is_empty) {
        return Err(format!("`{url}` names no host; {form}"));
    }
    if url.contains(['?', '#', '@']) {
        return Err(format!("`{url}` has more than a host and a path; {form}"));
    }
    Ok(())
}

/// Numbers that the schema bounds.
fn out_of_bounds(loaded: &Loaded) -> Vec<ConfigProblem> {
    let whole = serde_json::to_value(&loaded.config).unwrap_or_default();
    super::settings()
        .iter()
        .filter_map(|setting| {
            let value = whole.pointer(&format!("/{}", setting.name.replace('.', "/")))?;
            let number = value.as_f64()?;
            let bound = |word: &str| setting.schema.get(word).and_then(Value::as_f64);
            let is_within = bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most);
            (!is_within).then(|| loaded.problem(&setting.name, super::words::refused(value, setting)))
        })
        .collect()
}
