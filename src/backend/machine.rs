//! The client side of SMTP without I/O: which octets we send, and what a message needs of a member.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::settings::{IdentityMethod, Protocol};
use crate::smtp::command::write_address;
use crate::smtp::parameter::{self, Place};
use crate::smtp::{
    Extension, ExtensionSet, Extensions, ForwardPath, Forwarded, Params, ReversePath, XforwardAttribute, is_host_name,
    xtext,
};

/// The client, as the backend shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Effective address and port.
    pub addr: SocketAddr,
    /// The address that it came to.
    pub local: SocketAddr,
    /// Confirmed client name, as DNS has it.
    pub name: Option<String>,
    /// What it said in HELO or EHLO.
    pub helo: String,
    /// True for EHLO.
    pub extended: bool,
    /// What its message is called here, for the backend's log.
    pub ident: Option<String>,
    /// From whom it had the message, if it said so and may (XFORWARD).
    pub forwarded: Option<Arc<Forwarded>>,
}

/// What a message asks of the member that takes it (DECISIONS 25).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// MAIL has SMTPUTF8.
    pub smtputf8: bool,
    /// MAIL has BODY=8BITMIME.
    pub eight_bit: bool,
    /// MAIL has BODY=BINARYMIME.
    pub binary: bool,
    /// MAIL or RCPT have DSN parameters.
    pub dsn: bool,
    /// What else MAIL asks for, of `NEEDED`.
    pub others: ExtensionSet,
    /// Declared size in octets.
    pub size: Option<u64>,
}

impl Need {
    /// Reads it off the parameters of MAIL.
    pub fn of_mail(params: &Params, size: Option<u64>) -> Self {
        let body = params.get("BODY").flatten().unwrap_or("");
        Self {
            smtputf8: params.get("SMTPUTF8").is_some(),
            eight_bit: body.eq_ignore_ascii_case("8BITMIME"),
            binary: body.eq_ignore_ascii_case("BINARYMIME"),
            dsn: params.get("RET").is_some() || params.get("ENVID").is_some(),
            others: params.iter().filter_map(|(name, value)| needed(name, value)).collect(),
            size,
        }
    }

    /// The same with what these parameters of RCPT ask for. Those of keywords that we do not know ask a member for nothing
    /// that it could lack: what is offered is what all have.
    #[must_use]
    pub fn with_recipients<'p>(self, params: impl IntoIterator<Item = &'p Params>) -> Self {
        let asks = |(name, value)| parameter::known(Place::Rcpt, name, value).map(|known| known.extension);
        let mut asked = params.into_iter().flat_map(Params::iter).filter_map(asks);
        Self { dsn: self.dsn || asked.any(|extension| extension == Extension::Dsn), ..self }
    }

    /// The same of a message that is small.
    #[must_use]
    pub fn but_for_size(&self) -> Self {
        Self { size: None, ..*self }
    }

    /// True if a member with these extensions can carry the message unconverted.
    pub fn met_by(&self, offered: &Extensions) -> bool {
        (!self.smtputf8 || offered.has(Extension::SmtpUtf8))
            && (!self.eight_bit || offered.has(Extension::EightBitMime) || self.smtputf8)
            && (!self.binary || (offered.has(Extension::BinaryMime) && offered.has(Extension::Chunking)))
            && (!self.dsn || offered.has(Extension::Dsn))
            && offered.has_all(self.others)
            && self.size.is_none_or(|size| {
                offered.size_limit().is_none_or(|limit| size.saturating_add(ROOM_FOR_FIELDS) <= limit)
            })
    }
}

/// Extensions of which a member that does not have them would refuse the parameters.
const NEEDED: [Extension; 5] = [
    Extension::DeliverBy,
    Extension::FutureRelease,
    Extension::MtPriority,
    Extension::RequireTls,
    Extension::NoSoliciting,
];

/// The one of [`NEEDED`] that a parameter of MAIL belongs to.
fn needed(name: &str, value: Option<&str>) -> Option<Extension> {
    let extension = parameter::known(Place::Mail, name, value)?.extension;
    NEEDED.contains(&extension).then_some(extension)
}

/// Octets left of the backend's SIZE for the fields that we put before a message.
pub const ROOM_FOR_FIELDS: u64 = 4096;

/// `EHLO name`, or `LHLO name` (RFC 2033 4.1).
pub fn hello(protocol: Protocol, name: &str) -> Vec<u8> {
    let verb = match protocol {
        Protocol::Smtp => "EHLO",
        Protocol::Lmtp => "LHLO",
    };
    format!("{verb} {}\r\n", sane_helo(name).unwrap_or("[127.0.0.1]")).into_bytes()
}

/// Appends MAIL.
pub fn mail(path: &ReversePath, params: &Params, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("MAIL FROM:<{path}>{params}\r\n").as_bytes());
}

/// Appends RCPT.
pub fn rcpt(path: &ForwardPath, params: &Params, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("RCPT TO:<{path}>{params}\r\n").as_bytes());
}

/// The client's name if it can stand as the argument of EHLO.
pub fn sane_helo(name: &str) -> Option<&str> {
    let fits = !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(name)
}

/// The commands that tell `method` about the client, each with the code that accepts it;
/// `None` if the server does not offer what we need.
pub fn identify(method: IdentityMethod, client: &Identity, offered: &Extensions) -> Option<Vec<Vec<u8>>> {
    match method {
        IdentityMethod::None | IdentityMethod::ProxyV2 => Some(Vec::new()),
        IdentityMethod::Xclient => xclient(client, offered.xclient_attributes()),
        IdentityMethod::Xforward => xforward(client, offered.xforward_attributes()),
    }
}

/// XCLIENT with every attribute that the server takes; all are sent anew for each client (DECISIONS 23).
fn xclient(client: &Identity, taken: &[String]) -> Option<Vec<Vec<u8>>> {
    let [addr, port, name, helo, proto] = attributes(client);
    let values = [
        addr,
        port,
        name,
        helo,
        proto,
        ("DESTADDR", Some(write_address(client.local.ip()))),
        ("DESTPORT", Some(client.local.port().to_string())),
    ];
    attribute_lines("XCLIENT", &values, taken)
}

/// XFORWARD, for backends that only log the client: whom the client had the message from, if it said so; never
/// something of both (XFORWARD_README).
fn xforward(client: &Identity, taken: &[String]) -> Option<Vec<Vec<u8>>> {
    if let Some(forwarded) = &client.forwarded {
        let unknown = || "[UNAVAILABLE]".to_owned();
        let told = |one: XforwardAttribute| (one.keyword(), Some(forwarded.get(one).map_or_else(unknown, xtext)));
        return attribute_lines("XFORWARD", &XforwardAttribute::ALL.map(told), taken);
    }
    let [addr, port, name, helo, proto] = attributes(client);
    let ident = ("IDENT", client.ident.as_deref().map(xtext));
    let values = [addr, port, name, helo, proto, ident, ("SOURCE", Some("REMOTE".to_owned()))];
    attribute_lines("XFORWARD", &values, taken)
}

/// An attribute, and its value if there is one.
type Attribute = (&'static str, Option<String>);

/// What XCLIENT and XFORWARD say alike. The name is what DNS says, which need not be one that a server takes: it would
/// refuse that, and the client for ever.
fn attributes(client: &Identity) -> [Attribute; 5] {
    let name = client.name.as_deref().filter(|name| is_host_name(name));
    [
        ("ADDR", Some(write_address(client.addr.ip()))),
        ("PORT", (client.addr.port() != 0).then(|| client.addr.port().to_string())),
        ("NAME", Some(name.unwrap_or("[UNAVAILABLE]").to_owned())),
        ("HELO", (!client.helo.is_empty()).then(|| xtext(&client.helo))),
        ("PROTO", Some(if client.extended { "ESMTP" } else { "SMTP" }.to_owned())),
    ]
}

/// Spreads what the server takes over command lines of 512 octets, or one attribute; `None` if it does not take the address.
fn attribute_lines(verb: &str, values: &[Attribute], taken: &[String]) -> Option<Vec<Vec<u8>>> {
    let takes = |name: &str| taken.iter().any(|attribute| attribute == name);
    if !takes("ADDR") {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in values {
        let Some(value) = value.as_ref().filter(|_| takes(name)) else { continue };
        let attribute = format!(" {name}={value}");
        match lines.last_mut() {
            Some(line) if line.len() + attribute.len() <= 510 => line.push_str(&attribute),
            _ => lines.push(format!("{verb}{attribute}")),
        }
    }
    Some(lines.into_iter().map(|line| format!("{line}\r\n").into_bytes()).collect())
}

/// A value as xtext, cut where servers cut it.
fn xtext(text: &str) -> String {
    xtext::encode(text, 255)
}

/// The PROXY v2 header for `client`, or a LOCAL one for a connection of our own.
pub fn proxy_v2(client: Option<&Identity>) -> Vec<u8> {
    let mut out = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    match client.map(|c| (c.addr, c.local)) {
        None => out.extend_from_slice(&[0x20, 0, 0, 0]),
        Some((SocketAddr::V4(source), SocketAddr::V4(target))) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&source.ip().octets());
            out.extend_from_slice(&target.ip().octets());
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&target.port().to_be_bytes());
        }
        Some((source, target)) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&as_v6(source.ip()).octets());
            out.extend_from_slice(&as_v6(target.ip()).octets());
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&target.port().to_be_bytes());
        }
    }
    out
}

fn as_v6(addr: IpAddr) -> std::net::Ipv6Addr {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(addr: &str, helo: &str) -> Identity {
        Identity {
            addr: addr.parse().expect("socket address"),
            local: "192.0.2.25:25".parse().expect("socket address"),
            name: Some("mail.sender.example".into()),
            helo: helo.into(),
            extended: true,
            ident: None,
            forwarded: None,
        }
    }

    fn offering(line: &str) -> Extensions {
        let reply = format!("250-backend\r\n250 {line}\r\n");
        match crate::smtp::parse_reply(reply.as_bytes()).expect("reply") {
            crate::smtp::Step::Ready { value, .. } => Extensions::from_reply(&value),
            crate::smtp::Step::NeedMore => panic!("incomplete"),
        }
    }

    #[test]
    fn xclient_sends_what_the_server_takes_and_nothing_else() {
        let offered = offering("XCLIENT NAME ADDR PORT HELO");
        let lines =
            identify(IdentityMethod::Xclient, &client("198.51.100.7:4711", "a b+c"), &offered).expect("offered");
        assert_eq!(
            String::from_utf8(lines.concat()).expect("ascii"),
            "XCLIENT ADDR=198.51.100.7 PORT=4711 NAME=mail.sender.example HELO=a+20b+2Bc\r\n"
        );
        let lines = identify(IdentityMethod::Xclient, &client("[2001:db8::7]:25", ""), &offered).expect("offered");
        assert!(String::from_utf8(lines.concat()).expect("ascii").contains("ADDR=IPV6:2001:db8::7 "));
        assert_eq!(identify(IdentityMethod::Xclient, &client("198.51.100.7:1", "x"), &offering("PIPELINING")), None);
    }

    #[test]
    fn long_attributes_go_on_lines_of_their_own() {
        let offered = offering("XFORWARD NAME ADDR HELO PROTO SOURCE");
        let mut long = client("198.51.100.7:4711", &"h".repeat(255));
        long.name = Some(["n".repeat(63), "n".repeat(63), "n".repeat(63), "n".repeat(63)].join("."));
        let lines = identify(IdentityMethod::Xforward, &long, &offered).expect("offered");
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 512), "{lines:?}");
    }

    #[test]
    fn a_name_that_no_host_can_have_is_not_told() {
        let offered = Extensions::from_reply(&crate::smtp::Reply::new(
            250,
            None,
            "backend\nXCLIENT NAME ADDR\nXFORWARD NAME ADDR".to_owned(),
        ));
        let long = format!("{}.example", "n".repeat(64));
        let longer = format!("{}example", "nnnn.".repeat(50));
        for (name, is_told) in [
            ("mail.sender.example", true),
            ("_mx_1_.sender.example", true),
            ("1.2.3.4a", true),
            ("smtp-.example.com", false),
            ("-smtp.example.com", false),
            ("mx/1.example.com", false),
            ("mx 1.example.com", false),
            ("m\u{fc}ller.example", false),
            ("mx..example.com", false),
            ("mx.example.com.", false),
            ("192.0.2.1", false),
            ("[192.0.2.1]", false),
            ("", false),
            (&long, false),
            (&longer, false),
        ] {
            let client = Identity { name: Some(name.into()), ..client("198.51.100.7:4711", "") };
            for (method, verb) in [(IdentityMethod::Xclient, "XCLIENT"), (IdentityMethod::Xforward, "XFORWARD")] {
                let lines = identify(method, &client, &offered).expect("offered");
                let told = if is_told { name } else { "[UNAVAILABLE]" };
                let expected = format!("{verb} ADDR=198.51.100.7 NAME={told}\r\n");
                assert_eq!(String::from_utf8(lines.concat()).expect("ascii"), expected, "{name}");
            }
        }
    }

    #[test]
    fn xforward_tells_of_the_client_or_of_whom_it_told_but_never_of_both() {
        let offered = offering("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE");
        let told = |client: &Identity| {
            let lines = identify(IdentityMethod::Xforward, client, &offered).expect("offered");
            String::from_utf8(lines.concat()).expect("ascii")
        };
        let mut client = client("198.51.100.7:4711", "c.example");
        client.ident = Some("abc".into());
        let own = "XFORWARD ADDR=198.51.100.7 PORT=4711 NAME=mail.sender.example HELO=c.example PROTO=ESMTP IDENT=abc SOURCE=REMOTE\r\n";
        assert_eq!(told(&client), own);
        let mut forwarded = Forwarded::default();
        forwarded.hear(vec![
            (XforwardAttribute::Addr, Some("IPV6:2001:db8::1".into())),
            (XforwardAttribute::Helo, Some("a+b".into())),
        ]);
        client.forwarded = Some(Arc::new(forwarded));
        let theirs = "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] \
                      HELO=a+2Bb IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]\r\n";
        assert_eq!(told(&client), theirs);
    }

    #[test]
    fn what_mail_asks_for_is_what_a_member_must_have() {
        let need = |words: &[(&str, Option<&str>)]| Need::of_mail(&words.iter().copied().collect(), None);
        for (words, met_by, not_by) in [
            (&[("BODY", Some("BINARYMIME"))][..], "CHUNKING\nBINARYMIME", "BINARYMIME"),
            (&[("BY", Some("60;R"))], "DELIVERBY", "DSN"),
            (&[("HOLDFOR", Some("60"))], "FUTURERELEASE 1 2027-01-01T00:00:00Z", "DELIVERBY"),
            (&[("MT-PRIORITY", Some("1")), ("REQUIRETLS", None)], "MT-PRIORITY\nREQUIRETLS", "REQUIRETLS"),
            (&[("SOLICIT", Some("a.b:ADV"))], "NO-SOLICITING", "SIZE"),
        ] {
            let offered = |text| Extensions::from_reply(&crate::smtp::Reply::new(250, None, format!("mx\n{text}")));
            assert!(need(words).met_by(&offered(met_by)), "{words:?}");
            assert!(!need(words).met_by(&offered(not_by)), "{words:?}");
        }
        assert!(need(&[("SIZE", Some("1")), ("AUTH", Some("<>")), ("RRVS", None)]).met_by(&Extensions::default()));
    }

    #[test]
    fn of_the_parameters_of_recipients_those_of_delivery_reports_alone_need_a_member() {
        let params = |words: &[(&str, Option<&str>)]| words.iter().copied().collect::<Params>();
        for (words, is_dsn) in [
            (&[("NOTIFY", Some("NEVER"))][..], true),
            (&[("RRVS", Some("2026-01-01T00:00:00Z")), ("orcpt", Some("rfc822;a@b"))], true),
            (&[("RRVS", Some("2026-01-01T00:00:00Z"))], false),
            (&[], false),
        ] {
            assert_eq!(Need::default().with_recipients([&params(&[]), &params(words)]).dsn, is_dsn, "{words:?}");
        }
        assert!(Need { dsn: true, ..Need::default() }.with_recipients([]).dsn, "what was asked for stays");
    }

    #[test]
    fn a_proxy_header_carries_both_ends() {
        let v4 = proxy_v2(Some(&client("198.51.100.7:258", "x")));
        assert_eq!(&v4[12..], [0x21, 0x11, 0, 12, 198, 51, 100, 7, 192, 0, 2, 25, 1, 2, 0, 25]);
        assert_eq!(proxy_v2(Some(&client("[2001:db8::7]:1", "x"))).len(), 16 + 36);
        assert_eq!(&proxy_v2(None)[12..], [0x20, 0, 0, 0]);
    }
}
