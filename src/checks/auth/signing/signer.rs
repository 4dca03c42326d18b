//! The other side, for tests: keys, and signature fields of any tags, made to order.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Coverage, Form, Proof, Section, Tags, hashes};
use crate::dns::{Answer, FixedDns, Lookup, LookupError, Mx};
use crate::facts::{ClientFacts, HeloFacts, MailFacts, MessageFacts, Rest};
use crate::message::Message;
use crate::smtp::{HeloName, Params, ReversePath};

/// A key pair.
pub struct Signer {
    /// The secret half.
    pub key: DkimKey,
    /// The record of the public half.
    pub record: String,
}

/// When all tests take place, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;

/// RSA, 2048 bits.
pub static RSA: LazyLock<Signer> = LazyLock::new(|| {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let key = RsaKey::<Sha256>::from_key_der(der).expect("a key");
    let record = format!("v=DKIM1; p={}", base64(&key.public_key()));
    Signer { key: DkimKey::Rsa(key), record }
});

/// Ed25519.
pub static ED25519: LazyLock<Signer> = LazyLock::new(|| {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().expect("a key")).expect("a key");
    let record = format!("v=DKIM1; k=ed25519; p={}", base64(&key.public_key()));
    Signer { key: DkimKey::Ed25519(key), record }
});

impl Signer {
    /// The message with a new field at its top, in which `{bh}` and `{b}` of `tags` are filled in. `b=`
    /// signs what `h=` says, or what stands in `also` if the field is a seal.
    pub fn sign(&self, field: &str, tags: &str, message: &str, also: Option<&str>) -> String {
        let with = |bh: &str, b: &str| format!("{field}: {}\r\n{message}", tags.replace("{bh}", bh).replace("{b}", b));
        let draft = parse(&with("AAAA", "AAAA"));
        let value = draft.fields().next().expect("the field").value.to_vec();
        let read = Tags::parse(&value).expect("tags");
        let form = if field == "DKIM-Signature" { Form::Simple } else { Form::Relaxed };
        let hash = Coverage::read(&read, form).ok().map(|coverage| {
            let wanted = [(coverage.body_form, coverage.length)];
            base64(&hashes::hash(&draft, None, wanted).expect("memory").remove(0).digest)
        });
        let hash = hash.unwrap_or_default();
        let draft = parse(&with(&hash, "AAAA"));
        let value = draft.fields().next().expect("the field").value.to_vec();
        let read = Tags::parse(&value).expect("tags");
        let proof = Proof::read(&read).expect("a proof");
        let section = Section::new(&draft);
        let input = match also {
            Some(before) => {
                let mut input = before.as_bytes().to_vec();
                section.append_cut(Form::Relaxed, 0, &proof.cut, &mut input);
                input
            }
            None => section.signed(&Coverage::read(&read, form).expect("coverage"), &proof, 0),
        };
        with(&hash, &base64(&self.key.sign(&*input).expect("a signature")))
    }
}

/// As a message in memory.
pub fn parse(message: &str) -> Message {
    Message::new(message.as_bytes().to_vec(), message.len() as u64)
}

/// Facts about a message that came at [`NOW`]; what is behind its first `memory` octets is in a file.
pub fn facts(message: &[u8], memory: usize) -> MessageFacts {
    let client = ClientFacts::new([192, 0, 2, 1].into(), "edge".into(), "mx.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"client.example").expect("a word"), true, None);
    let at = UNIX_EPOCH + Duration::from_secs(NOW);
    let mail = MailFacts::new(Arc::new(helo), ReversePath::Null, Params::default(), at);
    let (memory, file) = message.split_at(memory.min(message.len()));
    let rest = (!file.is_empty()).then(|| Arc::new(File(file.to_vec())) as Arc<dyn Rest>);
    let message = Message::new(memory.to_vec(), message.len() as u64);
    MessageFacts::new(Arc::new(mail), Vec::new(), Arc::new(message), rest)
}

/// [`NOW`].
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A file in memory.
#[derive(Debug)]
struct File(Vec<u8>);

impl Rest for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(usize::try_from(offset).expect("small")..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Fixed answers about keys that counts questions and knows no others.
pub struct Counted {
    dns: FixedDns,
    /// Questions so far.
    pub asked: AtomicUsize,
}

impl Counted {
    /// These answers.
    pub fn new(dns: FixedDns) -> Arc<Self> {
        Arc::new(Self { dns, asked: AtomicUsize::new(0) })
    }

    /// Questions so far.
    pub fn count(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

type Reply<'a, T> = BoxFuture<'a, Result<Answer<T>, LookupError>>;

impl Lookup for Counted {
    fn a<'a>(&'a self, name: &'a str) -> Reply<'a, std::net::Ipv4Addr> {
        panic!("asked for addresses of {name}")
    }
    fn aaaa<'a>(&'a self, name: &'a str) -> Reply<'a, std::net::Ipv6Addr> {
        panic!("asked for addresses of {name}")
    }
    fn ptr(&self, addr: std::net::IpAddr) -> Reply<'_, Arc<str>> {
        panic!("asked for names of {addr}")
    }
    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Arc<str>> {
        assert!(name.contains("._domainkey."), "asked for {name}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Lookup::txt(&self.dns, name)
    }
    fn mx<'a>(&'a self, name: &'a str) -> Reply<'a, Mx> {
        panic!("asked for exchangers of {name}")
    }
    fn ns<'a>(&'a self, name: &'a str) -> Reply<'a, Arc<str>> {
        panic!("asked for servers of {name}")
    }
}

/// Base64.
pub fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
