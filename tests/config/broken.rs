//! Broken configurations, and what is said of each.

use gatepost::config::{self, Severity};
use rcgen::generate_simple_self_signed;

use super::{Site, lines, minimal};

/// What is said of `text`: `line:column: severity: ...`.
fn said(text: &str) -> Vec<String> {
    let problems = match config::parse_text(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    lines(&problems).iter().map(|line| line.trim_start_matches("gatepost.toml:").to_owned()).collect()
}

#[test]
fn each_mistake_is_named_with_its_place_and_remedy() {
    for (more, expected) in [
        (
            "[[listen]]\naddress = \"[::1]:587\"\nrole = \"submission\"\n",
            "12:8: error: listen[1].role: needs a certificate (tls)",
        ),
        (
            "[[listen]]\naddress = \"[::1]:465\"\nrole = \"submissions\"\nauth_without_tls = true\n",
            "12:8: error: listen[1].role: needs a certificate",
        ),
        (
            "[[listen]]\naddress = \"[::1]:587\"\nrole = \"submission\"\nauth_without_tls = true\n",
            "13:20: warning: listen[1].auth_without_tls: passwords may cross the network in clear",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nrole = \"outbound\"\n",
            "12:8: error: listen[1].role: without `networks` nobody may send",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nrole = \"outbound\"\nnetworks = [\"0.0.0.0/0\"]\n",
            "13:13: error: listen[1].networks[0]: `0.0.0.0/0` is too wide: this would be an open relay",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nbackend = \"submision\"\n[pool.submission]\nidentity = \"none\"\nmember = [{ address = \"[::1]:27\" }]\n",
            "12:11: error: listen[1].backend: there is no pool `submision`: write [pool.submision]; did you mean `submission`?",
        ),
        (
            "[[listen]]\naddress = \"[::1]:587\"\nrole = \"submission\"\nauth_without_tls = true\nbackend = \"users\"\n[pool.users]\nidentity = \"none\"\nmember = [{ address = \"mail.example.org:587\", tls = \"opportunistic\" }]\n",
            "17:53: error: pool.users.member[0].tls: users authenticate through this pool: tls must be \"verify\"",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nrelayed_commands = [\"vrfy\"]\n",
            "12:20: warning: listen[1].relayed_commands: has no effect without command_networks",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nrelayed_commands = [\"vrfy\"]\ncommand_networks = [\"::/0\"]\n",
            "13:21: error: listen[1].command_networks[0]: `::/0` is too wide: anybody could ask for addresses",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\ncommand_networks = [\"192.0.2.0/24\"]\n",
            "12:20: warning: listen[1].command_networks: has no effect without relayed_commands",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nrelayed_commands = [\"helo\"]\ncommand_networks = [\"192.0.2.0/24\"]\n",
            "12:21: error: listen[1].relayed_commands[0]: `helo` is not one of `vrfy`, `expn`, `etrn`",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nbackend = \"two\"\nrelayed_commands = [\"etrn\"]\ncommand_networks = [\"192.0.2.0/24\"]\n\
             [pool.two]\nidentity = \"none\"\nmember = [{ address = \"[::1]:27\" }, { address = \"[::1]:28\" }]\n",
            "13:20: error: listen[1].relayed_commands: `etrn` would reach one of 2 backends",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\nxforward_networks = [\"0.0.0.0/0\"]\n",
            "12:22: error: listen[1].xforward_networks[0]: `0.0.0.0/0` is too wide: any client could claim any address",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\ncertificates = [{ certificate = \"a\", key = \"b\" }]\n",
            "12:16: error: listen[1].certificates: without `tls` nobody is shown them",
        ),
        (
            "[[listen]]\naddress = \"[::1]:26\"\ntls = { certificate = \"a\", key = \"b\" }\ncertificates = [{ certificate = \"a\", key = \"b\" }]\n",
            "13:17: error: listen[1].certificates[0]: is there already",
        ),
        (
            "[pool.users]\nidentity = \"none\"\nmember = [{ address = \"[::1]:27\" }]\n",
            "10:1: warning: pool.users: no listener and no route names it: it gets no mail",
        ),
        (
            "[[route]]\nrecipients = [\"ann@example.org\", \"@example.org\", \"ANN@example.org\"]\n",
            "11:50: error: route[0].recipients[2]: `ANN@example.org` stands here, or elsewhere, already",
        ),
        (
            "[[route]]\nrecipients = [\"example.org\"]\nbackend = \"exchange\"\n",
            "12:11: error: route[0].backend: there is no pool `exchange`",
        ),
        ("[[route]]\nrecipients = []\n", "11:14: error: route[0].recipients: nobody goes by it"),
        ("[[route]]\nbackend = \"x\"\n", "10:1: error: route[0]"),
        (
            "[[route]]\nrecipients = [\"example.org\"]\nbackend = \"x\"\n[pool.x]\nidentity = \"none\"\nmember = [{ address = \"[::1]:465\", implicit_tls = true }]\n",
            "15:51: error: pool.x.member[0].implicit_tls: needs tls = \"verify\", or \"required\"",
        ),
        (
            "[[listen]]\naddress = \"[::1]:587\"\nrole = \"submission\"\nauth_without_tls = true\nbackend = \"users\"\n[pool.users]\nidentity = \"none\"\nprotocol = \"lmtp\"\nmember = [{ address = \"unix:/run/lmtp\" }]\n",
            "17:12: error: pool.users.protocol: users authenticate through this pool, which LMTP knows nothing of",
        ),
        (
            "[[route]]\nrecipients = [\"example.org\"]\nbackend = \"x\"\n[pool.x]\nidentity = \"none\"\nprotocol = \"lmtp\"\nmember = [{ address = \"unix:/run/lmtp\" }]\n",
            "15:12: warning: pool.x.protocol: a restart forgets who has a message that others lack",
        ),
        ("[limits]\nsesions = 1\n", "11:1: error: limits.sesions: no such key; did you mean `sessions`?"),
        ("[limts]\n", "10:2: error: limts: no such key; did you mean `limits`?"),
        ("[limits]\nrecipients = \"many\"\n", "11:14: error: limits.recipients: must be a whole number, not a string"),
        ("[limits]\nhops = 0\n", "11:8: error: limits.hops: must lie between 1 and 10000"),
        ("[limits]\nrecipients = 50\n", "11:14: warning: limits.recipients: is below the 100 that RFC 5321"),
        ("[limits]\nmessage_size = \"1 KiB\"\n", "11:16: error: limits.message_size: must be at least 64 KiB"),
        (
            "[limits]\nmessage_size = \"1 parsec\"\n",
            "11:16: error: limits.message_size: `parsec` is not a unit of size",
        ),
        ("[timeouts]\nhold_backend_seconds = 200\n", "11:24: error: timeouts.hold_backend_seconds: must be shorter"),
        ("[timeouts]\ncommand_seconds = 10\n", "11:19: warning: timeouts.command_seconds: is below the 300 seconds"),
        (
            "[protocol]\npregreet = \"score!\"\n",
            "11:12: error: protocol.pregreet: `score!` is not one of `ignore`, `score`, `refuse`; did you mean `score`?",
        ),
        (
            "[protocol]\nnewlines = true\n",
            "11:12: error: protocol.newlines: must be one of `normalize`, `reject`, not a boolean",
        ),
        (
            "[store]\npath = \"a.redb\"\n[store.redis]\nurls = [\"redis://192.0.2.1\"]\n",
            "11:8: error: store.path: there is a [store.redis] too: what is remembered has one home",
        ),
        ("[store.redis]\nurls = []\n", "11:8: error: store.redis.urls: needs an address at least"),
        (
            "[store.redis]\nurls = [\"localhost:6379\"]\n",
            "11:9: error: store.redis.urls[0]: `localhost:6379` is no address of Redis, such as redis://",
        ),
        (
            "[store.redis]\nurls = [\"redis://:secret@192.0.2.1\"]\n",
            "11:9: error: store.redis.urls[0]: must not hold a name or password: write username and password_file",
        ),
        (
            "[store.redis]\nurls = [\"redis://192.0.2.1\"]\nmode = \"sentinel\"\n",
            "12:8: error: store.redis.mode: needs master_name",
        ),
        (
            "[store.redis]\nurls = [\"redis://192.0.2.1\"]\nmaster_name = \"m\"\n",
            "12:15: warning: store.redis.master_name: has no effect without mode = \"sentinel\"",
        ),
        (
            "[store.redis]\nurls = [\"redis://192.0.2.1\"]\nusername = \"m\"\n",
            "12:12: error: store.redis.username: needs password_file",
        ),
        (
            "[store.redis]\nurls = [\"redis://192.0.2.1\"]\nprefix = \"{a}\"\n",
            "12:10: error: store.redis.prefix: must be 1 to 64 printable characters without braces",
        ),
        (
            "[store.redis]\nurls = [\"redis://192.0.2.1\"]\ntls_ca = \"ca.pem\"\n",
            "12:10: warning: store.redis.tls_ca: has no effect without TLS",
        ),
        ("[dns]\nservers = [\"resolver\"]\n", "11:12: error: dns.servers[0]: `resolver` is no address"),
        (
            "[[dns.zone]]\nname = \"bl.example\"\nfile = \"a\"\nformat = \"ip4sett\"\n",
            "13:10: error: dns.zone[0].format: `ip4sett` is not one of `ip4set`, `ip4trie`, `ip6trie`, `dnset`, \
             `hosts`; did you mean `ip4set`?",
        ),
        (
            "[[dns.zone]]\nname = \"bl..example\"\nfile = \"a\"\nformat = \"dnset\"\n",
            "11:8: error: dns.zone[0].name: `bl..example` is no zone, such as bl.example.net",
        ),
        (
            "[[dns.zone]]\nname = \"com\"\nfile = \"a\"\nformat = \"dnset\"\n",
            "11:8: error: dns.zone[0].name: `com` is no zone",
        ),
        (
            "[[dns.zone]]\nname = \"bl.example\"\nformat = \"dnset\"\n",
            "10:1: error: dns.zone[0]: a zone without a file: write `file = \"...\"`",
        ),
        (
            "[[dns.zone]]\nname = \"bl.example\"\nfile = \"a\"\nfiles = [\"b\"]\nformat = \"dnset\"\n",
            "13:9: error: dns.zone[0].files: there is a `file` beside it: write all of them here",
        ),
        (
            "[dns]\nzone = [{ name = \"a.example\", file = \"a\", format = \"ip4set\" }, \
             { name = \"A.example.\", file = \"b\", format = \"ip4trie\" }]\n",
            "11:108: error: dns.zone[1].format: this zone has IPv4 addresses already, as ip4set",
        ),
        ("[dns]\nstale_seconds = 604801\n", "11:17: error: dns.stale_seconds: must lie between 0 and 604800"),
        ("[dns]\nttl_max_seconds = 0\n", "11:19: error: dns.ttl_max_seconds: must lie between 1 and 604800"),
        (
            "[dns]\nnegative_ttl_max_seconds = 86401\n",
            "11:28: error: dns.negative_ttl_max_seconds: must lie between 1 and 86400",
        ),
        ("[admin]\naddress = \"127.0.0.1:2525\"\n", "11:11: error: admin.address: is the address of a listener"),
        ("[admin]\naddress = \"0.0.0.0:9125\"\n", "11:11: warning: admin.address: metrics are open"),
        (
            "[spool]\nmessage_memory = \"1 GiB\"\n",
            "11:18: error: spool.message_memory: is more than total_memory (256 MiB)",
        ),
        ("[spool]\ntotal_disk = \"1 MiB\"\n", "11:14: error: spool.total_disk: is less than one message"),
        (
            "[checks]\ntrusted_hops = [\"::/0\"]\n",
            "11:17: error: checks.trusted_hops[0]: `::/0` is too wide: any client could name any other",
        ),
        (
            "[checks]\ntrusted_networks = [\"0.0.0.0/0\"]\n",
            "11:21: error: checks.trusted_networks[0]: `0.0.0.0/0` is too wide",
        ),
        (
            "[checks]\nexempt_recipients = [\"a b\"]\n",
            "11:22: error: checks.exempt_recipients[0]: `a b` is neither a local part",
        ),
        (
            "[log]\nformat = \"jsn\"\n",
            "11:10: error: log.format: `jsn` is not one of `text`, `json`; did you mean `json`?",
        ),
        (
            "[[listen]]\naddress = \"127.0.0.1:2525\"\n",
            "11:11: error: listen[1].address: another listener has 127.0.0.1:2525",
        ),
        ("[[listen]]\n", "10:1: error: listen[1].address: is missing, and has no default"),
        ("[[listen]]\naddress = \"::1\"\n", "11:11: error: listen[1].address: `::1` lacks a port"),
        (
            "[[listen]]\naddress = \"[::1]:25\"\nproxy_protocol = true\n",
            "12:18: error: listen[1].proxy_protocol: without proxy_networks",
        ),
        (
            "[[listen]]\naddress = \"[::1]:25\"\nproxy_networks = [\"10.0.0.1\"]\n",
            "12:18: warning: listen[1].proxy_networks: has no effect",
        ),
        (
            "[[listen]]\naddress = \"[::1]:25\"\nxclient_networks = [\"::/0\"]\n",
            "12:21: error: listen[1].xclient_networks[0]: `::/0` is too wide",
        ),
        (
            "[[listen]]\naddress = \"[::1]:25\"\ntls = { certificate = \"x\" }\n",
            "12:1: error: listen[1].tls.key: is missing",
        ),
        (
            "[[backend.member]]\naddress = \"127.0.0.1:2525\"\n",
            "11:11: error: backend.member[1].address: is one of our own listeners",
        ),
        (
            "[[backend.member]]\naddress = \"127.0.0.1:2526\"\n",
            "11:11: error: backend.member[1].address: `127.0.0.1:2526` is a member already",
        ),
        (
            "[[backend.member]]\naddress = \"backend\"\n",
            "11:11: error: backend.member[1].address: `backend` is no host:port",
        ),
        (
            "[[backend.member]]\naddress = \"b:25\"\ntls_name = \"b\"\n",
            "12:12: warning: backend.member[1].tls_name: has no effect",
        ),
        ("[reports]\nenabled = true\n", "11:11: error: reports.enabled: needs reports.email"),
        ("[reports]\nenabled = true\nemail = \"nobody\"\n", "12:9: error: reports.email: `nobody` is no address"),
        (
            "[reports]\nenabled = true\nemail = \"a@b.example\"\nvia = \"folder\"\n",
            "13:7: error: reports.via: needs reports.folder",
        ),
        (
            "[reports]\nenabled = true\nemail = \"a@b.example\"\norg_name = \"\"\n",
            "13:12: error: reports.org_name: must be up to 200",
        ),
        ("[reports]\nenabled = true\nemail = \"a@b.example\"\n", "11:11: warning: reports.enabled: a restart forgets"),
        (
            "[backend.timeouts]\nend_of_data_seconds = 60\n",
            "11:23: warning: backend.timeouts.end_of_data_seconds: is below",
        ),
    ] {
        let said = said(&minimal(more));
        assert!(said.iter().any(|line| line.starts_with(expected)), "{more}\nexpected {expected}\nsaid {said:#?}");
    }
}

#[test]
fn what_would_be_an_open_relay_does_not_load() {
    for network in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3", "::ffff:0:0/96"] {
        let text = minimal("").replace("[relay]", &format!("[relay]\nnetworks = [\"{network}\"]"));
        let problems = config::parse_text(&text).expect_err(network);
        assert!(problems.has_errors(), "{network}");
    }
    for domain in ["*", ".", ".org", "*.com", ""] {
        let text = minimal("").replace("[\"example.org\"]", &format!("[\"{domain}\"]"));
        config::parse_text(&text).expect_err(domain);
    }
}

#[test]
fn what_has_no_default_must_be_written() {
    for (without, expected) in [
        ("hostname = \"mx.example.org\"\n", "hostname: is missing"),
        ("identity = \"none\"\n", "backend.identity: is missing"),
        ("address = \"127.0.0.1:2526\"\n", "backend.member[0].address: is missing"),
        ("domains = [\"example.org\"]\n", "relay: neither domains nor networks"),
        ("[relay]\ndomains = [\"example.org\"]\n", "relay: is missing"),
        ("[[backend.member]]\naddress = \"127.0.0.1:2526\"\n", "backend.member: is missing"),
    ] {
        let said = said(&minimal("").replace(without, ""));
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains(expected), "expected {expected}, said {said:#?}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_reported_at_once_and_in_order() {
    let site = Site::new(
        &minimal("[rules]\ndirectory = \"rules\"\n[limits]\nsesions = 1\nerors = 2\n")
            .replace("[relay]", "[relay]\ndomains_file = \"ours\"")
            .replace("mx.example.org", "mx"),
    );
    site.write("ours", "good.example\n\n  bad..example # oops\n");
    site.write("rules/weights.toml", "[weights]\nRDNS_NON = 1\n");
    site.write("rules/lists.toml", "");
    site.write("rules/policy.toml", "[[clause]]\nname = \"x\"\nany_of = [\"GTUB\"]\nverdict = \"rejct\"\n");
    let problems = site.load().expect_err("it is broken");
    let said = lines(&problems);
    let expected = [
        "gatepost.toml:1:12: error: hostname: `mx` is not fully qualified",
        "gatepost.toml:14:1: error: limits.sesions: no such key; did you mean `sessions`?",
        "gatepost.toml:15:1: error: limits.erors: no such key; did you mean `errors`?",
        "ours:3:3: error: `bad..example` is no domain",
        "weights.toml:2:12: error: weights.RDNS_NON: no check emits `RDNS_NON`, and no composite defines it; did you mean `RDNS_NONE`?",
        "policy.toml:3:11: error: clause[0].any_of[0]: no check emits `GTUB`, and no composite defines it; did you mean `GTUBE`?",
        "policy.toml:4:11: error: clause[0].verdict: `rejct` is not one of `reject`, `defer`, `forward`; did you mean `reject`?",
    ];
    for (line, expected) in expected.iter().enumerate() {
        let found = said.iter().any(|said| said.starts_with(expected));
        assert!(found, "{line}: expected {expected}\nsaid {said:#?}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn files_that_are_named_must_be_there() {
    let site = Site::new(&minimal(
        "[[listen]]\naddress = \"[::1]:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n[spool]\ndirectory = \"spool\"\n[rules]\ndirectory = \"rules\"\n",
    ));
    let problems = site.load().expect_err("nothing is there");
    for key in ["listen[1].tls.certificate", "listen[1].tls.key", "spool.directory", "rules.directory"] {
        let problem = problems.iter().find(|problem| problem.key == key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(problem.severity, Severity::Error);
        assert!(problem.line_column().is_some(), "{key}");
    }
    let signed = generate_simple_self_signed(["mx.example.org".to_owned()]).expect("a certificate");
    site.write("cert.pem", &signed.cert.pem());
    site.write("key.pem", &signed.signing_key.serialize_pem());
    site.write("spool/.keep", "");
    for name in ["weights.toml", "lists.toml", "policy.toml"] {
        site.write(&format!("rules/{name}"), "");
    }
    let loaded = site.load().unwrap_or_else(|problems| panic!("{problems}"));
    let tls = loaded.config.listeners[1].tls.first().expect("TLS");
    assert_eq!(tls.certificate, site.path("cert.pem"), "paths are relative to the file that names them");
}

#[test]
fn a_key_must_belong_to_its_certificate() {
    let site = Site::new(&minimal(
        "[[listen]]\naddress = \"[::1]:0\"\n[listen.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
    ));
    let make = || generate_simple_self_signed(["mx.example.org".to_owned()]).expect("a certificate");
    site.write("cert.pem", &make().cert.pem());
    site.write("key.pem", &make().signing_key.serialize_pem());
    let problems = site.load().expect_err("two pairs are mixed up");
    let said = lines(&problems);
    assert!(said.len() == 1 && said[0].starts_with("gatepost.toml:12:1: error: listen[1].tls: "), "{said:#?}");
}

#[test]
fn what_is_no_toml_is_said_with_its_place() {
    for (text, place) in [("hostname = \n", "1:"), ("a = 1\na = 2\n", "2:1"), ("[x\n", "1:"), ("\u{0}", "1:1")] {
        let said = said(text);
        assert!(said.iter().any(|line| line.starts_with(place)), "{text:?}: {said:#?}");
    }
    assert!(config::load(std::path::Path::new("no/such/file.toml")).is_err());
}

#[test]
fn a_rendered_problem_shows_the_line() {
    let problems = config::parse_text(&minimal("[limits]\nsesions = 1 # ü\n")).expect_err("broken");
    let shown = problems.render(false);
    for part in ["error: limits.sesions", "gatepost.toml:11:1", "sesions = 1", "did you mean `sessions`?"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "plain text has no colours");
}
