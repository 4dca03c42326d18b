//! `gatepost completions`: what a shell needs to complete our command line.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Failed;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    // The generator cannot report errors, so it does not write to where errors come from.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "gatepost", &mut script);
    Ok(out.write_all(&script)?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_is_told_of_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            run(&Arguments { shell: *shell }, &mut script).unwrap_or_else(|Failed(why)| panic!("{why}"));
            let script = String::from_utf8_lossy(&script);
            for command in super::super::Arguments::command().get_subcommands().filter(|command| !command.is_hide_set())
            {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
