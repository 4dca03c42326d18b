//! Whether a mail server takes anything but CRLF.CRLF for the end of a message.
//!
//! One that does can be made to read one message as two (SMTP smuggling) by whoever reaches it. Gatepost never passes on
//! what could be read so; still, others may stand before that server, now or one day.
//!
//! The test must not deliver anything. A strict server sees a message that never ends, and a connection that does
//! (RFC 5321 4.1.1.4: nothing may come of it). For a loose one the message has more Received fields than any server
//! lets pass (RFC 5321 6.3), so that it is refused; should it be taken all the same, it goes to the mailbox that
//! the operator named, has no sender who could hear of it, and says what it is. After the false end comes NOOP and no
//! more: a server that answers it has gone back to commands, and one that has not takes it for text.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::PATIENCE;
use super::backend::AREA;
use super::finding::Finding;
use crate::backend::member::{Member, SocketDial};
use crate::backend::{BackendError, Connection, Pool};
use crate::smtp::{ForwardPath, Reply};

/// How long a loose server has to show itself: it refuses the message, and some hold a refusal back (Exchange 5 s,
/// its TarpitInterval) or ask a filter first.
const SHOWN_WITHIN: Duration = Duration::from_secs(8);
/// More than any server takes: Postfix 50, Exchange 60, Gatepost 100.
const HOPS: usize = 150;
/// What is no end of a message, though some take it for one.
const FALSE_ENDS: [(&str, &[u8]); 6] = [
    ("LF.LF", b"\n.\n"),
    ("LF.CRLF", b"\n.\r\n"),
    ("CRLF.LF", b"\r\n.\n"),
    ("CR.CR", b"\r.\r"),
    ("CR.CRLF", b"\r.\r\n"),
    ("CRLF.CR", b"\r\n.\r"),
];

/// What a server made of a false end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// It waits for the real one, or hangs up.
    Strict,
    /// It went on with commands.
    Loose,
}

/// Tries every false end, each on a connection of its own.
pub(super) async fn examine(member: &Member, pool: &Pool, recipient: &ForwardPath) -> Vec<Finding> {
    let subject = &member.label;
    let mut loose = Vec::new();
    // Side by side: a strict server makes us wait each time.
    let probes = FALSE_ENDS.map(|(name, end)| async move { (name, probe(member, pool, recipient, end).await) });
    for (name, shown) in join_all(probes).await {
        match shown {
            Ok(Shown::Strict) => {}
            Ok(Shown::Loose) => loose.push(name),
            Err(Stopped::Refused(reply)) => {
                let found = format!("the end of data was not tried: it says {}", reply.to_log());
                return vec![Finding::skipped(
                    AREA,
                    subject,
                    found,
                    "Name a --probe-recipient that it takes mail for.",
                )];
            }
            Err(Stopped::Trouble(why)) => {
                let found = format!("the end of data was not tried: {why}");
                return vec![Finding::skipped(AREA, subject, found, "Ask again.")];
            }
        }
    }
    if loose.is_empty() {
        return vec![Finding::well(AREA, subject, "nothing but CRLF.CRLF ends a message there")];
    }
    let found = format!("it takes {} for the end of a message: mail can be smuggled into it", loose.join(", "));
    let advice = "Not through Gatepost, which passes no such line on. Let nobody else reach it, and mend it: \
        Postfix smtpd_forbid_bare_newline = normalize; others: a newer version.";
    vec![Finding::broken(AREA, subject, found, advice)]
}

/// Why a server could not be tried.
enum Stopped {
    /// It does not take mail for that recipient.
    Refused(Reply),
    /// It could not be spoken with.
    Trouble(BackendError),
}

impl From<BackendError> for Stopped {
    fn from(why: BackendError) -> Self {
        Self::Trouble(why)
    }
}

async fn probe(member: &Member, pool: &Pool, recipient: &ForwardPath, end: &[u8]) -> Result<Shown, Stopped> {
    let mut connection = member.open(&SocketDial, pool.settings(), None).await?;
    for (command, expected) in
        [("MAIL FROM:<>\r\n".to_owned(), 2), (format!("RCPT TO:<{recipient}>\r\n"), 2), ("DATA\r\n".to_owned(), 3)]
    {
        connection.send(command.as_bytes(), PATIENCE).await?;
        let reply = connection.reply(PATIENCE).await?;
        if reply.class() != expected {
            return Err(Stopped::Refused(reply));
        }
    }
    connection.send_more(&message(recipient, end), PATIENCE).await?;
    let until = Instant::now() + SHOWN_WITHIN;
    let shown = match connection.reply(until - Instant::now()).await {
        // A server may say what it thinks of a bare LF before it hangs up.
        Ok(reply) if reply.code() != 421 => commands_again(&mut connection).await,
        Ok(_) | Err(_) => Shown::Strict,
    };
    // Dropped without QUIT and without an end: what was said is no message.
    drop(connection);
    Ok(shown)
}

/// NOOP is answered where commands are read.
async fn commands_again(connection: &mut Connection) -> Shown {
    if connection.send_more(b"NOOP\r\n", PATIENCE).await.is_err() {
        return Shown::Strict;
    }
    match connection.reply(SHOWN_WITHIN).await {
        Ok(reply) if reply.is_positive() => Shown::Loose,
        Ok(_) | Err(_) => Shown::Strict,
    }
}

/// A message up to its false end.
fn message(recipient: &ForwardPath, end: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for hop in 0..HOPS {
        text.push_str(&format!(
            "Received: from hop{hop}.invalid by doctor.invalid with SMTP; Thu, 1 Jan 1970 00:00:00 +0000\r\n"
        ));
    }
    text.push_str(&format!(
        "From: <>\r\nTo: <{recipient}>\r\nSubject: gatepost doctor: your mail server reads a false end of data\r\n\
         Auto-Submitted: auto-generated\r\n\r\nThis was a test by `gatepost doctor`. That you read it means that your mail \
         server is loose; see what the command says."
    ));
    let mut octets = text.into_bytes();
    octets.extend_from_slice(end);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_no_true_end_and_too_many_hops() {
        let recipient = ForwardPath::parse("probe@example.org").expect("a path");
        for (name, end) in FALSE_ENDS {
            let octets = message(&recipient, end);
            assert!(!octets.windows(5).any(|window| window == b"\r\n.\r\n"), "{name}");
            assert!(octets.ends_with(end), "{name}");
            assert_eq!(octets.windows(10).filter(|window| window == b"Received: ").count(), HOPS);
        }
    }
}
