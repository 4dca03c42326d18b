//! `gatepost schema`: the JSON schema of the configuration file.

use std::io::Write;

use super::Failed;

/// Prints it; `docs/gatepost.schema.json` is this output.
pub fn run(out: &mut dyn Write) -> Result<(), Failed> {
    Ok(writeln!(out, "{}", text()?)?)
}

/// The schema as text, without a final line end.
pub fn text() -> Result<String, Failed> {
    Ok(serde_json::to_string_pretty(&crate::config::schema())?)
}
