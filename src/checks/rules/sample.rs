//! Small messages that stand beside a rule and say what it finds and what not.

use std::net::{IpAddr, Ipv4Addr};

use super::view::{Envelope, View};
use crate::message::{Message, Model};

/// A message with its envelope.
#[derive(Debug)]
pub struct Sample {
    message: Message,
    model: Model,
    envelope: Envelope,
}

impl Sample {
    /// Reads a message as rule files write it: lines such as `@helo name`, `@from a@b`, `@to c@d`,
    /// `@client 192.0.2.1` and `@client-name mx.example` may stand before it; line ends become CRLF.
    ///
    /// # Errors
    /// A line before the message that means nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut envelope = Envelope {
            helo: "client.example".to_owned(),
            from: "sender@client.example".to_owned(),
            recipients: Vec::new(),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            client_name: None,
        };
        let mut rest = text;
        while let Some(behind) = rest.strip_prefix('@') {
            let (line, after) = behind.split_once('\n').unwrap_or((behind, ""));
            let (word, value) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
            let value = value.trim();
            match word {
                "helo" => envelope.helo = value.to_owned(),
                "from" => envelope.from = value.trim_start_matches('<').trim_end_matches('>').to_owned(),
                "to" => envelope.recipients.push(value.to_owned()),
                "client" => envelope.client = value.parse().map_err(|_| format!("`{value}` is no address"))?,
                "client-name" => envelope.client_name = Some(value.to_owned()),
                other => {
                    let known = "@helo, @from, @to, @client and @client-name";
                    return Err(format!("`@{other}` means nothing: before a message stand {known}"));
                }
            }
            rest = after;
        }
        if envelope.recipients.is_empty() {
            envelope.recipients.push("recipient@site.example".to_owned());
        }
        let octets = rest.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        let len = octets.len() as u64;
        let message = Message::new(octets, len);
        let model = Model::of(&message);
        Ok(Self { message, model, envelope })
    }

    /// As rules see it.
    pub fn view(&self) -> View<'_> {
        View::new(&self.message, &self.model, &self.envelope)
    }
}
