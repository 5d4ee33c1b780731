//! `bowline organizations`: those of a data folder.

use bowline_access::Audit;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{OrganizationArgs, OrganizationListArgs, OrganizationsCommand};
use crate::exit::{Exit, Result};
use crate::terminal::{self, text};
use crate::wiring::access::{failure, open};
use crate::wiring::session::block_on;

pub(super) fn run(command: &OrganizationsCommand) -> Result {
    match command {
        OrganizationsCommand::Create(args) => block_on(async {
            let access = open(&args.data.folder)?;
            let note = Audit::command(&args.name, "createOrganization", &args.name, Value::Null);
            access
                .create_organization(&args.name, &args.title, note)
                .await
                .map_err(failure)?;
            terminal::note(&format!(
                "the organization {0} is made; its first key: bowline keys create NAME --role admin --organization {0}",
                args.name
            ));
            Ok(Exit::Success)
        }),
        OrganizationsCommand::List(args) => block_on(list(args)),
        OrganizationsCommand::Disable(args) => block_on(disable(args, true)),
        OrganizationsCommand::Enable(args) => block_on(disable(args, false)),
    }
}

async fn disable(args: &OrganizationArgs, is_disabled: bool) -> Result {
    let access = open(&args.data.folder)?;
    let (action, told) = if is_disabled {
        ("disableOrganization", "disabled: its keys and tokens are refused")
    } else {
        ("enableOrganization", "enabled")
    };
    let note = Audit::command(&args.name, action, &args.name, Value::Null);
    access
        .disable_organization(&args.name, is_disabled, note)
        .await
        .map_err(failure)?;
    terminal::note(&format!("the organization {} is {told}", args.name));
    Ok(Exit::Success)
}

async fn list(args: &OrganizationListArgs) -> Result {
    let access = open(&args.data.folder)?;
    let all = access.list_organizations().await.map_err(failure)?;
    if args.json {
        terminal::print_json(&json!(all))?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["NAME", "TITLE", "MADE", "STATE"]);
    for organization in all {
        table.add_row([
            organization.name,
            text::one_line(&organization.title),
            organization.created_at.unwrap_or_default(),
            if organization.disabled_at.is_some() {
                "disabled"
            } else {
                ""
            }
            .to_owned(),
        ]);
    }
    terminal::print(&text::table(&mut table))?;
    Ok(Exit::Success)
}
