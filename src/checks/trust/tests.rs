use std::time::{Duration, SystemTime};

use super::*;
use crate::checks::Check;
use crate::checks::auth::{self, Authenticator};
use crate::checks::client_name::{ClientNames, MAX_NAMES};
use crate::dns::{FixedDns, Lookup, LookupError};
use crate::facts::{
    ArcChain, ArcSet, AuthResult, Author, Derived, Dkim, Dmarc, DmarcPolicy, HeloFacts, MailFacts, MessageFacts,
    Signature, Spf,
};
use crate::message::Message;
use crate::scoring::Outcome;
use crate::smtp::{HeloName, Params, ReversePath};

fn domains(patterns: &[&str]) -> DomainSet {
    let mut set = DomainSet::default();
    patterns.iter().for_each(|pattern| set.insert(pattern).expect("a domain"));
    set
}

fn clients(names: &[&str], networks: &[&str]) -> Clientele {
    let networks = networks.iter().map(|text| CidrSet::parse_network(text).expect("a network")).collect();
    Clientele { names: domains(names), networks, reason: "because".into() }
}

fn dns() -> Arc<dyn Lookup> {
    Arc::new(
        FixedDns::new()
            .ptr([192, 0, 2, 1], ["mail.fwd.example"])
            .a("mail.fwd.example", [[192, 0, 2, 1]])
            .fail_ptr([192, 0, 2, 9], LookupError::Timeout),
    )
}

fn mail(client: [u8; 4], reverse_path: &str, spf: AuthResult) -> Arc<MailFacts> {
    let client = Arc::new(ClientFacts::new(client.into(), "edge".into(), "mx.ours.example".into(), None));
    let helo = HeloFacts::new(client, HeloName::parse(b"client.example").expect("a word"), true, None);
    let path =
        if reverse_path.is_empty() { ReversePath::Null } else { ReversePath::parse(reverse_path).expect("a path") };
    let mut facts = MailFacts::new(Arc::new(helo), path, Params::default(), SystemTime::UNIX_EPOCH);
    facts.spf = Derived::from(Spf::new(spf, "bank.example", ""));
    Arc::new(facts)
}

/// A message by `author`; `signer` signed it, `dmarc` is what DMARC says.
fn message(mail: Arc<MailFacts>, author: &str, signer: &str, dmarc: AuthResult, header: &str) -> MessageFacts {
    let octets = format!("From: {author}\r\n{header}\r\nbody\r\n").into_bytes();
    let len = octets.len() as u64;
    let mut facts = MessageFacts::new(mail, Vec::new(), Arc::new(Message::new(octets, len)), None);
    let domain: Arc<str> = author.rsplit('@').next().expect("a domain").into();
    facts.author = Derived::from(Author::One { address: author.to_owned(), domain });
    let signatures = if signer.is_empty() { Vec::new() } else { vec![Signature::new(AuthResult::Pass, signer)] };
    facts.dkim = Derived::from(Dkim { signatures, ..Dkim::default() });
    facts.dmarc = Derived::from(Dmarc {
        result: dmarc,
        author_domain: None,
        policy: DmarcPolicy::None,
        published: DmarcPolicy::None,
        record: None,
        spf_aligned: signer.is_empty(),
        dkim_aligned: (!signer.is_empty()).then(|| signer.into()),
        reason: String::new(),
    });
    facts
}

fn symbols(outcome: &Outcome) -> Vec<&str> {
    outcome.findings().iter().map(|finding| finding.symbol.as_str()).collect()
}

fn authenticator() -> Arc<Authenticator> {
    Authenticator::new(auth::Settings::default(), dns())
}

fn names() -> ClientNames {
    ClientNames::new(MAX_NAMES, dns())
}

#[tokio::test]
async fn clients_are_known_by_network_and_by_confirmed_name() {
    let settings = Settings {
        forwarders: vec![clients(&[".fwd.example"], &["198.51.100.0/24"])],
        allowed: vec![
            Entry { clients: clients(&[], &["203.0.113.5"]), ..Entry::default() },
            Entry {
                clients: clients(&[], &["203.0.113.0/24"]),
                domains: domains(&["bank.example"]),
                ..Entry::default()
            },
        ],
        denied: vec![Entry { clients: clients(&[], &["203.0.113.66"]), ..Entry::default() }],
        ..Settings::default()
    };
    let check = Clients::new(Arc::new(settings), names());
    for (addr, expected) in [
        ([192, 0, 2, 1], &["TRUSTED_FORWARDER"][..]),
        ([192, 0, 2, 2], &[]),
        ([198, 51, 100, 9], &["TRUSTED_FORWARDER"]),
        ([203, 0, 113, 5], &["ALLOWED_CLIENT"]),
        ([203, 0, 113, 6], &[]),
        ([203, 0, 113, 66], &["DENIED_CLIENT"]),
    ] {
        let outcome = check.run(&mail(addr, "", AuthResult::None).helo.client).await;
        assert_eq!(symbols(&outcome), expected, "{addr:?}: {outcome:?}");
    }
    let outcome = check.run(&mail([192, 0, 2, 9], "", AuthResult::None).helo.client).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "a name that cannot be looked up is nobody's");
}

#[tokio::test]
async fn an_allowed_sender_needs_evidence() {
    let entry = |change: fn(&mut Entry)| {
        let mut entry = Entry { domains: domains(&["bank.example"]), ..Entry::default() };
        change(&mut entry);
        entry
    };
    let plain = || entry(|_| {});
    let from_forwarder = || entry(|entry| entry.clients = clients(&[".fwd.example"], &[]));
    let anybody = || entry(|entry| entry.unauthenticated = true);
    for (entry, client, spf, expected) in [
        (plain(), [192, 0, 2, 2], AuthResult::Pass, &["ALLOWED_SENDER"][..]),
        (plain(), [192, 0, 2, 2], AuthResult::Fail, &[]),
        (plain(), [192, 0, 2, 2], AuthResult::None, &[]),
        (from_forwarder(), [192, 0, 2, 1], AuthResult::Fail, &["ALLOWED_SENDER"]),
        (from_forwarder(), [192, 0, 2, 2], AuthResult::Pass, &[]),
        (anybody(), [192, 0, 2, 2], AuthResult::Fail, &["ALLOWED_SENDER"]),
    ] {
        let settings = Arc::new(Settings { allowed: vec![entry], ..Settings::default() });
        let check = Senders::new(settings, names(), authenticator());
        let outcome = check.run(&mail(client, "it@bank.example", spf)).await;
        assert_eq!(symbols(&outcome), expected, "{client:?} {spf:?}: {outcome:?}");
        assert!(symbols(&check.run(&mail(client, "it@other.example", AuthResult::Pass)).await).is_empty());
    }
    let settings = Arc::new(Settings { allowed: vec![plain()], denied: vec![plain()], ..Settings::default() });
    let check = Senders::new(settings, names(), authenticator());
    let outcome = check.run(&mail([192, 0, 2, 2], "it@bank.example", AuthResult::TempError)).await;
    assert_eq!(symbols(&outcome), ["DENIED_SENDER"], "to refuse, no evidence is needed");
}

#[tokio::test]
async fn an_allowed_author_is_shown_by_dmarc_dkim_or_spf() {
    let bank =
        Entry { domains: domains(&["bank.example"]), addresses: vec!["ceo@firm.example".into()], ..Entry::default() };
    let check =
        Authors::new(Arc::new(Settings { allowed: vec![bank], ..Settings::default() }), names(), authenticator());
    for (author, spf, signer, dmarc, expected) in [
        ("it@bank.example", AuthResult::None, "", AuthResult::Pass, true),
        ("it@bank.example", AuthResult::None, "mail.bank.example", AuthResult::None, true),
        ("it@bank.example", AuthResult::Pass, "mail.bank.example", AuthResult::Fail, false),
        ("it@bank.example", AuthResult::None, "mail.bank.example", AuthResult::PermError, true),
        ("it@bank.example", AuthResult::Pass, "", AuthResult::None, true),
        ("it@bank.example", AuthResult::Fail, "", AuthResult::None, false),
        ("it@bank.example", AuthResult::None, "evil.example", AuthResult::Fail, false),
        ("CEO@firm.example", AuthResult::None, "firm.example", AuthResult::None, true),
        ("cfo@firm.example", AuthResult::None, "firm.example", AuthResult::None, false),
    ] {
        let facts = message(mail([192, 0, 2, 2], "it@bank.example", spf), author, signer, dmarc, "");
        let outcome = check.run(&facts).await;
        assert_eq!(symbols(&outcome).contains(&"ALLOWED_AUTHOR"), expected, "{author} {spf:?} {signer}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_allowed_author_is_not_shown_by_what_lets_everybody_pass() {
    let bank = Entry { domains: domains(&["bank.example"]), ..Entry::default() };
    let settings = Arc::new(Settings { allowed: vec![bank], ..Settings::default() });
    let check = Authors::new(settings, names(), authenticator());
    for (dmarc, permissive, signer, expected) in [
        (AuthResult::Pass, true, "", "clear"),
        (AuthResult::Pass, false, "", "found"),
        (AuthResult::Pass, true, "bank.example", "found"),
        (AuthResult::None, true, "", "clear"),
        (AuthResult::TempError, false, "bank.example", "failed"),
    ] {
        let sender = mail([192, 0, 2, 2], "it@bank.example", AuthResult::Pass);
        let mut sender = Arc::into_inner(sender).expect("nobody else has it");
        let spf = Spf { permissive, ..Spf::new(AuthResult::Pass, "bank.example", "") };
        sender.spf = Derived::from(spf);
        let outcome = check.run(&message(Arc::new(sender), "it@bank.example", signer, dmarc, "")).await;
        assert_eq!(outcome.label(), expected, "{dmarc:?} {permissive} {signer}: {outcome:?}");
    }
}

#[tokio::test]
async fn evidence_that_cannot_be_looked_up_is_no_answer() {
    let bank = Entry { domains: domains(&["bank.example"]), ..Entry::default() };
    let settings = Arc::new(Settings { allowed: vec![bank], ..Settings::default() });
    let check = Authors::new(settings, names(), authenticator());
    for (spf, signature, expected) in [
        (AuthResult::TempError, "", "failed"),
        (AuthResult::None, "mail.bank.example", "failed"),
        (AuthResult::None, "evil.example", "clear"),
    ] {
        let mail = mail([192, 0, 2, 2], "it@bank.example", spf);
        let mut facts = message(mail, "it@bank.example", "", AuthResult::None, "");
        let signatures = vec![Signature::new(AuthResult::TempError, signature)];
        facts.dkim = Derived::from(Dkim { signatures, ..Dkim::default() });
        let outcome = check.run(&facts).await;
        assert_eq!(outcome.label(), expected, "{spf:?} {signature}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_entry_by_address_denies_any_author_and_allows_all_of_them() {
    let entry = || Entry { addresses: vec!["ceo@firm.example".into()], unauthenticated: true, ..Entry::default() };
    let settings = |allowed, denied| Arc::new(Settings { allowed, denied, ..Settings::default() });
    let denies =
        Authors::new(settings(vec![], vec![Entry { unauthenticated: false, ..entry() }]), names(), authenticator());
    let allows = Authors::new(settings(vec![entry()], vec![]), names(), authenticator());
    for (from, denied, allowed) in [
        ("CEO@firm.example", true, true),
        ("ceo@firm.example.", true, true),
        ("\"ceo\"@firm.example", true, true),
        ("x@firm.example, ceo@firm.example", true, false),
        ("ceo@firm.example, x@firm.example", true, false),
        ("x@evil.example, ceo@firm.example", true, false),
        ("cfo@firm.example", false, false),
    ] {
        let mail = || mail([192, 0, 2, 2], "", AuthResult::None);
        let facts = || {
            let facts = message(mail(), from, "", AuthResult::None, "");
            MessageFacts { author: Derived::default(), ..facts }
        };
        let outcome = denies.run(&facts()).await;
        assert_eq!(symbols(&outcome).contains(&"DENIED_AUTHOR"), denied, "{from}: {outcome:?}");
        let outcome = allows.run(&facts()).await;
        assert_eq!(symbols(&outcome).contains(&"ALLOWED_AUTHOR"), allowed, "{from}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exception_that_cannot_be_looked_up_is_said() {
    let list = |names: &[&str], signers: &[&str]| List {
        ids: domains(&[".lists.example"]),
        signers: domains(signers),
        clients: clients(names, &[]),
    };
    let forwarder = |names: &[&str], networks: &[&str]| Settings {
        forwarders: vec![clients(names, networks)],
        ..Settings::default()
    };
    let lists = |list| Settings { lists: vec![list], ..Settings::default() };
    let dead = [192, 0, 2, 9];
    let id = "List-Id: <dev.lists.example>\r\n";
    for (settings, client, signed_by, header, unknown) in [
        (forwarder(&[".fwd.example"], &[]), dead, "", "", true),
        (forwarder(&[".fwd.example"], &["192.0.2.9"]), dead, "", "", false),
        (forwarder(&[], &["198.51.100.1"]), dead, "", "", false),
        (forwarder(&[".fwd.example"], &[]), [192, 0, 2, 2], "", "", false),
        (lists(list(&[".fwd.example"], &[])), dead, "", id, true),
        (lists(list(&[".fwd.example"], &[])), dead, "", "", false),
        (lists(list(&[], &["lists.example"])), [192, 0, 2, 2], "lists.example", id, true),
        (lists(list(&[], &["lists.example"])), [192, 0, 2, 2], "evil.example", id, false),
        (Settings::default(), dead, "lists.example", id, false),
    ] {
        let mut facts = message(mail(client, "", AuthResult::None), "a@b.example", "", AuthResult::Fail, header);
        let signatures = vec![Signature::new(AuthResult::TempError, signed_by)];
        facts.dkim = Derived::from(Dkim { signatures, ..Dkim::default() });
        let check = Authors::new(Arc::new(settings.clone()), names(), authenticator());
        let outcome = check.run(&facts).await;
        assert_eq!(symbols(&outcome) == ["TRUST_UNKNOWN"], unknown, "{settings:?} {client:?} {signed_by}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_told_from_none() {
    let slow =
        FixedDns::new().ptr([192, 0, 2, 1], ["mail.fwd.example"]).delay("mail.fwd.example", Duration::from_secs(60));
    let settings = Settings { forwarders: vec![clients(&[".fwd.example"], &[])], ..Settings::default() };
    let check = Authors::new(Arc::new(settings), ClientNames::new(MAX_NAMES, Arc::new(slow)), authenticator());
    let facts = message(mail([192, 0, 2, 1], "", AuthResult::None), "a@b.example", "", AuthResult::Fail, "");
    let outcome = tokio::time::timeout(Duration::from_secs(9), check.run(&facts)).await.expect("in time");
    assert_eq!(symbols(&outcome), ["TRUST_UNKNOWN"], "{outcome:?}");
}

#[tokio::test]
async fn a_list_is_trusted_by_its_signature_or_its_client_never_by_its_name_alone() {
    let list = List {
        ids: domains(&[".lists.example"]),
        signers: domains(&["lists.example"]),
        clients: clients(&[".fwd.example"], &[]),
    };
    let check = Authors::new(Arc::new(Settings { lists: vec![list], ..Settings::default() }), names(), authenticator());
    for (client, signer, id, expected) in [
        ([192, 0, 2, 2], "lists.example", "dev.lists.example", &["LIST_AUTHENTICATED", "TRUSTED_LIST"][..]),
        ([192, 0, 2, 1], "", "dev.lists.example", &["TRUSTED_LIST"]),
        ([192, 0, 2, 2], "", "dev.lists.example", &[]),
        ([192, 0, 2, 2], "other.example", "dev.lists.example", &[]),
        ([192, 0, 2, 2], "other.example", "dev.other.example", &["LIST_AUTHENTICATED"]),
    ] {
        let header = format!("List-Id: <{id}>\r\n");
        let mail = mail(client, "dev-bounces@lists.example", AuthResult::None);
        let outcome = check.run(&message(mail, "a@b.example", signer, AuthResult::Fail, &header)).await;
        assert_eq!(symbols(&outcome), expected, "{client:?} {signer} {id}: {outcome:?}");
    }
}

#[tokio::test]
async fn only_an_unbroken_line_of_trusted_sealers_vouches_for_an_author() {
    let settings = Settings { sealers: domains(&["good.example", "also.example"]), ..Settings::default() };
    let check = Authors::new(Arc::new(settings), names(), authenticator());
    let genuine = "mx; dmarc=pass header.from=b.example";
    for (result, sets, expected) in [
        (AuthResult::Pass, &[("good.example", genuine)][..], true),
        (AuthResult::Fail, &[("good.example", genuine)], false),
        (AuthResult::Pass, &[("evil.example", genuine)], false),
        (AuthResult::Pass, &[("good.example", "mx; dmarc=fail header.from=b.example")], false),
        (
            AuthResult::Pass,
            &[("good.example", genuine), ("also.example", "mx; dmarc=fail header.from=b.example")],
            true,
        ),
        (AuthResult::Pass, &[("good.example", genuine), ("evil.example", "mx; none")], false),
        (
            AuthResult::Pass,
            &[("evil.example", genuine), ("good.example", "mx; dmarc=fail header.from=b.example")],
            false,
        ),
    ] {
        let mut facts = message(
            mail([192, 0, 2, 2], "", AuthResult::None),
            "a@b.example",
            "",
            AuthResult::Fail,
            "ARC-Seal: i=1\r\n",
        );
        let numbered = sets.iter().zip(1..);
        let sets = numbered.map(|((sealer, results), instance)| ArcSet {
            instance,
            sealer: (*sealer).into(),
            results: (*results).to_owned(),
        });
        facts.arc = Derived::from(ArcChain { result, sets: sets.collect(), reason: String::new(), panicked: false });
        let outcome = check.run(&facts).await;
        assert_eq!(symbols(&outcome) == ["TRUSTED_SEALER"], expected, "{result:?}: {outcome:?}");
    }
}
