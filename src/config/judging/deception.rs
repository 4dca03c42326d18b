//! deception.toml: what is meant.

use std::sync::Arc;

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::source::{element, join};
use crate::checks::Registry;
use crate::checks::deception::{Deception, Settings};
use crate::units::registered_domain;

/// Adds the check.
pub(super) fn add(file: &written::DeceptionFile, registry: &mut Registry, report: &mut Report<'_>) {
    let settings = settings(file, report);
    report.take("", registry.add(Deception::new(Arc::new(settings))));
}

fn settings(file: &written::DeceptionFile, report: &mut Report<'_>) -> Settings {
    let mut domains = |key: &str, written: &[String]| -> Vec<String> {
        let read = |(index, domain): (usize, &String)| {
            // `*` stands for a part of the label: the branches of a house are called alike.
            let name = idna::domain_to_ascii(&domain.trim().replace('*', "x")).unwrap_or_default();
            if registered_domain(&name) != Some(&name) {
                report.error(&element(key, index), format!("`{domain}` is no registered domain, as example.org is"));
            }
            if domain.contains('*') { domain.trim().to_lowercase() } else { name }
        };
        written.iter().enumerate().map(read).collect()
    };
    let mut brands = Vec::with_capacity(file.brands.len());
    for (name, written) in &file.brands {
        brands.push((name.as_str(), domains(&join("brands", name), written)));
    }
    let protected = domains("protected", &file.protected);
    let freemail = domains("freemail", &file.freemail);
    Settings::new(brands, protected.iter().map(String::as_str), freemail.iter().map(String::as_str))
}
