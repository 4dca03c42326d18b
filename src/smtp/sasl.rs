//! SASL as far as who relays it must understand it (RFC 4954, RFC 4422): which mechanisms can be offered, and who a
//! client says it is. What the two sides say to each other passes as it came.
//!
//! A name that is read here is a guess at what the backend reads: it names buckets, log lines and counters, and opens
//! nothing. Secrets are decoded, looked past, and overwritten.

use std::fmt;

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// Octets of one line of an exchange, CRLF included (RFC 4954 4).
pub const LINE_LIMIT: usize = 12_288;
/// Octets of a name that is kept.
const MAX_USER: usize = 320;
/// Octets of the name of a mechanism (RFC 4422 3.1).
const MAX_MECHANISM: usize = 20;

/// What a client says in an exchange. It may be a secret: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    octets: Zeroizing<Vec<u8>>,
    is_initial: bool,
}

/// One exchange, as far as it can be followed.
#[derive(Clone, Debug)]
pub struct Exchange {
    mechanism: String,
    /// Responses so far in which something was said.
    responses: u32,
    /// The backend has asked for a password by name.
    asks_secret: bool,
    user: Option<String>,
}

/// Why a response is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// The client wants a security layer between itself and the backend: we would stand between them and
    /// understand nothing of what follows.
    #[error("a security layer was asked for")]
    Layer,
    /// It is not base64 (RFC 4648 4, RFC 4954 4). The backend may read it all the same, and somebody else in it than
    /// we do.
    #[error("not base64")]
    Syntax,
}

/// True for the name of a mechanism (RFC 4422 3.1), in any case.
pub fn is_mechanism(name: &str) -> bool {
    (1..=MAX_MECHANISM).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// True for a mechanism that works through us: EXTERNAL and the `-PLUS` ones prove something about the TLS
/// connection, and that one ends here (DECISIONS 24).
pub fn is_relayed(mechanism: &str) -> bool {
    is_mechanism(mechanism) && mechanism != "EXTERNAL" && !mechanism.ends_with("-PLUS")
}

// === impl Response ===

impl Response {
    /// The answer to a challenge: a line without its end.
    pub fn new(line: &[u8]) -> Self {
        Self { octets: Zeroizing::new(line.to_vec()), is_initial: false }
    }

    /// What stands behind the mechanism in the command.
    pub fn initial(word: &[u8]) -> Self {
        Self { octets: Zeroizing::new(word.to_vec()), is_initial: true }
    }

    /// As it came.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// True for `*`, by which a client ends the exchange.
    pub fn is_cancel(&self) -> bool {
        !self.is_initial && self.octets() == b"*"
    }

    /// `=` stands for nothing where nothing cannot be written (RFC 4954 4).
    fn decoded(&self) -> Option<Zeroizing<Vec<u8>>> {
        let octets: &[u8] = if self.is_initial && self.octets() == b"=" { &[] } else { self.octets() };
        BASE64.decode(octets).ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response(..)")
    }
}

// === impl Exchange ===

impl Exchange {
    /// Begins; `mechanism` in upper case.
    pub fn new(mechanism: &str) -> Self {
        Self { mechanism: mechanism.to_owned(), responses: 0, asks_secret: false, user: None }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// Who the client says it is, in lower case; `None` if it has not said so yet, or in a way that only the backend
    /// understands.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Takes note of a challenge of the backend. LOGIN has no order of its own: a password that is asked for is no name,
    /// even if none was said before.
    pub fn asked(&mut self, challenge: &[u8]) {
        let decoded = BASE64.decode(challenge.trim_ascii()).unwrap_or_default();
        self.asks_secret = decoded.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"pass"));
    }

    /// Takes note of what the client says; true if its name is known by that for the first time.
    ///
    /// # Errors
    /// If it must not be passed on.
    pub fn hear(&mut self, response: &Response) -> Result<bool, Unheard> {
        if response.is_cancel() {
            return Ok(false);
        }
        let decoded = response.decoded().ok_or(Unheard::Syntax)?;
        if decoded.is_empty() || (self.mechanism == "LOGIN" && self.asks_secret) {
            return Ok(false);
        }
        self.responses += 1;
        if self.mechanism == "DIGEST-MD5" && digest_attribute(&decoded, "qop").is_some_and(|qop| qop != b"auth") {
            return Err(Unheard::Layer);
        }
        if self.user.is_some() {
            return Ok(false);
        }
        self.user = user(&self.mechanism, self.responses, &decoded).and_then(|name| readable(&name));
        Ok(self.user.is_some())
    }
}

/// Who `decoded`, the response of that number among those that say something, says that it is.
fn user(mechanism: &str, number: u32, decoded: &[u8]) -> Option<Vec<u8>> {
    match mechanism {
        "PLAIN" => {
            let mut parts = decoded.split(|&octet| octet == 0);
            let (_acts_for, user, _secret) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then(|| user.to_vec())
        }
        "LOGIN" if number == 1 => Some(decoded.to_vec()),
        "CRAM-MD5" => {
            let at = decoded.iter().rposition(|&octet| octet == b' ')?;
            decoded.get(..at).map(<[u8]>::to_vec)
        }
        "DIGEST-MD5" => digest_attribute(decoded, "username"),
        "XOAUTH2" => {
            decoded.split(|&octet| octet == 1).find_map(|part| part.strip_prefix(b"user=")).map(<[u8]>::to_vec)
        }
        "OAUTHBEARER" => gs2(decoded, b"a=").map(unescaped),
        _ if mechanism.starts_with("SCRAM-") && number == 1 => gs2(decoded, b"n=").map(unescaped),
        _ => None,
    }
}

/// The attribute that begins with `key`, of comma-separated ones (RFC 5801 4, RFC 5802 5.1).
fn gs2<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    message.split(|&octet| octet == b',' || octet == 1).find_map(|part| part.strip_prefix(key))
}

/// `=2C` and `=3D` (RFC 5802 5.1).
fn unescaped(name: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(name).replace("=2C", ",").replace("=3D", "=").into_bytes()
}

/// The value of an attribute of DIGEST-MD5 (RFC 2831 2.1.2), its quotes taken off.
fn digest_attribute(message: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut rest = message;
    while !rest.is_empty() {
        let equals = rest.iter().position(|&octet| octet == b'=')?;
        let (key, value) = rest.split_at(equals);
        let key = key.trim_ascii_start().strip_prefix(b",").unwrap_or(key).trim_ascii();
        let (value, behind) = quoted(value.get(1..)?);
        if key.eq_ignore_ascii_case(name.as_bytes()) {
            return Some(value);
        }
        rest = behind.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
    None
}

/// A word or a quoted string, and what stands behind it.
fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let text = text.trim_ascii_start();
    let Some(inner) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&octet| octet == b',').unwrap_or(text.len());
        let (word, behind) = text.split_at(end);
        return (word.trim_ascii().to_vec(), behind);
    };
    let (mut value, mut escaped) = (Vec::new(), false);
    for (at, &octet) in inner.iter().enumerate() {
        match octet {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return (value, inner.get(at + 1..).unwrap_or_default()),
            other => {
                value.push(other);
                escaped = false;
            }
        }
    }
    (value, &[])
}

/// A name as it can stand in a log: one that somebody could have typed, without regard to case.
fn readable(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?.trim();
    let fits = (1..=MAX_USER).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> Response {
        Response::new(BASE64.encode(text).as_bytes())
    }

    fn named(mechanism: &str, responses: &[&[u8]]) -> Option<String> {
        let mut exchange = Exchange::new(mechanism);
        responses.iter().for_each(|response| {
            exchange.hear(&encoded(response)).expect("no layer");
        });
        exchange.user().map(str::to_owned)
    }

    /// A mechanism, what is said, and who that is.
    type Case<'a> = (&'a str, &'a [&'a [u8]], Option<&'a str>);

    #[test]
    fn who_it_is_stands_where_the_mechanism_says() {
        let cases: [Case<'_>; 19] = [
            ("PLAIN", &[b"\0Bob@Example.ORG\0secret"], Some("bob@example.org")),
            ("PLAIN", &[b"boss\0bob\0secret"], Some("bob")),
            ("PLAIN", &[b"bob\0secret"], None),
            ("PLAIN", &[b"\0bob\0secret\0more"], None),
            ("PLAIN", &[b"\0\0secret"], None),
            ("PLAIN", &[b"\0b\r\nob\0secret"], None),
            ("LOGIN", &[b"bob", b"secret"], Some("bob")),
            ("LOGIN", &[b"", b"bob", b"secret"], Some("bob")),
            ("LOGIN", &[b"b\r\nob", b"secret"], None),
            ("SCRAM-SHA-256", &[b"", b"n,,n=bob,r=abc"], Some("bob")),
            ("CRAM-MD5", &[b"bob smith b913a602c7eda7a495b4e6e7334d3890"], Some("bob smith")),
            ("SCRAM-SHA-256", &[b"n,,n=b=2Cob,r=abc", b"c=biws,r=abcdef,p=xyz"], Some("b,ob")),
            ("SCRAM-SHA-1", &[b"y,a=boss,n=bob,r=abc"], Some("bob")),
            ("DIGEST-MD5", &[b"charset=utf-8,username=\"b\\\"o,b\",realm=\"x\",qop=auth"], Some("b\"o,b")),
            ("XOAUTH2", &[b"user=bob@example.org\x01auth=Bearer ya29\x01\x01"], Some("bob@example.org")),
            ("OAUTHBEARER", &[b"n,a=bob@example.org,\x01auth=Bearer ya29\x01\x01"], Some("bob@example.org")),
            ("GSSAPI", &[b"\x60\x82"], None),
            ("NTLM", &[b"NTLMSSP\0"], None),
            ("CRAM-MD5", &[b"nothing"], None),
        ];
        for (mechanism, responses, user) in cases {
            assert_eq!(named(mechanism, responses).as_deref(), user, "{mechanism}");
        }
    }

    #[test]
    fn what_is_not_base64_to_us_may_be_a_name_to_others() {
        let heard = |response| Exchange::new("PLAIN").hear(&response);
        for odd in
            ["no base64", "AGJv YgBzZWNyZXQ=", "AGJvYgBzZWNyZXQ", "AGJvYgBzZWNyZXR=", "AGJvYgBzZWNyZXQ==", "YQ=\t="]
        {
            assert_eq!(heard(Response::new(odd.as_bytes())), Err(Unheard::Syntax), "{odd}");
            assert_eq!(heard(Response::initial(odd.as_bytes())), Err(Unheard::Syntax), "{odd}");
        }
        // Each only where it has a meaning.
        assert_eq!((heard(Response::new(b"*")), heard(Response::initial(b"*"))), (Ok(false), Err(Unheard::Syntax)));
        assert_eq!((heard(Response::initial(b"=")), heard(Response::new(b"="))), (Ok(false), Err(Unheard::Syntax)));
        assert_eq!(heard(Response::new(b"")), Ok(false));
    }

    #[test]
    fn a_password_that_is_asked_for_is_no_name() {
        let mut exchange = Exchange::new("LOGIN");
        for (challenge, response) in [(&b"VXNlcm5hbWU6"[..], &b""[..]), (b"UGFzc3dvcmQ6", b"secret")] {
            exchange.asked(challenge);
            assert_eq!(exchange.hear(&encoded(response)), Ok(false));
        }
        assert_eq!(exchange.user(), None);
    }

    #[test]
    fn a_security_layer_is_seen_where_it_is_said() {
        for (response, wanted) in [
            (&b"username=\"bob\",qop=auth"[..], false),
            (b"username=\"bob\"", false),
            (b"username=\"bob\", qop=auth-int", true),
            (b"qop=\"auth-conf\",username=\"bob\"", true),
            (b"username=\"qop=auth-int\",qop=auth", false),
        ] {
            let heard = Exchange::new("DIGEST-MD5").hear(&encoded(response));
            assert_eq!(heard.is_err(), wanted, "{}", response.escape_ascii());
        }
    }

    #[test]
    fn what_proves_our_own_tls_is_not_relayed() {
        for (mechanism, relayed) in [
            ("PLAIN", true),
            ("SCRAM-SHA-256", true),
            ("GSS-SPNEGO", true),
            ("SCRAM-SHA-256-PLUS", false),
            ("EXTERNAL", false),
            ("A_MECHANISM_OF_21_CHR", false),
            ("", false),
            ("WITH SPACE", false),
        ] {
            assert_eq!(is_relayed(mechanism), relayed, "{mechanism}");
        }
    }

    #[test]
    fn a_response_is_never_shown() {
        assert_eq!(format!("{:?}", encoded(b"\0bob\0secret")), "Response(..)");
    }

    proptest::proptest! {
        /// Whatever a client says, what is kept of it can stand in a line of a log.
        #[test]
        fn whatever_is_said_is_survived(
            mechanism in 0usize..8, responses in proptest::collection::vec(proptest::collection::vec(0u8.., 0..80), 1..4),
        ) {
            let mechanisms =
                ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "XOAUTH2", "OAUTHBEARER", "NTLM"];
            let mut exchange = Exchange::new(mechanisms[mechanism]);
            for response in responses {
                let _ = exchange.hear(&encoded(&response));
                let _ = exchange.hear(&Response::new(&response));
            }
            if let Some(user) = exchange.user() {
                proptest::prop_assert!(!user.is_empty() && user.len() <= 2 * MAX_USER && !user.chars().any(char::is_control));
            }
        }
    }
}
