//! Tests that are code: those that rules use most, each written here.

mod body;
mod freemail;
mod header;
mod html;
mod mime;
mod relay;
mod uri;

use std::cell::RefCell;

use super::message::Read;
use super::reader::Settings;
use super::request;
use crate::pattern::{Budget, PatternId, Patterns};

/// What a test sees.
pub(super) struct Context<'c> {
    pub(super) read: &'c Read<'c>,
    pub(super) settings: &'c Settings,
    /// The expression that is one of its arguments.
    pub(super) pattern: Option<&'c (Patterns, PatternId)>,
    /// What the message may cost.
    pub(super) budget: RefCell<&'c mut Budget>,
}

/// A test with its arguments.
pub(super) type Eval = fn(&Context<'_>, &[String]) -> bool;

const TABLES: [&[(&str, Eval)]; 7] =
    [body::TESTS, freemail::TESTS, header::TESTS, html::TESTS, mime::TESTS, relay::TESTS, uri::TESTS];

/// Tests that others answer, by the beginning of their name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("check_rbl", "DNS lists are asked by the checks of lists.toml"),
    ("check_uridnsbl", "DNS lists are asked by the checks of lists.toml"),
    ("check_dns_sender", "the check of senders asks DNS"),
    ("check_for_spf", "SPF is a check of its own"),
    ("check_for_def_spf", "SPF is a check of its own"),
    ("check_dkim", "DKIM is a check of its own"),
    ("check_for_dkim", "DKIM is a check of its own"),
    ("check_for_def_dkim", "DKIM is a check of its own"),
    ("check_dmarc", "DMARC is a check of its own"),
    ("check_arc", "ARC is a check of its own"),
    ("check_bayes", "the classifier is a check of its own"),
    ("check_from_in_auto", "reputation is a check of its own"),
    ("check_senders_reputation", "reputation is a check of its own"),
    ("check_razor2", "it asks a service of others"),
    ("check_pyzor", "it asks a service of others"),
    ("check_dcc", "it asks a service of others"),
    ("check_hashbl", "it asks DNS"),
    ("check_access_database", "it reads a database"),
    ("check_shortcircuit", "clauses of policy.toml decide early"),
    ("short_url", "it asks DNS, or fetches"),
    ("pdf_", "PDF files are looked into by checks of attachments"),
    ("image_", "pictures are not looked into"),
    ("pixel_coverage", "pictures are not looked into"),
];

/// The test of a name, or why there is none.
pub(super) fn find(function: &str) -> Result<Eval, String> {
    let found = TABLES.iter().flat_map(|table| table.iter()).find(|(name, _)| *name == function);
    if let Some((_, eval)) = found {
        return Ok(*eval);
    }
    let elsewhere = ELSEWHERE.iter().find(|(start, _)| function.starts_with(start));
    Err(match elsewhere {
        Some((_, why)) => format!("covered elsewhere: {why} (eval:{function})"),
        None => format!("eval:{function} is not known"),
    })
}

/// Whether a test knows what it is asked for.
pub(super) fn knows(function: &str, arguments: &[String]) -> bool {
    let first = arguments.first().map_or("", String::as_str);
    match function {
        "html_test" => html::FACTS.contains(&first),
        "html_range" | "html_eval" => html::NUMBERS.contains(&first),
        "html_text_match" => ["comment", "anchor", "title"].contains(&first),
        "check_for_mime" => mime::FACTS.contains(&first),
        "check_msg_parse_flags" => mime::FLAGS.contains(&first),
        _ => true,
    }
}

/// Whether a test asks for a list in which nothing stands.
pub(super) fn is_idle(function: &str, arguments: &[String], settings: &Settings) -> bool {
    let modern = function.replace("whitelist", "welcomelist").replace("blacklist", "blocklist");
    let first = arguments.first().map_or("", String::as_str);
    let list = match modern.as_str() {
        "check_from_in_list" | "check_replyto_in_list" => format!("enlist_addrlist:{first}"),
        "check_uri_host_listed" => format!("enlist_uri_host:{first}"),
        "check_uri_host_in_blocklist" => "enlist_uri_host:BLOCK".to_owned(),
        "check_uri_host_in_welcomelist" => "enlist_uri_host:WELCOME".to_owned(),
        "check_from_in_default_welcomelist" => return true,
        "check_to_in_more_spam" => "more_spam_to".to_owned(),
        "check_to_in_all_spam" => "all_spam_to".to_owned(),
        "check_from_in_welcomelist"
        | "check_from_in_blocklist"
        | "check_to_in_welcomelist"
        | "check_to_in_blocklist"
        | "check_subject_in_welcomelist"
        | "check_subject_in_blocklist" => {
            let (field, list) = modern.trim_start_matches("check_").split_once("_in_").unwrap_or_default();
            format!("{list}_{field}")
        }
        _ => return false,
    };
    settings.lists.get(&list).is_none_or(std::collections::BTreeSet::is_empty)
}

/// The argument that is an expression.
pub(super) fn pattern_of<'a>(function: &str, arguments: &'a [String]) -> Option<&'a str> {
    let at = match function {
        "html_text_match" | "check_freemail_header" => 1,
        "check_freemail_from" => 0,
        _ => return None,
    };
    arguments.get(at).map(String::as_str)
}

impl Context<'_> {
    fn values(&self, request: &str) -> Vec<String> {
        let values = request::values(self.read, request);
        values.into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    /// The first value; empty if there is none.
    fn first(&self, request: &str) -> String {
        self.values(request).into_iter().next().unwrap_or_default()
    }

    /// All values, a line each; empty if there is none.
    fn joined(&self, request: &str) -> String {
        request::value(self.read, request).map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
    }

    /// Whether the expression matches. Where that was not found out it does not, and the budget has counted it: a test
    /// that holds because of a match, and never for want of one, is uncertain then.
    fn matches(&self, text: &str) -> bool {
        let mut budget = self.budget.borrow_mut();
        self.pattern.is_none_or(|(patterns, id)| patterns.is_match(*id, text.as_bytes(), &mut budget))
    }
}

/// An argument as a number; none for `undef` and `inf`, and where it is absent.
fn number(arguments: &[String], at: usize) -> Option<f64> {
    arguments.get(at).and_then(|argument| argument.trim().parse::<f64>().ok()).filter(|number| number.is_finite())
}

/// Whether a value is above the least and not above the most.
fn is_within(value: f64, arguments: &[String], at: usize) -> bool {
    number(arguments, at).is_none_or(|least| value > least)
        && number(arguments, at + 1).is_none_or(|most| value <= most)
}

/// Whether a value is at least the least, and below the most.
fn is_from_to(value: f64, arguments: &[String], at: usize) -> bool {
    number(arguments, at).is_none_or(|least| value >= least)
        && number(arguments, at + 1).is_none_or(|most| value < most)
}

/// The domain of an address as it is registered, in lower case.
fn registered(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    psl::domain(host.as_bytes()).map(|domain| String::from_utf8_lossy(domain.as_bytes()).into_owned())
}
