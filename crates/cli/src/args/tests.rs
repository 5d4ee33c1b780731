use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_visible_command_has_an_example_or_subcommands() {
    fn check(command: &clap::Command) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            if sub.has_subcommands() {
                check(sub);
            } else {
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example: bowline "), "{}", sub.get_name());
                assert!(sub.get_about().is_some(), "{}", sub.get_name());
            }
        }
    }
    check(&Cli::command());
}
