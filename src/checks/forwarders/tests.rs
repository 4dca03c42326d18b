use std::time::UNIX_EPOCH;

use super::*;
use crate::clock;
use crate::facts::{ClientFacts, ClientName, Derived, HeloFacts, MailFacts, Signature};
use crate::message::Message;
use crate::smtp::{HeloName, Params};
use crate::store::{Forwarders as _, MemoryStore, Metrics, Settings, WantedHops};

fn spf(result: AuthResult) -> Spf {
    Spf::new(result, "author.example", "")
}

fn signature(domain: &str, result: AuthResult) -> Signature {
    Signature {
        result,
        domain: domain.into(),
        selector: "s".to_owned(),
        identity: String::new(),
        algorithm: "rsa-sha256",
        tag: String::new(),
        reason: String::new(),
        key_bits: Some(2048),
        partial_body: false,
        signs_from: true,
        testing: false,
        out_of_time: false,
    }
}

fn dkim(signatures: &[Signature]) -> Dkim {
    Dkim { signatures: signatures.to_vec(), ..Dkim::default() }
}

fn dmarc(result: AuthResult, policy: DmarcPolicy) -> Dmarc {
    Dmarc {
        result,
        author_domain: Some("author.example".into()),
        policy,
        published: policy,
        record: None,
        spf_aligned: false,
        dkim_aligned: None,
        reason: String::new(),
    }
}

#[test]
fn a_hop_is_a_given_name_or_else_a_network() {
    for (name, addr, expected) in [
        (Some("mx1.out.forwarder.example"), "192.0.2.1", "forwarder.example"),
        (Some("forwarder.example"), "192.0.2.1", "forwarder.example"),
        (Some("mail.forwarder.co.uk"), "192.0.2.1", "forwarder.co.uk"),
        (None, "192.0.2.77", "192.0.2.0/24"),
        (None, "::ffff:192.0.2.77", "192.0.2.0/24"),
        (None, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        // Everybody at this provider has such a name.
        (Some("static-192-0-2-77.provider.example"), "192.0.2.77", "192.0.2.0/24"),
        (Some("co.uk"), "192.0.2.1", "192.0.2.0/24"),
        (Some("a\"b.forwarder.example"), "192.0.2.1", "192.0.2.0/24"),
    ] {
        assert_eq!(hop(name, addr.parse().expect(addr)), expected, "{name:?} {addr}");
    }
}

#[test]
fn what_a_message_shows_about_its_hop() {
    use AuthResult::{Fail, Neutral, None as Nothing, Pass, PermError, Policy, SoftFail, TempError};
    use SightingKind::{Broken, Direct, Forwarded, Unauthenticated};
    let reject = || dmarc(Fail, DmarcPolicy::Reject);
    let good = || signature("author.example", Pass);
    let other = |result| signature("list.example", result);
    let mut permissive = spf(Pass);
    permissive.permissive = true;
    let (mut open_end, mut no_from) = (good(), good());
    open_end.partial_body = true;
    no_from.signs_from = false;
    let aligned = Dmarc { spf_aligned: true, ..dmarc(Pass, DmarcPolicy::Reject) };
    let strange = Dmarc { author_domain: None, ..reject() };
    let hop = "forwarder.example";
    for (about, hop, spf, signatures, dmarc, expected) in [
        ("forwarded whole", hop, spf(Fail), vec![good()], dmarc(Pass, DmarcPolicy::Reject), Some(Forwarded)),
        ("softly refused", hop, spf(SoftFail), vec![good()], dmarc(Pass, DmarcPolicy::None), Some(Forwarded)),
        ("neutral", hop, spf(Neutral), vec![other(Fail), good()], dmarc(Pass, DmarcPolicy::None), Some(Forwarded)),
        ("a subdomain signs", hop, spf(Fail), vec![signature("m.author.example", Pass)], reject(), Some(Forwarded)),
        ("no SPF that could fail", hop, spf(Nothing), vec![good()], dmarc(Pass, DmarcPolicy::Reject), None),
        ("SPF beyond reading", hop, spf(PermError), vec![good()], dmarc(Pass, DmarcPolicy::Reject), None),
        ("changed on the way", hop, spf(Fail), vec![signature("author.example", Fail)], reject(), Some(Broken)),
        ("a key nobody has", hop, spf(Nothing), vec![signature("author.example", PermError)], reject(), Some(Broken)),
        ("a key too short", hop, spf(Fail), vec![signature("author.example", Policy)], reject(), Some(Broken)),
        ("an open end", hop, spf(Fail), vec![open_end], dmarc(Pass, DmarcPolicy::Reject), Some(Broken)),
        ("From left unsigned", hop, spf(Fail), vec![no_from], reject(), Some(Broken)),
        ("key out of reach", hop, spf(Fail), vec![signature("author.example", TempError)], reject(), None),
        ("forged", hop, spf(Fail), vec![], reject(), Some(Unauthenticated)),
        ("forged, no SPF", hop, spf(Nothing), vec![], reject(), Some(Unauthenticated)),
        ("forged, signed by another", hop, spf(Fail), vec![other(Pass)], reject(), Some(Unauthenticated)),
        ("nobody asks", hop, spf(Fail), vec![], dmarc(Fail, DmarcPolicy::None), None),
        ("no policy", hop, spf(Fail), vec![], dmarc(Nothing, DmarcPolicy::None), None),
        ("policy out of reach", hop, spf(Fail), vec![], dmarc(TempError, DmarcPolicy::Reject), None),
        ("in its own right", hop, spf(Pass), vec![good()], dmarc(Pass, DmarcPolicy::Reject), Some(Direct)),
        ("own right, forged author", hop, spf(Pass), vec![], reject(), Some(Direct)),
        ("everybody passes", hop, permissive, vec![good()], dmarc(Pass, DmarcPolicy::Reject), None),
        ("SPF out of reach", hop, spf(TempError), vec![good()], dmarc(Pass, DmarcPolicy::Reject), None),
        ("the author itself", hop, spf(Pass), vec![good()], aligned, None),
        ("the author's own host", "author.example", spf(Fail), vec![good()], reject(), Some(Direct)),
        ("no one author", hop, spf(Fail), vec![good()], strange, None),
    ] {
        let seen = Seen { hop, spf: &spf, dkim: &dkim(&signatures), dmarc: &dmarc };
        assert_eq!(judge(seen), expected, "{about}");
    }
}

#[test]
fn only_what_has_ended_for_good_counts() {
    for (verdict, reply_code, abandoned, expected) in [
        (Verdict::Forward, 250, false, true),
        (Verdict::Forward, 550, false, false),
        (Verdict::Forward, 451, false, false),
        (Verdict::Reject, 550, false, true),
        (Verdict::Defer, 451, false, false),
        (Verdict::Forward, 0, true, false),
        (Verdict::Reject, 550, true, false),
    ] {
        assert_eq!(counts(&Fate::new(verdict, reply_code, abandoned)), expected, "{verdict} {reply_code} {abandoned}");
    }
}

/// A message whose facts are known, through a client of that name and address.
fn message(addr: &str, reverse_path: &str) -> MessageFacts {
    let client = ClientFacts {
        name: Derived::from(ClientName::Confirmed("mx.forwarder.example".into())),
        ..ClientFacts::new(addr.parse().expect(addr), "edge".into(), "mx".into(), None)
    };
    from_client(reverse_path, client)
}

fn from_client(reverse_path: &str, client: ClientFacts) -> MessageFacts {
    let (path, _) = ReversePath::parse_bracketed(reverse_path).expect(reverse_path);
    let name = HeloName::parse(b"mx.forwarder.example").expect("a name");
    let helo = HeloFacts::new(Arc::new(client), name, true, None);
    let mail = MailFacts {
        spf: spf(AuthResult::Fail).into(),
        ..MailFacts::new(Arc::new(helo), path, Params::default(), UNIX_EPOCH)
    };
    MessageFacts {
        dkim: dkim(&[signature("author.example", AuthResult::Pass)]).into(),
        dmarc: dmarc(AuthResult::Pass, DmarcPolicy::Reject).into(),
        ..MessageFacts::new(Arc::new(mail), Vec::new(), Arc::new(Message::new(Vec::new(), 0)), None)
    }
}

#[tokio::test]
async fn it_remembers_what_others_found_out_and_computes_nothing() {
    let registry = prometheus::Registry::new();
    let settings = Settings { retention: std::time::Duration::from_secs(u64::MAX), ..Settings::default() };
    let metrics = Metrics::register(&registry).expect("registered once");
    let store = Arc::new(MemoryStore::new(&settings, clock::system(), metrics));
    let check = Forwarders::new(store.clone());
    let forwarded = Fate::new(Verdict::Forward, 250, false);

    let unknown = MessageFacts { dmarc: Derived::default(), ..message("192.0.2.1", "<a@author.example>") };
    let nameless = ClientFacts::new("192.0.2.1".parse().expect("an address"), "edge".into(), "mx".into(), None);
    let nameless = from_client("<a@author.example>", nameless);
    for facts in [unknown, nameless, message("10.0.0.1", "<a@author.example>"), message("192.0.2.1", "<>")] {
        check.run(&facts).await;
        check.remember(&facts, &forwarded).await;
        assert!(facts.model.get().is_none() && facts.author.get().is_none(), "nothing is computed");
    }
    assert_eq!(store.hops(WantedHops::ALL).await.expect("memory"), []);

    let facts = message("192.0.2.1", "<a@author.example>");
    assert_eq!(check.run(&facts).await, Outcome::Clear);
    check.remember(&facts, &Fate { reply_code: 550, ..forwarded.clone() }).await;
    check.remember(&facts, &forwarded).await;
    let hops = store.hops(WantedHops::ALL).await.expect("memory");
    assert_eq!(
        hops.iter().map(|hop| (&*hop.hop, hop.counts)).collect::<Vec<_>>(),
        [("forwarder.example", [1, 0, 0, 0])]
    );
    assert_eq!(hops[0].author_domains, [std::sync::Arc::<str>::from("author.example")]);
}
