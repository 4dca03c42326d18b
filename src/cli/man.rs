//! `gatepost man`: the manual, one page for each command.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;

use super::Failed;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the pages are written; it is made if it is not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Writes the pages.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let directory = &arguments.directory;
    let failed = |why| Failed(format!("{}: {why}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    // Each subcommand's help is there as its own page and as `gatepost help`, which has no flags to tell of.
    let command = super::Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory).map_err(failed)?;
    let pages = fs::read_dir(directory).map_err(failed)?.count();
    Ok(writeln!(out, "{pages} pages in {}", directory.display())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("man1");
        let mut said = Vec::new();
        run(&Arguments { directory: directory.clone() }, &mut said).unwrap_or_else(|Failed(why)| panic!("{why}"));
        for page in ["gatepost.1", "gatepost-run.1", "gatepost-greylist-pass.1", "gatepost-doctor.1"] {
            let text = fs::read_to_string(directory.join(page)).unwrap_or_else(|why| panic!("{page}: {why}"));
            assert!(text.starts_with(".ie") && text.contains(".SH NAME"), "{page}: {text}");
        }
        assert!(said.ends_with(format!("pages in {}\n", directory.display()).as_bytes()));
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("file");
        fs::write(&file, "").expect("writable");
        let why = run(&Arguments { directory: file.clone() }, &mut Vec::new()).expect_err("no directory").0;
        assert!(why.starts_with(&file.display().to_string()), "{why}");
    }
}
