//! `bowline keys`: API keys of a data folder.

use bowline_access::{Audit, MadeKey, NewKey};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{KeyCreateArgs, KeyListArgs, KeysCommand};
use crate::exit::{Exit, Result};
use crate::terminal::{self, text};
use crate::wiring::access::{failure, open};
use crate::wiring::session::block_on;

pub(super) fn run(command: &KeysCommand) -> Result {
    match command {
        KeysCommand::Create(args) => block_on(create(args)),
        KeysCommand::List(args) => block_on(list(args)),
        KeysCommand::Rotate(args) => block_on(async {
            let access = open(&args.of.data.folder)?;
            let overlap = i64::try_from(args.overlap.duration().as_millis()).unwrap_or(i64::MAX);
            let note = Audit::command(&args.of.organization, "rotateKey", &args.id, Value::Null);
            let rotated = access.rotate_key(&args.of.organization, &args.id, overlap, note).await;
            show(&rotated.map_err(failure)?)
        }),
        KeysCommand::Revoke(args) => block_on(async {
            let access = open(&args.of.data.folder)?;
            let note = Audit::command(&args.of.organization, "revokeKey", &args.id, Value::Null);
            access
                .revoke_key(&args.of.organization, &args.id, note)
                .await
                .map_err(failure)?;
            terminal::note(&format!("the key {} is revoked", args.id));
            Ok(Exit::Success)
        }),
    }
}

async fn create(args: &KeyCreateArgs) -> Result {
    let access = open(&args.of.data.folder)?;
    let now = bowline_engine::Clock::System.now();
    let expires_at = args.expires.map(|after| {
        let after = i64::try_from(after.duration().as_millis()).unwrap_or(i64::MAX);
        now.saturating_add(after)
    });
    let new = NewKey {
        organization: args.of.organization.clone(),
        name: args.name.clone(),
        role: args.role,
        scopes: (!args.scopes.is_empty()).then(|| args.scopes.clone()),
        expires_at,
    };
    let note = Audit::command(&args.of.organization, "createKey", "", Value::Null);
    let made = access.create_key(new, note).await.map_err(failure)?;
    show(&made)
}

/// The key alone goes to stdout, so that a script can take it.
fn show(made: &MadeKey) -> Result {
    terminal::note(&format!(
        "key {} of {}: {}, {}; this is the only time that its text is shown",
        made.key.id,
        made.key.organization,
        made.key.role,
        made.key
            .expires_at
            .as_ref()
            .map_or("never expires".to_owned(), |at| format!("expires {at}"))
    ));
    terminal::print(&made.text)?;
    Ok(Exit::Success)
}

async fn list(args: &KeyListArgs) -> Result {
    let access = open(&args.of.data.folder)?;
    let keys = access.list_keys(&args.of.organization).await.map_err(failure)?;
    if args.json {
        terminal::print_json(&json!(keys))?;
        return Ok(Exit::Success);
    }
    if keys.is_empty() {
        terminal::note(&format!("there are no keys of {}", args.of.organization));
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["ID", "NAME", "ROLE", "STATE", "EXPIRES", "SCOPES"]);
    for key in keys {
        let state = serde_json::to_value(key.state).ok();
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
        table.add_row([
            key.id,
            text::one_line(&key.name),
            key.role.to_string(),
            state.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
            key.expires_at.unwrap_or_default(),
            scopes.join(","),
        ]);
    }
    terminal::print(&text::table(&mut table))?;
    Ok(Exit::Success)
}
