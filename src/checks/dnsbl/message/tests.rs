//! From a message to the questions that lists are asked about it.

use std::time::SystemTime;

use super::super::question::{Chosen, questions};
use super::super::{Names, Subject};
use super::*;
use crate::checks::auth;
use crate::checks::client_name::ClientNames;
use crate::dns::{FixedDns, LookupError};
use crate::facts::{Author, ClientFacts, Derived, HeloFacts, MailFacts};
use crate::message::Message;
use crate::smtp::{HeloName, Params, ReversePath};

fn facts(sender: &str, author: Option<&str>, message: &str) -> MessageFacts {
    let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example.net".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"a.example").expect("name"), true, None);
    let sender = ReversePath::parse(sender).expect("reverse-path");
    let mail = MailFacts::new(Arc::new(helo), sender, Params::default(), SystemTime::UNIX_EPOCH);
    let message = Message::new(message.as_bytes().to_vec(), message.len() as u64);
    let recipients = vec![ForwardPath::parse("reader@ours.example").expect("forward-path")];
    let author = author.map_or(Author::Missing, |address| Author::One {
        address: address.to_owned(),
        domain: address.rsplit('@').next().expect("domain").into(),
    });
    MessageFacts {
        author: Derived::from(author),
        ..MessageFacts::new(Arc::new(mail), recipients, Arc::new(message), None)
    }
}

fn settings(of: Subject) -> Settings {
    Settings { of, ..Settings::new("test", "list.example") }
}

fn shared(dns: FixedDns) -> Shared {
    let dns: Arc<dyn Lookup> = Arc::new(dns);
    Shared {
        client_names: ClientNames::new(5, dns.clone()),
        authenticator: Authenticator::new(auth::Settings::default(), dns.clone()),
        skipped: Arc::new(Skipped::new(["trusted.example"])),
        lists: Arc::default(),
        dns,
    }
}

/// The names that the list is asked about, without its zone.
async fn asked<S: Source<Facts = MessageFacts>>(source: S, settings: &Settings, facts: &MessageFacts) -> String {
    let things = source.things(facts).await.expect("things");
    let Chosen { questions, .. } = questions(&things, settings, &Skipped::new(["trusted.example"]));
    let names = questions.iter().map(|question| question.name.trim_end_matches(".list.example"));
    names.collect::<Vec<_>>().join(" ")
}

const LINKS: &str = "A: b\r\n\r\nhttp://www.evil.co.uk/ http://a.evil.co.uk/ http://203.0.113.7/ \
                     http://www.trusted.example/ http://evil.github.io/";

#[tokio::test]
async fn hosts_of_links_are_asked_about_by_name_and_as_addresses_where_the_list_has_any() {
    for (names, ipv4, expected) in [
        (Names::Registered, false, "evil.co.uk evil.github.io"),
        (Names::Registered, true, "evil.co.uk 7.113.0.203 evil.github.io"),
        (Names::Host, false, "www.evil.co.uk a.evil.co.uk evil.github.io"),
        (Names::Both, false, "www.evil.co.uk evil.co.uk a.evil.co.uk evil.github.io"),
    ] {
        let settings = Settings { names, ipv4, ..settings(Subject::Url) };
        assert_eq!(asked(Urls, &settings, &facts("", None, LINKS)).await, expected, "{names:?}");
    }
    let settings = Settings { ipv4: false, questions: 1, ..settings(Subject::Url) };
    assert_eq!(asked(Urls, &settings, &facts("", None, LINKS)).await, "www.evil.co.uk");
}

#[tokio::test]
async fn hosts_of_links_are_asked_about_by_their_addresses() {
    let dns = || {
        FixedDns::new()
            .a("www.evil.co.uk", [[198, 51, 100, 1], [198, 51, 100, 2]])
            .fail("a.evil.co.uk", LookupError::ServerFailure)
            .a("www.trusted.example", [[198, 51, 100, 9]])
            .a("evil.github.io", [[10, 0, 0, 1], [198, 51, 100, 2]])
    };
    for (most, expected) in [(10, "1.100.51.198 7.113.0.203 2.100.51.198"), (1, "1.100.51.198")] {
        let settings = Settings { questions: most, ..settings(Subject::UrlAddress) };
        let source = UrlAddresses::new(&settings, &shared(dns()));
        assert_eq!(asked(source, &settings, &facts("", None, LINKS)).await, expected);
    }
    let source = UrlAddresses::new(&settings(Subject::UrlAddress), &shared(dns()));
    let nothing_but_trouble = facts("", None, "A: b\r\n\r\nhttp://a.evil.co.uk/");
    assert!(source.things(&nothing_but_trouble).await.is_err());
}

#[tokio::test]
async fn mail_addresses_are_asked_about_by_digest_each_once() {
    let source = || EmailHashes::new(&settings(Subject::EmailHash), &shared(FixedDns::new()));
    let message = "Reply-To: <C@example.com>\r\n\r\nDear reader@ours.example, \
                   write to a+tag@example.com, d@gmail.com, b@example.com";
    let facts = facts("A@example.com", Some("B@Example.com"), message);
    let things = source().things(&facts).await.expect("things");
    let Chosen { questions, .. } = questions(&things, &settings(Subject::EmailHash), &Skipped::new(["gmail.com"]));
    let asked: Vec<(&str, &str)> =
        questions.iter().map(|question| (question.name.as_str(), question.about.as_str())).collect();
    let expected = ["a@example.com", "b@example.com", "c@example.com", "d@gmail.com"]
        .map(|address| (format!("{}.list.example", Digest::Sha1Hex.of(address)), Digest::Sha1Hex.shown(address)));
    assert_eq!(asked, expected.each_ref().map(|(name, about)| (name.as_str(), about.as_str())));
}
