//! One scene: a client, what it says, and what must come of it.

use std::net::IpAddr;

use super::site::Weather;

/// A client and its fate.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// Who comes.
    pub(super) who: &'static str,
    /// From where.
    pub(super) from: IpAddr,
    /// What must happen, in a few words.
    pub(super) what: &'static str,
    /// Why, where no symbol tells.
    pub(super) because: &'static str,
    /// What the backend does meanwhile.
    pub(super) weather: Weather,
    /// Said before the greeting.
    pub(super) first: Vec<u8>,
    /// Said then, with the replies that must come.
    pub(super) turns: Vec<Turn>,
    /// True if the proxy must hang up by itself.
    pub(super) hangs_up: bool,
    /// Symbols that must be found, and no others unless `more`.
    pub(super) symbols: &'static [&'static str],
    /// True where rules on content may find what they like besides: they are data, and change.
    pub(super) more: bool,
    /// Symbols that are found if their checks are done before others have made the verdict certain.
    pub(super) may_find: &'static [&'static str],
    /// The clause in shadow that must have had another verdict.
    pub(super) shadow: Option<&'static str>,
    /// Messages that must be stored, and no others.
    pub(super) stored: Vec<Parcel>,
}

/// Something said, and the replies that must come, each by its beginning.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) say: Vec<u8>,
    pub(super) hear: &'static [&'static str],
}

/// A message that must be stored.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// For whom.
    pub(super) recipients: &'static [&'static str],
    /// Its octets, the fields that we add aside.
    pub(super) message: Vec<u8>,
    /// True if it must carry `X-Spam-Flag: YES`.
    pub(super) flagged: bool,
}

impl Scene {
    pub(super) fn new(who: &'static str, from: impl Into<IpAddr>, what: &'static str) -> Self {
        Self {
            who,
            from: from.into(),
            what,
            because: "",
            weather: Weather::Fair,
            first: Vec::new(),
            turns: Vec::new(),
            hangs_up: false,
            symbols: &[],
            more: false,
            may_find: &[],
            shadow: None,
            stored: Vec::new(),
        }
    }

    pub(super) fn because(self, because: &'static str) -> Self {
        Self { because, ..self }
    }

    pub(super) fn while_backend(self, weather: Weather) -> Self {
        Self { weather, ..self }
    }

    pub(super) fn finding(self, symbols: &'static [&'static str]) -> Self {
        Self { symbols, ..self }
    }

    pub(super) fn and_in_its_content(self) -> Self {
        Self { more: true, ..self }
    }

    pub(super) fn perhaps(self, may_find: &'static [&'static str]) -> Self {
        Self { may_find, ..self }
    }

    pub(super) fn shadowed_by(self, clause: &'static str) -> Self {
        Self { shadow: Some(clause), ..self }
    }

    /// Speaks before it is greeted.
    pub(super) fn blurts(self, octets: &[u8], hear: &'static [&'static str]) -> Self {
        let turn = Turn { say: Vec::new(), hear };
        Self { first: octets.to_vec(), turns: vec![turn], ..self }
    }

    /// Waits for the greeting.
    pub(super) fn greeted(self) -> Self {
        self.says("", &["220 mx.demo.example ESMTP"])
    }

    /// Waits for the greeting and says EHLO.
    pub(super) fn ehlo(self, name: &str) -> Self {
        self.greeted().says(&format!("EHLO {name}\r\n"), &["250 mx.demo.example"])
    }

    pub(super) fn says(self, text: &str, hear: &'static [&'static str]) -> Self {
        self.sends(text.as_bytes().to_vec(), hear)
    }

    pub(super) fn sends(mut self, say: Vec<u8>, hear: &'static [&'static str]) -> Self {
        self.turns.push(Turn { say, hear });
        self
    }

    /// MAIL from the usual sender.
    pub(super) fn mail(self) -> Self {
        self.says("MAIL FROM:<eve@sender.example>\r\n", &["250 2.1.0"])
    }

    /// RCPT to Alice, accepted by the backend.
    pub(super) fn names_alice(self) -> Self {
        self.says("RCPT TO:<alice@demo.example>\r\n", &["250 2.1.5 Recipient noted"])
    }

    /// DATA, and `message` dot-stuffed with its end.
    pub(super) fn data(self, message: &[u8], hear: &'static [&'static str]) -> Self {
        let mut stuffed = Vec::with_capacity(message.len() + 8);
        for line in message.split_inclusive(|&octet| octet == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        self.says("DATA\r\n", &["354"]).sends(stuffed, hear)
    }

    pub(super) fn then_closed(self) -> Self {
        Self { hangs_up: true, ..self }
    }

    pub(super) fn stores(mut self, recipients: &'static [&'static str], message: &[u8]) -> Self {
        self.stored.push(Parcel { recipients, message: message.to_vec(), flagged: false });
        self
    }

    pub(super) fn stores_flagged(mut self, recipients: &'static [&'static str], message: &[u8]) -> Self {
        self.stored.push(Parcel { recipients, message: message.to_vec(), flagged: true });
        self
    }
}
