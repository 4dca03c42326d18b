//! rates.toml: what is meant.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::problem::Report;
use super::super::raw::rules as written;
use super::super::rules::Ports;
use super::super::source::{element, join};
use super::super::{check, raw};
use crate::checks::rates::{self, Answer, AtConnect, AtMail, AtRcpt, Ledger, Limit, Subject, Unit};
use crate::checks::site::Site;
use crate::checks::{Registry, RegistryError};
use crate::facts::Stage;
use crate::scoring::{Composite, Symbol};
use crate::store::Allowance;
use crate::units::{ByteSize, DomainSet};

/// Buckets that one stage may ask for.
const MOST: usize = 64;
/// What stands for all limits of one answer.
const ANSWERS: [&str; 3] = ["RATES_CONNECT", "RATES_DEFER", "RATES_TARPIT"];
/// Whom no answer meets.
const SPARED: [&str; 3] = ["ALLOWED_CLIENT", "ALLOWED_SENDER", "TRUSTED_FORWARDER"];

/// One limit as written, with where.
pub(super) struct Rate {
    at: String,
    limit: Limit,
    pub(super) shadow: bool,
}

impl Rate {
    pub(super) fn symbol(&self) -> &Symbol {
        &self.limit.symbol
    }
}

pub(super) fn rates(file: &written::RatesFile, report: &mut Report<'_>) -> Vec<Rate> {
    if file.rate.len() > MOST {
        report.error(&element("rate", MOST), format!("is one limit too many: {MOST} at most"));
    }
    let mut names = BTreeSet::new();
    let mut rates = Vec::new();
    for (index, rate) in file.rate.iter().take(MOST).enumerate() {
        let at = element("rate", index);
        if report.document.has(&join(&at, "name")) {
            let fits = rate.name.starts_with(|c: char| c.is_ascii_lowercase())
                && rate.name.len() <= 40
                && rate.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !fits {
                report.error(&join(&at, "name"), "must be a word of at most 40 lower-case letters, digits and -");
                continue;
            }
            if !names.insert(rate.name.as_str()) {
                report.error(&join(&at, "name"), format!("another limit is called `{}` already", rate.name));
                continue;
            }
            rates.extend(self::limit(rate, &at, report).map(|limit| Rate { at, limit, shadow: rate.shadow }));
        }
    }
    rates
}

fn limit(written: &written::Rate, at: &str, report: &mut Report<'_>) -> Option<Limit> {
    let name = written.name.to_ascii_uppercase().replace('-', "_");
    let limit = Limit {
        name: written.name.as_str().into(),
        symbol: report.take(&join(at, "name"), Symbol::new(&format!("RATE_{name}")))?,
        per: subject(written.per),
        of: unit(written.of),
        allowance: Allowance {
            units: report.take(&join(at, "allow"), units(&written.allow, written.of))?,
            per: Duration::from_secs(written.within_seconds),
        },
        outgoing: written.outgoing
            || written.per == written::RateSubject::User
            || written.of == written::RateUnit::AuthFailures,
        shadow: written.shadow,
        then: match written.then {
            written::RateAnswer::Defer => Answer::Defer,
            written::RateAnswer::Tarpit => Answer::Tarpit,
            written::RateAnswer::Score => Answer::Score,
        },
        exempt_networks: check::networks(&written.exempt_networks, &join(at, "exempt_networks"), report),
        exempt_domains: domains(written, at, report),
    };
    if !limit.makes_sense() {
        let reason = match limit.of {
            Unit::Connections => "connections are those of a \"client\" or \"network\": no more is known then",
            Unit::Errors => "errors are those of a \"client\", \"network\" or \"helo\"",
            Unit::AuthFailures => "authentications are those of a \"client\", \"network\" or \"user\"",
            Unit::UnknownRecipients => "who is unknown needs no limit of its own",
            _ => "one recipient is one recipient: count its \"transactions\"",
        };
        report.error(&join(at, "of"), reason);
    }
    Some(limit)
}

fn units(written: &raw::Size, of: written::RateUnit) -> Result<u32, String> {
    let number = match of {
        written::RateUnit::Bytes => written.0.parse::<ByteSize>()?.0.div_ceil(1024),
        _ => written.0.parse().map_err(|_| format!("`{}` is no number", written.0))?,
    };
    match u32::try_from(number) {
        Ok(0) => Err("must be at least 1: who may do nothing is refused by a clause".to_owned()),
        Ok(units) => Ok(units),
        Err(_) => Err(format!("`{}` is beyond all measure", written.0)),
    }
}

fn domains(written: &written::Rate, at: &str, report: &mut Report<'_>) -> DomainSet {
    let key = join(at, "exempt_domains");
    if matches!(written.per, written::RateSubject::Client | written::RateSubject::Network) && report.document.has(&key)
    {
        report.error(&key, "has no meaning where `per` is an address: write exempt_networks");
    }
    let mut domains = DomainSet::default();
    for (index, pattern) in written.exempt_domains.iter().enumerate() {
        report.take(&element(&key, index), domains.insert(pattern));
    }
    domains
}

/// Adds the checks that look at limits, and whoever counts what clients do.
pub(super) fn add(rates: &[Rate], site: &Arc<Site>, ports: &Ports, registry: &mut Registry, report: &mut Report<'_>) {
    if rates.is_empty() {
        return;
    }
    let asked = rates::Ports { store: ports.store.clone(), clock: ports.clock.clone(), site: site.clone() };
    let ledger = Arc::new(Ledger::new(rates.iter().map(|rate| rate.limit.clone()).collect(), asked));
    let has = |stage| rates.iter().any(|rate| rate.limit.stage() == stage);
    let mut added = |result: Result<(), RegistryError>| {
        if let Err(taken) = result {
            let by = |symbol: &Symbol| rates.iter().find(|rate| rate.symbol() == symbol);
            let at = match &taken {
                RegistryError::Symbol { symbol, .. } => by(symbol).map(|rate| join(&rate.at, "name")),
                RegistryError::Name(_) => None,
            };
            report.error(&at.unwrap_or_default(), taken.to_string());
        }
    };
    if has(Stage::Connect) {
        added(registry.add(AtConnect::new(ledger.clone())));
    }
    if has(Stage::Rcpt) {
        added(registry.add(AtRcpt::new(ledger.clone())));
    }
    // Always: it also takes what a transaction comes to.
    added(registry.add(AtMail::new(ledger.clone())));
    registry.add_witness(ledger);
}

/// What stands for the limits of each answer, so that a clause need not name them; the names of those that stand for
/// none.
pub(super) fn answers(rates: &[Rate]) -> (Vec<Composite>, Vec<Symbol>) {
    let (mut composites, mut unused) = (Vec::new(), Vec::new());
    for name in ANSWERS {
        // Attempts to authenticate are answered where they are made.
        let is_meant = |rate: &&Rate| match (rate.limit.then, rate.limit.stage()) {
            _ if rate.limit.of == Unit::AuthFailures => false,
            (Answer::Defer, Stage::Connect) => name == "RATES_CONNECT",
            (Answer::Defer, _) => name == "RATES_DEFER",
            (Answer::Tarpit, _) => name == "RATES_TARPIT",
            (Answer::Score, _) => false,
        };
        let any_of: Vec<_> = rates.iter().filter(is_meant).map(|rate| rate.symbol().clone()).collect();
        let symbol = Symbol::known(name);
        match any_of.is_empty() {
            true => unused.push(symbol),
            false => {
                let none_of = SPARED.map(Symbol::known).to_vec();
                composites.push(Composite { any_of, none_of, ..Composite::named(symbol) });
            }
        }
    }
    (composites, unused)
}

fn subject(written: written::RateSubject) -> Subject {
    match written {
        written::RateSubject::Client => Subject::Client,
        written::RateSubject::Network => Subject::Network,
        written::RateSubject::Helo => Subject::Helo,
        written::RateSubject::SenderDomain => Subject::SenderDomain,
        written::RateSubject::Sender => Subject::Sender,
        written::RateSubject::Recipient => Subject::Recipient,
        written::RateSubject::User => Subject::User,
    }
}

fn unit(written: written::RateUnit) -> Unit {
    match written {
        written::RateUnit::Connections => Unit::Connections,
        written::RateUnit::Transactions => Unit::Transactions,
        written::RateUnit::Recipients => Unit::Recipients,
        written::RateUnit::UnknownRecipients => Unit::UnknownRecipients,
        written::RateUnit::Errors => Unit::Errors,
        written::RateUnit::Bytes => Unit::Bytes,
        written::RateUnit::AuthFailures => Unit::AuthFailures,
    }
}
