//! Whom a Received field names as the client, in the forms that mail servers write (RFC 5321 4.4).

use std::net::IpAddr;

/// Who handed a message over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub addr: IpAddr,
    /// What it said in HELO or EHLO, if that is told.
    pub helo: Option<String>,
}

/// The client of a Received field, as the server saw it; `None` if it names none, or in a form that we do not know.
/// What the client said of itself, which may be an address, is never taken for what it is.
pub fn origin(value: &[u8]) -> Option<Origin> {
    let text = String::from_utf8_lossy(value);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = text.get(..5).filter(|word| word.eq_ignore_ascii_case("from ")).and_then(|_| text.get(5..))?;
    let (first, rest) = from.split_once(' ')?;
    let seen = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(seen, _)| seen);
    let words = seen.into_iter().flat_map(|seen| seen.split([' ', ';']));
    let told = |word: &&str| word.contains('=');
    let helo = words.clone().find_map(|word| word.strip_prefix("helo="));
    // `from HELO (NAME [ADDRESS])`, `from HELO (ADDRESS)`, `from NAME ([ADDRESS] helo=HELO)`.
    if let Some(addr) = words.filter(|word| !told(word)).find_map(address) {
        let helo = helo.unwrap_or(first).to_owned();
        return Some(Origin { addr, helo: Some(helo) });
    }
    // `from [ADDRESS] (helo=HELO)`, or with a port: the form of a server that says what was said apart.
    let is_apart = seen.is_some_and(|seen| seen.split(' ').all(|word| told(&word)));
    let addr = address(first).filter(|_| is_apart)?;
    Some(Origin { addr, helo: helo.map(str::to_owned) })
}

fn address(word: &str) -> Option<IpAddr> {
    let inner = word.strip_prefix('[').map_or(word, |inner| inner.split(']').next().unwrap_or(inner));
    let inner = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).map_or(inner, |_| &inner[5..]);
    inner.parse::<IpAddr>().ok().map(|addr| addr.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_who_the_server_saw() {
        for (value, addr, helo) in [
            (
                "from client.example (unknown [192.0.2.1])\r\n\tby mx.example (Postfix) with ESMTP",
                "192.0.2.1",
                Some("client.example"),
            ),
            ("from [192.0.2.9] (mail.example [192.0.2.1]) by mx.example", "192.0.2.1", Some("[192.0.2.9]")),
            (
                "from client.example (mail.example [IPv6:2001:db8::1]) by mx.example",
                "2001:db8::1",
                Some("client.example"),
            ),
            (
                "from client.example (2001:db8::1) by mx.example with Microsoft SMTP Server",
                "2001:db8::1",
                Some("client.example"),
            ),
            (
                "from mail.example ([192.0.2.1] helo=client.example) by mx.example with esmtp (Exim 4.96)",
                "192.0.2.1",
                Some("client.example"),
            ),
            (
                "from [192.0.2.1] (helo=[192.0.2.9]) by mx.example with smtp (Exim 4.96)",
                "192.0.2.1",
                Some("[192.0.2.9]"),
            ),
            ("from [192.0.2.1] (port=4711 helo=x) by mx.example with smtp (Exim 4.96)", "192.0.2.1", Some("x")),
            (
                "from client.example (mail.example. [::ffff:192.0.2.1]) by mx.example",
                "192.0.2.1",
                Some("client.example"),
            ),
        ] {
            let expected = Origin { addr: addr.parse().expect(addr), helo: helo.map(str::to_owned) };
            assert_eq!(origin(value.as_bytes()), Some(expected), "{value}");
        }
        for none in [
            "",
            "by mx.example (Postfix, from userid 0)",
            "from client.example by mx.example",
            "from [192.0.2.9] by mx.example",
            "from [192.0.2.9] (unknown) by mx.example",
            "from client.example (unknown) by mx.example",
            "from client.example (unknown [192.0.2.1",
            "from",
        ] {
            assert_eq!(origin(none.as_bytes()), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_octets_are_too_strange(value in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            origin(&value);
        }
    }
}
