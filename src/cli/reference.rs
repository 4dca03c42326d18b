//! The command line as a document: `docs/cli.md` is made of this.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

/// Every command with its arguments, as Markdown, in the order of `--help`.
pub fn text() -> String {
    let mut root = super::Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut out = String::new();
    for command in root.get_subcommands() {
        describe(command, &mut out);
    }
    out
}

/// One command, and those below it.
fn describe(command: &Command, out: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let _ = writeln!(out, "### {name}\n");
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(out, "{}\n", sentence(about.trim()));
    if command.has_subcommands() {
        command.get_subcommands().filter(|each| each.get_name() != "help").for_each(|each| describe(each, out));
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(out, "    {}\n", usage.trim_start_matches("Usage: "));
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_told(argument)).collect();
    if arguments.is_empty() {
        return;
    }
    let _ = writeln!(out, "| argument | what it does |\n|---|---|");
    for argument in arguments {
        let _ = writeln!(out, "| `{}` | {} |", written(argument), meaning(argument));
    }
    out.push('\n');
}

fn is_told(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

/// As it is typed: `-c, --config <FILE>`, `DIR...`.
fn written(argument: &Arg) -> String {
    let takes = argument.get_action().takes_values();
    let values: Vec<&str> = argument.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let value = if takes { format!("<{}>", values.join("> <")) } else { String::new() };
    let many = argument.get_num_args().is_some_and(|range| range.max_values() > values.len().max(1))
        || matches!(argument.get_action(), clap::ArgAction::Append);
    let value = if many { format!("{value}...") } else { value };
    match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long} {value}").trim_end().to_owned(),
        (None, Some(long)) => format!("--{long} {value}").trim_end().to_owned(),
        (Some(short), None) => format!("-{short} {value}").trim_end().to_owned(),
        (None, None) => value,
    }
}

/// What it does, with its choices, its default and its variable of the environment.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = sentence(&help.replace('\n', " "));
    let quoted = |names: Vec<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if argument.get_action().takes_values() {
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if !choices.is_empty() {
            let _ = write!(text, " One of {}.", quoted(choices));
        }
        let defaults: Vec<String> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() {
            let _ = write!(text, " Default: {}.", quoted(defaults));
        }
    }
    if let Some(name) = argument.get_env() {
        let _ = write!(text, " Or `{}` in the environment.", name.to_string_lossy());
    }
    text.replace('|', "\\|")
}

/// Help texts come without a final dot.
fn sentence(text: &str) -> String {
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_arguments_are_told_as_they_are_typed() {
        let text = text();
        for expected in [
            "### gatepost run\n",
            "### gatepost greylist pass\n",
            "    gatepost run [OPTIONS]\n",
            "| `-c, --config <FILE>` | The configuration file. Default: `/etc/gatepost/gatepost.toml`. Or `GATEPOST_CONFIG` in \
                the environment. |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("gatepost help") && !text.contains("--help"));
    }
}
