//! Fields that sign: whatever stands in them, each is reported, nothing passes, and nothing panics.

#![no_main]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::UNIX_EPOCH;

use gatepost::checks::auth::{Authenticator, Settings};
use gatepost::dns::FixedDns;
use gatepost::facts::{AuthResult, ClientFacts, HeloFacts, MailFacts, MessageFacts};
use gatepost::message::Message;
use gatepost::smtp::{HeloName, Params, ReversePath};
use libfuzzer_sys::fuzz_target;

/// A key that nobody has the other half of.
const KEY: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fuzz_target!(|octets: &[u8]| {
    let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example.org".into(), None);
    let name = HeloName::parse(b"client.example.org").expect("a name");
    let helo = HeloFacts::new(Arc::new(client), name, true, None);
    let mail = MailFacts::new(Arc::new(helo), ReversePath::Null, Params::default(), UNIX_EPOCH);
    let message = Message::new(octets.to_vec(), octets.len() as u64);
    let fields = message.fields().filter(|field| field.is("DKIM-Signature")).count();
    let facts = MessageFacts::new(Arc::new(mail), Vec::new(), Arc::new(message), None);
    let dns = FixedDns::new().txt("a._domainkey.b.example", [KEY]);
    let authenticator = Authenticator::new(Settings::default(), Arc::new(dns));

    let dkim = ready(authenticator.dkim(&facts));
    assert_eq!(dkim.signatures.len() + dkim.ignored, fields);
    assert_eq!(dkim.passed().count(), 0);
    let arc = ready(authenticator.arc(&facts));
    assert_ne!(arc.result, AuthResult::Pass);
    let mut reasons = dkim.signatures.iter().map(|signature| &signature.reason).chain([&arc.reason]);
    assert!(reasons.all(|reason| !reason.contains("internal error")));
});

/// Fixed answers keep nobody waiting.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}
