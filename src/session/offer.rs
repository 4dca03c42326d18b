//! What a client is offered, and which parameters of MAIL and RCPT follow from that. No I/O.

use std::sync::Arc;

use super::refusal;
use crate::net::listener::RelayedCommands;
use crate::smtp::parameter::{self, Place};
use crate::smtp::{CommandError, Extension, Extensions, Params, Reply, XforwardAttribute};

/// What we offer to this client.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// STARTTLS.
    pub tls: bool,
    /// The session is within TLS.
    pub encrypted: bool,
    /// XCLIENT.
    pub xclient: bool,
    /// XFORWARD.
    pub xforward: bool,
    /// What must be done before MAIL.
    pub access: Access,
    /// There are backends to ask, whatever they offer.
    pub has_backend: bool,
    /// Octets of a message; 0 is "no limit of ours".
    pub size: u64,
    /// Recipients of one transaction, and transactions of one session.
    pub recipients: u32,
    /// See there.
    pub transactions: u32,
    /// Mail leaves here: what only submission has makes sense.
    pub outgoing: bool,
    /// Commands that are passed on as they are.
    pub relayed: RelayedCommands,
    /// The client may say them without having authenticated.
    pub may_ask: bool,
    /// What all backends offer.
    pub backends: Arc<Extensions>,
}

/// What a client must do before it may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// STARTTLS, and then AUTH.
    Tls,
    /// AUTH.
    Auth,
    /// Come from somewhere else.
    Denied,
}

/// Extensions whose keyword stands alone, in the order in which they are listed.
const PLAIN: [Extension; 4] =
    [Extension::EightBitMime, Extension::SmtpUtf8, Extension::Dsn, Extension::EnhancedStatusCodes];
/// Extensions that are the backends' alone, with what they say of them.
const BACKENDS_OWN: [Extension; 6] = [
    Extension::BinaryMime,
    Extension::DeliverBy,
    Extension::FutureRelease,
    Extension::MtPriority,
    Extension::RequireTls,
    Extension::NoSoliciting,
];

impl Offer {
    /// True if this client may use what the backends offer by that name.
    pub fn has(&self, extension: Extension) -> bool {
        let possible = match extension {
            // Whoever says it must have been told so under TLS (RFC 8689 4.2.1).
            Extension::RequireTls => self.encrypted,
            // An extension of submission (RFC 4865 1).
            Extension::FutureRelease => self.outgoing,
            // Its messages travel in chunks or not at all (RFC 3030 3).
            Extension::BinaryMime => self.backends.has(Extension::Chunking),
            Extension::Auth => return self.offers_auth(),
            // Ours, whatever the backends say.
            Extension::Size => return true,
            _ => true,
        };
        possible && self.backends.has(extension)
    }

    /// True if there are mechanisms to authenticate by.
    pub fn offers_auth(&self) -> bool {
        self.access == Access::Auth && !self.backends.mechanisms().is_empty()
    }

    /// The reply to EHLO, to a client that has authenticated or has not.
    pub fn reply(&self, hostname: &str, authenticated: bool) -> Reply {
        let mut text = format!("{hostname}\nPIPELINING\nSIZE {}", self.size);
        let mut say = |keyword: &str, arguments: &str| {
            let space = if arguments.is_empty() { "" } else { " " };
            text.push_str(&format!("\n{keyword}{space}{arguments}"));
        };
        for extension in PLAIN.into_iter().filter(|&extension| self.has(extension)) {
            say(extension.keyword(), "");
        }
        say("CHUNKING", "");
        for extension in BACKENDS_OWN.into_iter().filter(|&extension| self.has(extension)) {
            say(extension.keyword(), self.backends.arguments(extension));
        }
        if self.backends.has(Extension::Limits) {
            say("LIMITS", &self.limits());
        }
        self.backends.unknown().for_each(|(keyword, arguments)| say(keyword, arguments));
        for (extension, _) in self.asked(authenticated) {
            say(extension.keyword(), "");
        }
        if self.tls {
            say("STARTTLS", "");
        }
        if self.offers_auth() {
            say("AUTH", &self.backends.mechanisms().join(" "));
        }
        if self.xclient {
            say("XCLIENT", "NAME ADDR HELO");
        }
        if self.xforward {
            say("XFORWARD", &XforwardAttribute::ALL.map(XforwardAttribute::keyword).join(" "));
        }
        Reply::new(250, None, text)
    }

    /// The bounds of RFC 9422: ours, or the backends' where they are closer. Connections to them are not the client's,
    /// unless it authenticates on one.
    fn limits(&self) -> String {
        let closer = |ours: u32, theirs: &str| self.backends.limit(theirs).map_or(ours, |theirs| ours.min(theirs));
        let mails = match self.access {
            Access::Tls | Access::Auth => closer(self.transactions, "MAILMAX"),
            Access::Open | Access::Denied => self.transactions,
        };
        let mut text = format!("MAILMAX={mails} RCPTMAX={}", closer(self.recipients, "RCPTMAX"));
        if let Some(domains) = self.backends.limit("RCPTDOMAINMAX") {
            text.push_str(&format!(" RCPTDOMAINMAX={domains}"));
        }
        text
    }

    /// Commands that are passed on for this client and that the backends have named.
    fn asked(&self, authenticated: bool) -> impl Iterator<Item = (Extension, bool)> {
        let RelayedCommands { vrfy, expn, etrn } = self.relayed;
        let may_ask = self.may_ask || authenticated;
        let all = [(Extension::Vrfy, vrfy), (Extension::Expn, expn), (Extension::Etrn, etrn)];
        all.into_iter().filter(move |&(extension, relayed)| relayed && may_ask && self.backends.has(extension))
    }

    /// Checks the parameters of a command against what was offered, and against how they are written: 555 for what was
    /// not offered, 501 for what is wrong (RFC 5321 4.1.1.11).
    ///
    /// # Errors
    /// The reply that refuses the command.
    pub fn check(&self, place: Place, params: &Params) -> Result<(), Reply> {
        for (name, value) in params.iter() {
            match parameter::known(place, name, value) {
                Some(known) if !self.has(known.extension) => return Err(refusal::UNKNOWN_PARAMETER),
                Some(known) if !known.is_well_formed => return Err(refusal::command_error(&CommandError::Parameter)),
                Some(_) => {}
                None if self.backends.takes(name) => {}
                None => return Err(refusal::UNKNOWN_PARAMETER),
            }
        }
        // One time or the other (RFC 4865 4).
        if params.get("HOLDFOR").is_some() && params.get("HOLDUNTIL").is_some() {
            return Err(refusal::command_error(&CommandError::Parameter));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(keywords: &'static str) -> Offer {
        let backends = Extensions::from_reply(&Reply::plain(250, keywords));
        Offer { backends: Arc::new(backends), size: 1000, recipients: 100, transactions: 50, ..Offer::default() }
    }

    fn lines(offer: &Offer, authenticated: bool) -> Vec<String> {
        let reply = offer.reply("mx.example", authenticated);
        reply.lines().skip(1).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    #[test]
    fn what_makes_no_sense_here_is_not_offered() {
        let rich = offer("b\nBINARYMIME\nDELIVERBY 60\nFUTURERELEASE 9 2027-01-01T00:00:00Z\nREQUIRETLS\nRRVS");
        assert_eq!(lines(&rich, false), ["PIPELINING", "SIZE 1000", "CHUNKING", "DELIVERBY 60", "RRVS"]);
        let chunks = offer("b\nBINARYMIME\nCHUNKING");
        assert_eq!(lines(&chunks, false)[3..], ["BINARYMIME"]);
        let submission = Offer { outgoing: true, encrypted: true, ..rich };
        let expected = ["DELIVERBY 60", "FUTURERELEASE 9 2027-01-01T00:00:00Z", "REQUIRETLS", "RRVS"];
        assert_eq!(lines(&submission, false)[3..], expected);
    }

    #[test]
    fn limits_are_the_closer_ones_and_of_connections_our_own() {
        let bounded = offer("b\nLIMITS MAILMAX=5 RCPTMAX=7 RCPTDOMAINMAX=1");
        assert_eq!(lines(&bounded, false)[3], "LIMITS MAILMAX=50 RCPTMAX=7 RCPTDOMAINMAX=1");
        let submission = Offer { access: Access::Auth, ..bounded };
        assert_eq!(lines(&submission, false)[3], "LIMITS MAILMAX=5 RCPTMAX=7 RCPTDOMAINMAX=1");
        assert_eq!(lines(&offer("b\nLIMITS RCPTMAX=700"), false)[3], "LIMITS MAILMAX=50 RCPTMAX=100");
    }

    #[test]
    fn commands_are_passed_on_for_those_who_may() {
        let relayed = RelayedCommands { vrfy: true, expn: false, etrn: true };
        let asking = Offer { relayed, may_ask: true, ..offer("b\nVRFY\nEXPN\nETRN") };
        assert_eq!(lines(&asking, false)[3..], ["VRFY", "ETRN"]);
        let stranger = Offer { may_ask: false, ..asking };
        assert_eq!((lines(&stranger, false).len(), lines(&stranger, true).len()), (3, 5));
    }

    #[test]
    fn parameters_are_refused_for_what_was_not_offered_and_for_how_they_are_written() {
        let offer = offer("b\nDSN\nDELIVERBY\nRRVS\n8BITMIME");
        let submission = |outgoing| Offer { outgoing, ..self::offer("b\nFUTURERELEASE 9 2027-01-01T00:00:00Z") };
        let told = |offer: &Offer, place, text: &str| {
            let words = text.split(' ').map(|word| word.split_once('=').map_or((word, None), |(k, v)| (k, Some(v))));
            offer.check(place, &words.collect()).map_or_else(|reply| reply.code(), |()| 250)
        };
        for (place, text, code) in [
            (Place::Mail, "SIZE=1 BY=5;R RET=FULL RRVS=x body=7bit", 250),
            (Place::Mail, "SIZE", 501),
            (Place::Mail, "BY=0;R", 501),
            (Place::Mail, "BODY=BINARYMIME", 555),
            (Place::Mail, "BODY=9BIT", 501),
            (Place::Mail, "MT-PRIORITY=99", 555),
            (Place::Mail, "REQUIRETLS", 555),
            (Place::Mail, "AUTH=<>", 555),
            (Place::Mail, "FROB=1", 555),
            (Place::Rcpt, "NOTIFY=NEVER ORCPT=rfc822;a@b RRVS=y", 250),
            (Place::Rcpt, "NOTIFY=SOMETIMES", 501),
            (Place::Rcpt, "SIZE=1", 555),
        ] {
            assert_eq!(told(&offer, place, text), code, "{text}");
        }
        for (text, code) in [("HOLDFOR=5", 250), ("HOLDFOR=5 HOLDUNTIL=2026-12-31T00:00:00Z", 501), ("HOLDFOR=x", 501)]
        {
            assert_eq!(told(&submission(true), Place::Mail, text), code, "{text}");
            assert_eq!(told(&submission(false), Place::Mail, text), 555, "{text}");
        }
    }
}
