//! The rule files: what they make, and what is wrong with them.

use gatepost::cli::symbols;
use gatepost::config;
use gatepost::pipeline::Ruleset;

use super::{Site, lines, minimal};

const ONE_LIST: &str = r#"
[[dnsbl]]
name = "one"
zone = "bl.example"
[dnsbl.codes]
"127.0.0.2" = "DNSBL_ONE"
"#;

fn site(weights: &str, lists: &str, policy: &str) -> Site {
    let site = Site::new(&minimal("[rules]\ndirectory = \"rules\"\n"));
    site.write("rules/weights.toml", weights);
    site.write("rules/lists.toml", lists);
    site.write("rules/policy.toml", policy);
    site
}

fn ruleset(site: &Site) -> Ruleset {
    let loaded = site.load().unwrap_or_else(|problems| panic!("{problems}"));
    let ports = config::rules::Ports::silent();
    config::rules::load(&loaded.config, &ports).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn each_mistake_in_a_rule_file_is_named_with_its_place_and_remedy() {
    for (weights, lists, policy, expected) in [
        (
            "[weights]\nDNSBL_ON = 1.0\n",
            ONE_LIST,
            "",
            "weights.toml:2:12: error: weights.DNSBL_ON: no check emits `DNSBL_ON`, and no composite defines it; did you mean `DNSBL_ONE`?",
        ),
        (
            "[weights]\nDNSBL_ONE = 1e9\n",
            ONE_LIST,
            "",
            "weights.toml:2:13: error: weights.DNSBL_ONE: must lie between -10000 and 10000",
        ),
        ("[weights]\nDNSBL_ONE = nan\n", ONE_LIST, "", "weights.toml:2:13: error: weights.DNSBL_ONE: must be a number"),
        (
            "[[group]]\nname = \"g\"\nsymbols = [\"DNSBL_ONE\"]\n",
            ONE_LIST,
            "",
            "weights.toml:1:1: error: group[0].cap: is missing",
        ),
        (
            "[[group]]\nname = \"g\"\nsymbols = [\"DNSBL_ONE\"]\ncap = -1\n",
            ONE_LIST,
            "",
            "weights.toml:4:7: error: group[0].cap: must not be negative",
        ),
        (
            "[[group]]\nname = \"g\"\nsymbols = [\"GTUBE\"]\ncap = 1\n[[group]]\nname = \"h\"\nsymbols = [\"GTUBE\"]\ncap = 1\n",
            "",
            "",
            "weights.toml:7:11: error: group[1].symbols: `GTUBE` is in the group `g` already",
        ),
        (
            "[[composite]]\nsymbol = \"BOTH\"\nall_of = [\"BOTH\"]\n",
            "",
            "",
            "weights.toml: error: these composites depend on themselves: BOTH",
        ),
        ("", "[[dnsbl]]\nname = \"one\"\n", "", "lists.toml:1:1: error: dnsbl[0].zone: is missing"),
        (
            "",
            "[[dnsbl]]\nname = \"One\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:2:8: error: dnsbl[0].name: must be a word",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl\"\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:3:8: error: dnsbl[0].zone: `bl` is no zone",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\nof = \"url\"\ndigest = \"sha1-hex\"\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:5:10: error: dnsbl[0].digest: has no meaning where `of` is \"url\"",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\nof = \"email-hash\"\nfamilies = [\"ipv4\"]\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:5:12: error: dnsbl[0].families: has no meaning where `of` is \"email-hash\"",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0\" = \"X\" }\n",
            "",
            "lists.toml:4:23: error: dnsbl[0].codes.\"127.0.0\": `127.0.0` is no return code pattern",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"x\" }\n",
            "",
            "lists.toml:4:25: error: dnsbl[0].codes.\"127.0.0.2\": `x` is no symbol",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"GTUBE\" }\n",
            "",
            "lists.toml:4:9: error: dnsbl[0].codes: symbol `GTUBE` is claimed by both",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nof = \"sendr\"\n",
            "",
            "lists.toml:5:6: error: dnsbl[0].of: ",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nof = \"helo\"\nfamilies = [\"ipv4\"]\n",
            "",
            "lists.toml:6:12: error: dnsbl[0].families: has no meaning where `of` is \"helo\", no address",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nnames = \"host\"\n",
            "",
            "lists.toml:5:9: error: dnsbl[0].names: has no meaning where `of` is \"client\", no name",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nerrors = [\"127.0.0.2\", \"10.0.0.1\"]\n",
            "",
            "lists.toml:5:24: error: dnsbl[0].errors[1]: `10.0.0.1` is no return code pattern",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\ntest = \"negativ\"\n",
            "",
            "lists.toml:5:8: error: dnsbl[0].test: ",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\ntest_listed = [\"test\"]\n",
            "",
            "lists.toml:5:16: error: dnsbl[0].test_listed[0]: `test` is no address",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nof = \"email-hash\"\ntest = \"both\"\n",
            "",
            "lists.toml:6:8: error: dnsbl[0].test: RFC 5782 has no test points for digests",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\ntst_listed = [\"127.0.0.3\"]\n",
            "",
            "lists.toml:5:1: error: dnsbl[0].tst_listed: ",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\nkey = \"abc\"\n",
            "",
            "lists.toml:5:7: error: dnsbl[0].key: has no place",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"{key}.bl.example\"\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:3:8: error: dnsbl[0].zone: needs the `key`",
        ),
        (
            "",
            "[[dnsbl]]\nname = \"one\"\nzone = \"{key}.bl.example\"\nkey = \"a b\"\ncodes = { \"127.0.0.2\" = \"X\" }\n",
            "",
            "lists.toml:4:7: error: dnsbl[0].key: cannot stand in the name of a zone",
        ),
        ("", "skip = [\"gmail.com\", \"gmail\"]\n", "", "lists.toml:1:22: error: skip[1]: `gmail` is no domain name"),
        (
            "",
            "",
            "[[clause]]\nname = \"a\"\nverdict = \"reject\"\nall_of = [\"GTUBEX\"]\n",
            "policy.toml:4:11: error: clause[0].all_of[0]: no check emits `GTUBEX`, and no composite defines it; did you mean `GTUBE`?",
        ),
        (
            "",
            "",
            "[[clause]]\nname = \"a\"\nverdict = \"reject\"\nat_least = 9\nbelow = 4\n",
            "policy.toml:4:12: error: clause[0].at_least: is not less than `below`",
        ),
        (
            "",
            "",
            "[[clause]]\nname = \"a\"\nverdict = \"reject\"\nstage = \"recpt\"\n",
            "policy.toml:4:9: error: clause[0].stage: `recpt` is not one of `connect`, `helo`, `mail`, `rcpt`, `message`; did you mean `rcpt`?",
        ),
        (
            "",
            "",
            "[[clause]]\nname = \"a\"\nverdict = \"reject\"\nall_of = [\"GTUBE\"]\ntext = \"a\\nb\"\n",
            "policy.toml:5:8: error: clause[0].text: must be one line",
        ),
        (
            "",
            "",
            "[[clause]]\nname = \"a\"\nverdict = \"reject\"\nat_least = 1\n[[clause]]\nname = \"a\"\nverdict = \"reject\"\nat_least = 1\n",
            "policy.toml:6:8: error: clause[1].name: another clause is called `a` already",
        ),
    ] {
        let problems = site(weights, lists, policy).load().map(|_| ()).expect_err(expected);
        let said = lines(&problems);
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
}

/// A site with two clauses, and what is otherwise for some.
fn with_policies(policies: &str) -> Site {
    let clauses = "tag = 5\n[[clause]]\nname = \"listed\"\nstage = \"connect\"\nany_of = [\"DNSBL_ONE\"]\nverdict = \"reject\"\n\
                   [[clause]]\nname = \"score\"\nat_least = 9\nverdict = \"reject\"\n\
                   [[invariant]]\nname = \"not-alone\"\nfindings = 1\nby_score = true\n";
    site("[weights]\nDNSBL_ONE = 6\n", ONE_LIST, &format!("{clauses}{policies}"))
}

#[test]
fn mistakes_in_policies_of_some_recipients_are_named_with_their_place() {
    const POLICY: &str = "[[policy]]\nname = \"a\"\nrecipients = [\"@a.example\"]\ntag = 9\nclause = [{ name = \"score\", at_least = 7 }]\n";
    for (written, instead, expected) in [
        ("name = \"a\"", "name = \"A b\"", "16:8: error: policy[0].name: must be a word of at most 40"),
        ("name = \"a\"", "name = \"default\"", "16:8: error: policy[0].name: `default` is what everybody else has"),
        ("recipients = [\"@a.example\"]\n", "", "15:1: error: policy[0].recipients: is missing"),
        ("[\"@a.example\"]", "[]", "17:14: error: policy[0].recipients: is empty"),
        ("[\"@a.example\"]", "[\"a\"]", "17:15: error: policy[0].recipients[0]: `a` is no recipient"),
        ("\"]", "\", \"*@A.example\"]", "17:29: error: policy[0].recipients[1]: `*@A.example` stands"),
        ("\"score\"", "\"scor\"", "19:20: error: policy[0].clause[0].name: no clause is called `scor`; did you mean"),
        ("at_least", "below", "19:37: error: policy[0].clause[0].below: the clause `score` has no `below`"),
        ("at_least = 7", "off = true, shadow = true", "19:35: error: policy[0].clause[0].off: leaves nothing"),
        (
            "{",
            "{ name = \"score\", off = true }, {",
            "19:52: error: policy[0].clause[1].name: `score` stands here twice",
        ),
        (
            "at_least = 7",
            "at_least = 6 }, { name = \"listed\", off = true",
            "15:1: error: policy[0]: `not-alone` does not hold for `a`: DNSBL_ONE (6.00)",
        ),
        (POLICY, &POLICY.repeat(2), "21:8: error: policy[1].name: another policy is called `a` already"),
        (POLICY, &POLICY.repeat(101), "are more than 100"),
    ] {
        let site = with_policies(&POLICY.replacen(written, instead, 1));
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        let said: Vec<&str> = said.iter().map(|line| line.trim_start_matches("policy.toml:")).collect();
        assert!(said.iter().any(|line| line.contains(expected)), "expected {expected}\nsaid {said:#?}");
    }
    for (written, instead, expected) in [
        ("tag = 9\nclause = [{ name = \"score\", at_least = 7 }]\n", "", "policy[0]: changes nothing"),
        ("score\", at_least = 7", "listed\", off = true", "acts before the recipients are known"),
    ] {
        let warnings = with_policies(&POLICY.replacen(written, instead, 1)).load().expect("it loads").warnings;
        let said = lines(&warnings);
        assert!(said.iter().any(|line| line.contains(expected)), "expected {expected}\nsaid {said:#?}");
    }
}

#[test]
fn a_policy_of_some_recipients_inherits_what_it_does_not_change() {
    let rules = ruleset(&with_policies(
        "[[policy]]\nname = \"a\"\nrecipients = [\"@a.example\"]\nclause = [{ name = \"score\", at_least = 7, shadow = true }]\n\
         [[policy]]\nname = \"b\"\nrecipients = [\"u@a.example\"]\ntag = 8.5\nclause = [{ name = \"score\", off = true }]\n",
    ));
    let shown: Vec<_> = rules
        .policies
        .iter()
        .map(|(name, policy)| {
            let clauses = policy.clauses.iter().map(|clause| {
                (clause.name.to_string(), clause.when.at_least.map(gatepost::scoring::Score::get), clause.shadow)
            });
            (name.to_string(), policy.tag.map(gatepost::scoring::Score::get), clauses.collect::<Vec<_>>())
        })
        .collect();
    let listed = || ("listed".to_owned(), None, false);
    let expected = [
        ("a".to_owned(), Some(500), vec![listed(), ("score".to_owned(), Some(700), true)]),
        ("b".to_owned(), Some(850), vec![listed()]),
    ];
    assert_eq!(shown, expected);
    assert!(rules.has_shadow(), "that of one policy is looked at, too");
}

#[test]
fn mistakes_about_greylisting_are_named_with_their_place() {
    for (written, expected) in [
        ("delay_seconds = 0\n", "greylist.toml:1:17: error: delay_seconds: must lie between 1 and 86400"),
        ("delay_second = 9\n", "greylist.toml:1:1: error: delay_second: no such key; did you mean `delay_seconds`?"),
        (
            "delay_seconds = 7200\nwindow_hours = 2\n",
            "greylist.toml:1:17: error: delay_seconds: is not less than window_hours (2): nobody could pass",
        ),
        ("window_hours = 48\npass_days = 1\n", "greylist.toml:2:13: error: pass_days: is less than window_hours (48)"),
        ("ipv6_prefix = 128\n", "greylist.toml:1:15: error: ipv6_prefix: must lie between 16 and 64"),
        (
            "shared_domains = [\"mail.sender.example\"]\n",
            "greylist.toml:1:19: error: shared_domains[0]: `mail.sender.example` is below the registered domain: write `sender.example`",
        ),
        (
            "[exempt]\ndomains = [\".sender.example\"]\n",
            "greylist.toml:2:12: error: exempt.domains[0]: `.sender.example` means names below a domain",
        ),
        ("[exempt]\nnetworks = [\"192.0.2.0/33\"]\n", "greylist.toml:2:13: error: exempt.networks[0]: "),
        ("[exempt]\nrecipients = [\"a@b@c\"]\n", "greylist.toml:2:15: error: exempt.recipients[0]: `a@b@c`: "),
        ("[exempt]\nclient_names = [\"\"]\n", "greylist.toml:2:17: error: exempt.client_names[0]: "),
    ] {
        let site = site("", "", "");
        site.write("rules/greylist.toml", written);
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
    let site = site("", "", "");
    site.write("rules/greylist.toml", "[exempt]\nrecipients = [\"User@Example.org\", \".example.net\"]\n");
    let settings = config::rules::greylist(&site.load().expect("it loads").config.rules);
    assert!(settings.exempt.recipients.addresses.contains("user@example.org"));
}

#[test]
fn a_limit_that_cannot_be_is_named_with_its_place_and_remedy() {
    const RATE: &str =
        "[[rate]]\nname = \"a\"\nper = \"client\"\nof = \"errors\"\nallow = 9\nwithin_seconds = 60\nthen = \"score\"\n";
    for (written, instead, expected) in [
        (
            "name = \"a\"",
            "name = \"A b\"",
            "rates.toml:2:8: error: rate[0].name: must be a word of at most 40 lower-case",
        ),
        ("allow = 9\n", "", "rates.toml:1:1: error: rate[0].allow: is missing"),
        ("allow = 9", "allow = 0", "rates.toml:5:9: error: rate[0].allow: must be at least 1"),
        ("allow = 9", "allow = \"9 MiB\"", "rates.toml:5:9: error: rate[0].allow: `9 MiB` is no number"),
        ("allow = 9", "allow = 5000000000", "rates.toml:5:9: error: rate[0].allow: `5000000000` is beyond all measure"),
        ("within_seconds = 60", "within_seconds = 0", "rates.toml:6:18: error: rate[0].within_seconds: must"),
        ("then = \"score\"", "then = \"drop\"", "rates.toml:7:8: error: rate[0].then: "),
        ("of = \"errors\"", "of = \"auth\"", "rates.toml:4:6: error: rate[0].of: "),
        ("per = \"client\"", "per = \"sender\"", "rates.toml:4:6: error: rate[0].of: errors are those of a"),
        (
            "per = \"client\"\nof = \"errors\"",
            "per = \"helo\"\nof = \"connections\"",
            "rates.toml:4:6: error: rate[0].of: connections are those of a",
        ),
        (
            "per = \"client\"\nof = \"errors\"",
            "per = \"recipient\"\nof = \"recipients\"",
            "rates.toml:4:6: error: rate[0].of: one recipient is one recipient: count its \"transactions\"",
        ),
        ("then", "exempt_networks = [\"x\"]\nthen", "rates.toml:7:20: error: rate[0].exempt_networks[0]: "),
        ("then", "exempt_domains = [\"a.example\"]\nthen", "rates.toml:7:18: error: rate[0].exempt_domains: has no"),
        (RATE, &RATE.repeat(2), "rates.toml:9:8: error: rate[1].name: another limit is called `a` already"),
        (RATE, &RATE.repeat(65), "rates.toml:449:1: error: rate[64]: is one limit too many: 64 at most"),
    ] {
        let site = site("", "", "");
        site.write("rules/rates.toml", &RATE.replacen(written, instead, 1));
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
    let lists = ONE_LIST.replace("DNSBL_ONE", "RATE_A");
    let site = site("", &lists, "");
    site.write("rules/rates.toml", RATE);
    let said = lines(&site.load().map(|_| ()).expect_err("one symbol, two owners"));
    assert!(
        said[0].starts_with("rates.toml:2:8: error: rate[0].name: symbol `RATE_A` is claimed by both"),
        "{said:#?}"
    );
}

#[test]
fn a_limit_is_a_symbol_and_answers_can_be_named_whether_or_not_a_limit_has_them() {
    let policy = "tarpit_on = [\"RATES_TARPIT\"]\n[[clause]]\nname = \"r\"\nany_of = [\"RATES_DEFER\", \"RATES_CONNECT\"]\nverdict = \"defer\"\n";
    let rate = "[[rate]]\nname = \"sender-bytes\"\nper = \"sender\"\nof = \"bytes\"\nallow = \"1 GiB\"\nwithin_seconds = 60\nthen = \"defer\"\nshadow = true\n";
    for (rates, weights) in [("", ""), (rate, "[weights]\nRATE_SENDER_BYTES = 1\nRATES_DEFER = 2\n")] {
        let site = site(weights, "", policy);
        site.write("rules/rates.toml", rates);
        let rules = ruleset(&site);
        let known = rules.weights.symbols().find(|(symbol, _)| symbol.as_str() == "RATE_SENDER_BYTES");
        assert_eq!(
            known.map(|(_, weighed)| (weighed.weight.get(), weighed.shadow)),
            (!rates.is_empty()).then_some((100, true))
        );
        assert!(rules.has_shadow() != rates.is_empty());
    }
}

#[test]
fn mistakes_about_reputation_and_traps_are_named_with_their_place() {
    for (file, written, expected) in [
        (
            "reputation",
            "half_life_days = 0\n",
            "reputation.toml:1:18: error: half_life_days: must lie between 1 and 3650",
        ),
        ("reputation", "half_life = 3\n", "reputation.toml:1:1: error: half_life: no such key; there are `good_below`"),
        ("reputation", "prior = -1\n", "reputation.toml:1:9: error: prior: must lie between 0 and 1000"),
        ("traps", "address = []\n", "traps.toml:1:1: error: address: no such key; did you mean `addresses`?"),
        ("traps", "addresses = [\"nobody\"]\n", "traps.toml:1:14: error: addresses[0]: `nobody` is no address"),
        (
            "traps",
            "addresses = [\n  \"a@example.org\",\n  \"*@theirs.example\",\n]\n",
            "traps.toml:3:3: error: addresses[1]: `*@theirs.example` is in none of relay.domains",
        ),
        ("traps", "addresses = [\"a@.example.org\"]\n", "traps.toml:1:14: error: addresses[0]: `a@.example.org`"),
    ] {
        let site = site("", "", "");
        site.write(&format!("rules/{file}.toml"), written);
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
    let site = site("", "", "");
    site.write("rules/reputation.toml", "half_life_days = 7\nprior = 1.5\n");
    site.write("rules/greylist.toml", "shared_domains = [\"esp.example\"]\n");
    let settings = config::rules::reputation(&site.load().expect("it loads").config.rules);
    assert_eq!((settings.fading.half_life.as_secs(), settings.prior), (7 * 86_400, 1.5));
    assert!(settings.shared.contains("esp.example"));
}

#[test]
fn mistakes_about_bulk_mail_are_named_with_their_place() {
    for (written, expected) in [
        ("bulk_copies = 0\n", "bulk.toml:1:15: error: bulk_copies: must lie between 1 and 1000000"),
        (
            "few_domains = 5\ncampaign_domains = 5\n",
            "bulk.toml:2:20: error: campaign_domains: is not more than few_domains (5)",
        ),
        (
            "transactional = [\"mail.bank.example\"]\n",
            "bulk.toml:1:18: error: transactional[0]: `mail.bank.example` is below the registered domain",
        ),
        (
            "transactional = [\"amazonses.com\"]\n",
            "bulk.toml:1:18: error: transactional[0]: `amazonses.com` sends for many customers",
        ),
    ] {
        let site = site("", "", "");
        site.write("rules/greylist.toml", "shared_domains = [\"amazonses.com\"]\n");
        site.write("rules/bulk.toml", written);
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
}

#[test]
fn mistakes_about_the_classifier_are_named_with_their_place() {
    for (written, expected) in [
        ("minimum = 0\n", "classifier.toml:1:11: error: minimum: must lie between 1 and 1000000"),
        ("minimun = 9\n", "classifier.toml:1:1: error: minimun: no such key"),
        (
            "unfamiliar_percent = 40\nfamiliar_percent = 40\n",
            "classifier.toml:2:20: error: familiar_percent: is not more than unfamiliar_percent (40)",
        ),
    ] {
        let site = site("", "", "");
        site.write("rules/classifier.toml", written);
        let said = lines(&site.load().map(|_| ()).expect_err(expected));
        assert!(said.iter().any(|line| line.starts_with(expected)), "expected {expected}\nsaid {said:#?}");
    }
}

#[test]
fn a_clause_without_a_condition_is_a_warning() {
    let loaded = site("", "", "[[clause]]\nname = \"a\"\nverdict = \"reject\"\n").load().expect("it loads");
    assert!(lines(&loaded.warnings)[0].starts_with("policy.toml:1:1: warning: clause[0]: has no condition"));
}

#[test]
fn a_refusal_of_who_is_blocked_that_does_not_count_everywhere_is_a_warning() {
    let clause = |verdict: &str, symbol: &str| {
        format!("[[clause]]\nname = \"a\"\nany_of = [\"BLOCKED\"]\nnone_of = [\"{symbol}\"]\nverdict = \"{verdict}\"\n")
    };
    let warned = |policy: &str| lines(&site("", "", policy).load().expect("it loads").warnings);
    let said = warned(&clause("reject", "GTUBE"));
    let expected =
        "policy.toml:4:11: warning: clause[0].none_of: `a` does not count for clients of checks.trusted_networks";
    assert!(said.iter().any(|line| line.starts_with(expected)), "{said:#?}");
    for policy in [clause("forward", "GTUBE"), clause("reject", "GTUBE").replace("BLOCKED", "MISSING_DATE")] {
        assert!(!warned(&policy).iter().any(|line| line.contains("does not count")), "{policy}");
    }
}

#[test]
fn a_list_whose_listings_nobody_can_confirm_is_a_warning_if_it_can_refuse_mail() {
    let list = |more: &str| {
        format!("[[dnsbl]]\nname = \"one\"\nzone = \"bl.example\"\ncodes = {{ \"127.0.0.2\" = \"DNSBL_ONE\" }}\n{more}")
    };
    let weighs = "[weights]\nDNSBL_ONE = 2\n";
    let refuses = "[[clause]]\nname = \"a\"\nany_of = [\"DNSBL_ONE\"]\nverdict = \"reject\"\n";
    for (weights, list, policy, warned) in [
        (weighs, list("test = \"positive\"\n"), "", true),
        ("[weights]\nDNSBL_ONE = 0\n", list("test = \"positive\"\n"), refuses, true),
        (weighs, list("of = \"email-hash\"\n"), "", true),
        (weighs, list("test = \"negative\"\n"), "", false),
        (weighs, list("test = \"none\"\ntest_not_listed = [\"192.0.2.1\"]\n"), "", false),
        ("[weights]\nDNSBL_ONE = -2\n", list("test = \"none\"\n"), "", false),
        (weighs, list("test = \"none\"\nshadow = true\n"), "", false),
        (weighs, list("test = \"none\"\nenabled = false\n"), "", false),
    ] {
        let loaded = site(weights, &list, policy).load().unwrap_or_else(|problems| panic!("{list}{problems}"));
        let said = lines(&loaded.warnings);
        let expected = "lists.toml:1:1: warning: dnsbl[0]: can refuse mail, and has no test point";
        assert_eq!(said.iter().any(|line| line.starts_with(expected)), warned, "{list}{said:#?}");
    }
}

#[test]
fn names_that_are_skipped_may_be_written_with_a_dot_before_them() {
    let loaded = site("", "skip = [\".example.com\", \"example.org\"]\n", "").load();
    assert!(loaded.is_ok_and(|loaded| loaded.warnings.is_empty()));
}

#[test]
fn a_list_in_shadow_makes_shadow_symbols() {
    let weights = "[weights]\nDNSBL_ONE = 4\n";
    let shadowed = ONE_LIST.replace("zone", "shadow = true\nzone");
    for (lists, shadow) in [(ONE_LIST, false), (shadowed.as_str(), true)] {
        let rules = ruleset(&site(weights, lists, ""));
        let (_, weighed) = rules.weights.symbols().find(|(symbol, _)| symbol.as_str() == "DNSBL_ONE").expect("known");
        assert_eq!((weighed.weight.get(), weighed.shadow), (400, shadow));
    }
}

#[test]
fn a_list_that_is_off_keeps_its_symbols_known_and_asks_nothing() {
    let off = ONE_LIST.replace("zone", "enabled = false\nzone");
    let rules = ruleset(&site("[weights]\nDNSBL_ONE = 4\n", &off, ""));
    assert!(!rules.registry.symbols().contains_key("DNSBL_ONE"));
    assert!(symbols::table(&rules).lines().any(|line| line.starts_with("DNSBL_ONE") && line.contains("(off)")));
}

#[test]
fn checks_that_are_off_leave_nothing_to_run() {
    let loaded = config::parse_text(&minimal("[checks]\nenabled = false\n")).expect("it loads");
    let ports = config::rules::Ports::silent();
    assert!(config::rules::load(&loaded.config, &ports).expect("rules").registry.is_empty());
}

#[test]
fn the_version_is_that_of_the_content() {
    let version = |weights: &str| ruleset(&site(weights, ONE_LIST, "")).version;
    assert_eq!(version(""), version(""));
    assert_ne!(version(""), version("# changed\n"));
    assert_ne!(version("[weights]\nDNSBL_ONE = 4\n"), version("[weights]\nDNSBL_ONE = 5\n"));
}

#[test]
fn every_shipped_symbol_has_a_weight_or_a_clause() {
    let ports = config::rules::Ports::silent();
    let rules = config::rules::compiled_in(&ports).unwrap_or_else(|problems| panic!("{problems}"));
    let loaded = config::parse_text(&minimal("")).expect("it loads");
    let weights = &loaded.config.rules.weights.0.weights;
    for (symbol, _) in rules.weights.symbols() {
        let judged = rules.policy.clauses.iter().any(|clause| clause.when.reads().any(|read| read == symbol));
        assert!(weights.contains_key(symbol.as_str()) || judged, "{symbol} means nothing");
    }
}

#[test]
fn a_composite_is_a_symbol_like_any_other() {
    let weights = "[weights]\nBOTH = 2\n[[composite]]\nsymbol = \"BOTH\"\ncount = 2\nof = [\"DNSBL_ONE\", \"GTUBE\", \"RDNS_NONE\"]\n";
    let rules =
        ruleset(&site(weights, ONE_LIST, "[[clause]]\nname = \"b\"\nany_of = [\"BOTH\"]\nverdict = \"defer\"\n"));
    assert!(symbols::table(&rules).lines().any(|line| line.starts_with("BOTH") && line.contains("(composite)")));
}

#[test]
fn a_composite_counts_each_symbol_once() {
    let composite = |lists: &str| format!("[weights]\nBOTH = 2\n[[composite]]\nsymbol = \"BOTH\"\n{lists}\n");
    for (lists, expected) in [
        (
            "count = 2\nof = [\"DNSBL_ONE\", \"GTUBE\", \"DNSBL_ONE\"]",
            "weights.toml:6:29: error: composite[0].of[2]: `DNSBL_ONE` stands in this list already",
        ),
        ("all_of = [\"GTUBE\", \"GTUBE\"]", "weights.toml:5:20: error: composite[0].all_of[1]: `GTUBE` stands"),
    ] {
        let problems = site(&composite(lists), ONE_LIST, "").load().expect_err(lists).to_string();
        assert!(problems.contains(expected), "{problems}");
    }
}

const LOCAL: &str = r#"
[[rule]]
symbol = "LOCAL_ONE"
description = "Comes from there"
shadow = true
all = [{ address = "from", part = "domain", map = "maps/there.txt" }]
hits = ["From: a@mail.there.test"]
misses = ["From: a@elsewhere.test"]

[[rule]]
symbol = "LOCAL_TWO"
description = "Greets so"
all = [{ envelope = "helo", equals = "there" }]
hits = ["@helo THERE"]
"#;

#[test]
fn rule_files_are_part_of_the_rule_set_and_their_symbols_are_weighed_like_any() {
    let site = site("[weights]\nLOCAL_ONE = 2\nLOCAL_TWO = 3\n", "", "");
    site.write("rules/local.toml", LOCAL);
    site.write("rules/maps/there.txt", "there.test\n");
    let first = ruleset(&site);
    let table = symbols::table(&first);
    let row = |symbol: &str| table.lines().find(|line| line.starts_with(symbol)).expect(symbol).to_owned();
    let words = |symbol: &str| row(symbol).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("LOCAL_ONE"), ["LOCAL_ONE", "rules", "message", "2.00", "shadow"]);
    assert_eq!(words("LOCAL_TWO"), ["LOCAL_TWO", "rules.envelope", "mail", "3.00"]);

    site.write("rules/maps/there.txt", "there.test\nother.test\n");
    let second = ruleset(&site);
    assert_ne!(first.version, second.version, "a map is part of what judges");
    site.write("rules/another.toml", "");
    assert_ne!(second.version, ruleset(&site).version, "so is every file");
}

#[test]
fn a_rule_file_with_a_mistake_keeps_the_rule_set_from_loading() {
    for (text, expected) in [
        (
            LOCAL.replace("LOCAL_ONE", "GTUBE"),
            "local.toml:3:10: error: rule[0].symbol: `GTUBE` is what the check `content` finds",
        ),
        (
            LOCAL.replace("'there'", "'here'").replace("mail.there", "mail.here"),
            "local.toml:7:9: error: rule[0].hits[0]",
        ),
        ("[weights]\nLOCAL_ONE = 2\n".to_owned(), "local.toml:1:2: error: weights: no such key; there are `rule`"),
    ] {
        let site = site("", "", "");
        site.write("rules/local.toml", &text);
        site.write("rules/maps/there.txt", "there.test\n");
        let found = lines(&site.load().expect_err(&text));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}");
    }
}

#[test]
fn an_invariant_that_does_not_hold_is_an_error_with_what_breaks_it() {
    let weights = "[weights]\nDNSBL_ONE = 9\nMISSING_DATE = 7\n";
    let clauses = "[[clause]]\nname = \"score\"\nat_least = 15\nverdict = \"reject\"\nshadow = true\n";
    let with = |invariant: &str| site(weights, ONE_LIST, &format!("{clauses}[[invariant]]\n{invariant}")).load();
    for good in [
        "name = \"alone\"\nfindings = 1\n",
        "name = \"message\"\nfindings_of = \"message\"\n",
        "name = \"none\"\nnone_of = [\"DNSBL_ONE\"]\nby_score = true\n",
        "name = \"rcpt\"\nfindings = 2\nnever = [\"defer\"]\n",
        "name = \"but\"\nexcept = [\"score\"]\n",
    ] {
        assert!(with(good).is_ok(), "{good}");
    }
    for (bad, expected) in [
        (
            "name = \"two\"\nfindings = 2\n",
            "policy.toml:6:1: error: invariant[0]: `two` does not hold: DNSBL_ONE (9.00) and MISSING_DATE (7.00): \
             16.00 points, and clause `score` without its shadow rejects",
        ),
        ("findings = 2\n", "policy.toml:6:1: error: invariant[0].name: is missing"),
        (
            "name = \"but\"\nexcept = [\"scare\"]\n",
            "policy.toml:8:11: error: invariant[0].except[0]: no clause is called `scare`; did you mean `score`?",
        ),
        (
            "name = \"x\"\nall_of = [\"DNSBL_TWO\"]\n",
            "policy.toml:8:11: error: invariant[0].all_of[0]: no check emits `DNSBL_TWO`, and no composite defines it; \
             did you mean `DNSBL_ONE`?",
        ),
        ("name = \"x\"\nnever = []\n", "policy.toml:8:9: error: invariant[0].never: promises nothing"),
        (
            "name = \"x\"\nnever = [\"reject\", \"forward\"]\n",
            "policy.toml:8:20: error: invariant[0].never[1]: mail for which no clause holds is forwarded",
        ),
    ] {
        let problems = with(bad).expect_err(bad).to_string();
        assert!(problems.contains(expected), "{bad}: {problems}");
    }
    // A list that is off is held to it as well: nothing breaks on the day when it is asked.
    let off = ONE_LIST.replacen("zone =", "enabled = false\nzone =", 1);
    let problems = site(weights, &off, &format!("{clauses}[[invariant]]\nname = \"two\"\nfindings = 2\n")).load();
    assert!(problems.expect_err("broken").to_string().contains("DNSBL_ONE (9.00)"));
}

/// A directory with the shipped rules, and SpamAssassin's from `files`.
fn shipped_rules_with(files: &str) -> Site {
    let site = Site::new(&minimal("[rules]\ndirectory = \"rules\"\n"));
    let shipped = std::fs::read_dir(super::repository().join("rules")).expect("shipped");
    for path in shipped.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        site.write(&format!("rules/{name}"), &std::fs::read_to_string(&path).expect("text"));
    }
    site.write("rules/spamassassin.toml", &format!("[spamassassin]\nfiles = [{files}]\n"));
    site
}

#[test]
fn rules_of_others_load_beside_the_shipped_promises_however_much_they_weigh() {
    let cf = |name: &str, score: f64| format!("header {name} Subject =~ /{name}/\nscore {name} {score}\n");
    let site = shipped_rules_with("\"local.cf\"");
    let text: String = (0..12).map(|number| cf(&format!("HEAVY_{number}"), 100.0)).collect();
    // As many as a stock set has, with those that let mail pass whatever is in it.
    let many: String = (0..700).map(|number| cf(&format!("MANY_{number}"), 4.9)).collect();
    let pass: String = (0..8).map(|number| cf(&format!("PASS_{number}"), -100.0)).collect();
    site.write("rules/local.cf", &(text + &cf("LIGHT", 3.0) + &many + &pass));
    let loaded = site.load().unwrap_or_else(|problems| panic!("{problems}"));
    let warnings = super::lines(&loaded.warnings);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("HEAVY_0 (100.00)") && warnings[0].contains("and 2 more weigh 5.00 here"),
        "{warnings:?}"
    );
    // What the administrator says himself is held to the promise.
    let weights = std::fs::read_to_string(site.path("rules/weights.toml")).expect("text");
    site.write("rules/weights.toml", &weights.replacen("[weights]\n", "[weights]\nHEAVY_0 = 100.0\n", 1));
    let refused = site.load().expect_err("too much").to_string();
    assert!(
        refused.contains("`no-rule-rejects-alone` does not hold") && refused.contains("HEAVY_0 (100.00)"),
        "{refused}"
    );
}

/// Files of rules may lie anywhere, and may be for few eyes.
#[test]
fn what_rules_name_elsewhere_is_kept_with_them_and_shown_to_nobody() {
    use gatepost::config::last_good;
    use std::os::unix::fs::PermissionsExt;
    let site = site("[weights]\nDNSBL_ONE = 4\n", ONE_LIST, "");
    let imported = |files: &str| format!("[spamassassin]\nfiles = [{files}]\n");
    let absolute = site.path("elsewhere").display().to_string();
    site.write("rules/spamassassin.toml", &imported(&format!("\"../elsewhere/a.cf\", \"{absolute}/b*.cf\"")));
    let cf = |name: &str| format!("header {name} Subject =~ /{name}/\nscore {name} 1\n");
    site.write("elsewhere/a.cf", &cf("FIRST"));
    site.write("elsewhere/b1.cf", &cf("SECOND"));
    site.write("gatepost.toml", &minimal("[rules]\ndirectory = \"rules\"\n[store]\npath = \"state/gatepost.redb\"\n"));
    site.write("state/other", "");
    let config = site.path("gatepost.toml");
    let good = site.load().expect("it loads");
    assert!(last_good::keep(&config, &good).expect("a disk"));
    assert!(!last_good::keep(&config, &good).expect("a disk"), "nothing has changed");
    let mode = |path: &str| std::fs::metadata(site.path(path)).expect(path).permissions().mode() & 0o777;
    assert_eq!((mode("state/rules.last-good"), mode("state/rules.last-good/weights.toml")), (0o700, 0o600));
    // A copy of a former version was readable by all.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.path("state/rules.last-good"), open).expect("ours");
    assert!(last_good::keep(&config, &good).expect("a disk"));
    assert_eq!(mode("state/rules.last-good"), 0o700);

    // Nothing of it may keep mail out.
    std::fs::remove_file(site.path("elsewhere/a.cf")).expect("ours");
    site.write("rules/weights.toml", "[weights]\nDNSBL_ON = 4\n");
    assert!(site.load().is_err());
    let kept = last_good::load(&config).expect("the last good ones");
    assert_eq!(kept.config.rules.version, good.config.rules.version);
    for mended in ["rules/weights.toml", "elsewhere/a.cf"] {
        assert!(kept.files.contains(&site.path(mended)), "{mended} is watched: {:?}", kept.files);
    }
}

#[test]
fn the_last_good_rules_take_the_place_of_those_that_do_not_load() {
    use gatepost::config::last_good;
    let site = site("[weights]\nDNSBL_ONE = 4\n", ONE_LIST, "");
    let tables = "[rules]\ndirectory = \"rules\"\n[store]\npath = \"state/gatepost.redb\"\n";
    site.write("gatepost.toml", &minimal(tables));
    site.write("rules/maps/deep.txt", "one\n");
    site.write("state/other", "");
    let config = site.path("gatepost.toml");
    let good = site.load().expect("it loads");
    assert!(last_good::keep(&config, &good).expect("a disk"));
    assert!(!last_good::keep(&config, &good).expect("a disk"), "nothing has changed");
    assert!(site.path("state/rules.last-good/maps/deep.txt").exists());

    site.write("rules/weights.toml", "[weights]\nDNSBL_ON = 4\n");
    assert!(site.load().is_err(), "a reload, and check-config, say what is wrong");
    let kept = last_good::load(&config).expect("the last good ones");
    assert_eq!(kept.config.rules.version, good.config.rules.version);
    assert!(kept.rules_refused.as_ref().expect("why").to_string().contains("did you mean `DNSBL_ONE`"));
    assert!(kept.files.contains(&site.path("rules/weights.toml")), "what will be mended is watched: {:?}", kept.files);
    assert!(!last_good::keep(&config, &kept).expect("a disk"), "what did not load is not kept");
    // Whatever was edited after the load is not kept in its place.
    assert!(!last_good::keep(&config, &good).expect("a disk"));
    // A crash between two renames leaves the old copy.
    std::fs::rename(site.path("state/rules.last-good"), site.path("state/rules.last-good.old")).expect("renamed");
    assert!(last_good::load(&config).is_ok());
    // A mistake elsewhere is still one, and so are rules without a copy.
    site.write("gatepost.toml", &minimal(&format!("{tables}[limits]\nsessions = -1\n")));
    assert!(last_good::load(&config).is_err());
    site.write("gatepost.toml", &minimal(tables));
    std::fs::remove_dir_all(site.path("state/rules.last-good.old")).expect("removed");
    assert!(last_good::load(&config).expect_err("a first start").to_string().contains("DNSBL_ON"));
    // Mended, it is kept as it is now.
    site.write("rules/weights.toml", "[weights]\nDNSBL_ONE = 5\n");
    let mended = last_good::load(&config).expect("it loads");
    assert!(mended.rules_refused.is_none() && last_good::keep(&config, &mended).expect("a disk"));
}
