//! What is shipped: the two configurations, the schema, and the defaults that the comments promise.

use std::collections::{BTreeMap, BTreeSet};

use gatepost::config::why::{self, Why};
use gatepost::config::{self, Loaded, failures, reload};
use serde_json::Value;

use super::{Site, minimal, repository};

fn shipped(name: &str) -> Loaded {
    config::load(&repository().join("config").join(name)).unwrap_or_else(|problems| panic!("{name}:\n{problems}"))
}

/// Every key that stands in a file, in a comment or not: its path, whether it is in force, its value.
fn documented(text: &str) -> Vec<(String, bool, toml::Value)> {
    let (mut table, mut keys, mut example) = (String::new(), Vec::new(), false);
    for line in text.lines() {
        // A table that may be left out stands there as an example.
        if let Some(header) = line.strip_prefix("# [[").and_then(|line| line.split("]]").next()) {
            (table, example) = (format!("{header}[]."), true);
        } else if let Some(header) = line.strip_prefix("# [").and_then(|line| line.split(']').next()) {
            (table, example) = (format!("{header}."), true);
        } else if line.starts_with('[') {
            example = false;
        }
        if let Some(header) = line.strip_prefix("[[").and_then(|line| line.split("]]").next()) {
            table = format!("{header}[].");
        } else if let Some(header) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            table = format!("{header}.");
        } else {
            let in_force = example || !line.starts_with('#');
            let pair = line.trim_start_matches("# ");
            let is_pair =
                pair.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            if let (true, Ok(pair)) = (is_pair, toml::from_str::<toml::Table>(pair)) {
                keys.extend(pair.into_iter().map(|(key, value)| (format!("{table}{key}"), in_force, value)));
            }
        }
    }
    keys
}

#[test]
fn both_shipped_configurations_load_without_a_warning() {
    for name in ["gatepost.toml", "demo.toml"] {
        let loaded = shipped(name);
        assert!(loaded.warnings.is_empty(), "{name}:\n{}", loaded.warnings);
        let ports = config::rules::Ports::silent();
        let rules = config::rules::load(&loaded.config, &ports).expect("rules that were checked");
        assert!(!rules.registry.is_empty() && !rules.policy.clauses.is_empty());
    }
}

#[test]
fn the_shipped_configuration_relays_for_its_own_domains_only() {
    let relay = shipped("gatepost.toml").config.session.relay;
    for (domain, ours) in [
        ("example.org", true),
        ("sub.example.org", true),
        ("example.com", false),
        ("notexample.org", false),
        ("", false),
    ] {
        assert_eq!(relay.domains.contains(domain), ours, "{domain}");
    }
    assert!(relay.networks.is_empty());
}

#[test]
fn every_documented_default_is_the_default() {
    let text = std::fs::read_to_string(repository().join("config/gatepost.toml")).expect("shipped");
    let catalogue: BTreeMap<String, Value> =
        why::catalogue().into_iter().map(|(key, default, _)| (key, default)).collect();
    let mut mentioned = BTreeSet::new();
    for (key, in_force, value) in documented(&text) {
        // Pools have names of the administrator's choice, and the keys of the one without.
        let key = key.strip_prefix("pool.submission").map_or(key.clone(), |inner| format!("backend{inner}"));
        let default = catalogue.get(&key).unwrap_or_else(|| panic!("{key} is documented but does not exist"));
        if !in_force && !default.is_null() {
            let value = serde_json::to_value(value).expect("JSON");
            assert_eq!(&value, default, "{key} is documented with another default");
        }
        mentioned.insert(key);
    }
    let keys = catalogue
        .keys()
        .filter(|key| ![".certificate", ".tls.key", ".certificates[].key"].iter().any(|end| key.ends_with(end)));
    let leaves = keys.filter(|key| {
        !["listen", "backend.member", "pool", "relay.recipients", "route", "dns.zone", "store.redis"]
            .contains(&key.as_str())
    });
    for key in leaves {
        assert!(mentioned.contains(key), "{key} is not documented in config/gatepost.toml");
    }
}

#[test]
fn every_key_has_a_description() {
    for (key, _, description) in why::catalogue() {
        assert!(description.len() > 5, "{key}");
    }
}

#[test]
fn the_committed_schema_is_the_one_that_the_types_give() {
    let committed = std::fs::read_to_string(repository().join("docs/gatepost.schema.json")).expect("committed");
    let current = gatepost::cli::schema::text().expect("a schema");
    assert!(committed.trim_end() == current, "run `gatepost schema > docs/gatepost.schema.json`");
}

#[test]
fn why_names_the_line_or_the_default_or_the_nearest_key() {
    let loaded = config::parse_text(&minimal("[limits]\nsessions = 9  # few\n")).expect("it loads");
    let written = |line, column, text: &str| Why::Written {
        path: "gatepost.toml".to_owned(),
        line,
        column,
        text: text.to_owned(),
    };
    for (key, expected) in [
        ("limits.sessions", written(11, 1, "sessions = 9  # few")),
        ("listen[0].address", written(3, 1, "address = \"127.0.0.1:2525\"")),
        ("listen.0.address", written(3, 1, "address = \"127.0.0.1:2525\"")),
        ("limits.recipients", Why::Default("1000".to_owned())),
        ("spool.total_disk", Why::Default("\"4 GiB\"".to_owned())),
        ("relay.domains_file", Why::Default("none".to_owned())),
        ("limits.recipient", Why::Unknown(Some("limits.recipients".to_owned()))),
        ("nonsense", Why::Unknown(None)),
    ] {
        assert_eq!(why::why(&loaded, key), expected, "{key}");
    }
    assert!(matches!(why::why(&loaded, "weights.RDNS_NONE"), Why::Written { path, .. } if path.contains("weights")));
}

#[test]
fn the_failure_table_names_every_dependency() {
    let more = "[dns]\nservers = [\"192.0.2.53\"]\n[admin]\naddress = \"127.0.0.1:9125\"\n\
        [store]\npath = \"/var/lib/gatepost/gatepost.redb\"\n\
        [reports]\nenabled = true\nemail = \"dmarc@example.org\"\n";
    let loaded = config::parse_text(&minimal(more)).expect("it loads");
    let table = failures::table(&loaded);
    for dependency in [
        "client",
        "DNS server 192.0.2.53:53",
        "DNS for SPF, DKIM, ARC and DMARC",
        "list spamcop",
        "backend 127.0.0.1:2526",
        "spool",
        "store /var/lib/gatepost/gatepost.redb",
        "DMARC reports through the backend",
        "configuration",
        "admin",
    ] {
        assert!(table.iter().any(|row| row.dependency.starts_with(dependency)), "{dependency}");
    }
    let shared =
        config::parse_text(&minimal("[store.redis]\nurls = [\"redis://192.0.2.20:6379\"]\n")).expect("it loads");
    let rows = failures::table(&shared);
    let rows: Vec<_> = rows.iter().filter(|row| row.dependency == "store redis://192.0.2.20:6379").collect();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.answer.starts_with("open")), "{rows:?}");
    let stale = |table: &[failures::Failure]| table.iter().any(|row| row.answer.contains("expired up to 3600 s ago"));
    assert!(stale(&table));
    let without = config::parse_text(&minimal("[dns]\nstale_seconds = 0\n")).expect("it loads");
    assert!(without.config.dns.stale.is_zero() && !stale(&failures::table(&without)));
    let accepted = table.iter().filter(|row| row.dependency.starts_with("backend"));
    let store = table.iter().filter(|row| row.dependency.starts_with("store"));
    assert!(store.into_iter().all(|row| row.answer.starts_with("open")));
    assert!(accepted.into_iter().all(|row| row.answer.contains("451") && !row.answer.contains("250 ")));
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let load = |more: &str| config::parse_text(&minimal(more)).expect(more);
    let old = load("");
    assert!(reload::diff(&old, &load("# a comment\n")).is_empty());
    let zone = load("[[dns.zone]]\nname = \"lan.example\"\nfile = \"hosts\"\nformat = \"hosts\"\n");
    assert!(reload::diff(&old, &zone).restart.is_empty(), "local zones come and go");
    let new = load("[limits]\nsessions = 9\nrecipients = 200\n[admin]\naddress = \"127.0.0.1:1\"\n");
    let diff = reload::diff(&old, &new);
    assert_eq!(diff.live, ["limits.recipients", "limits.sessions"]);
    assert_eq!(diff.restart, ["admin.address"]);
    let moved = config::parse_text(&minimal("").replace("2525", "2527")).expect("it loads");
    let diff = reload::diff(&old, &moved);
    assert_eq!(diff.restart, ["listen[127.0.0.1:2525].address", "listen[127.0.0.1:2527].address"]);
    assert!(diff.live.is_empty(), "{diff:?}");
}

#[test]
fn a_reload_sees_a_changed_domains_file() {
    let site = Site::new(&minimal("").replace("[relay]", "[relay]\ndomains_file = \"ours\""));
    site.write("ours", "a.example # one\n");
    let old = site.load().expect("it loads");
    site.write("ours", "b.example\n");
    let new = site.load().expect("it loads");
    assert_eq!(reload::diff(&old, &new).live, ["relay.domains_file"]);
    assert!(old.files.contains(&site.path("ours")));
}
