//! VRFY, EXPN and ETRN of clients that may say them: asked of the backend, whose words are the reply.
//!
//! Failure: a backend that cannot be asked, or answers nonsense, is 451; nothing else depends on it.

use std::sync::Arc;

use super::driver::{End, Session};
use super::machine::Question;
use super::refusal;
use super::transaction::is_unknown;
use crate::backend::{BackendError, Identity, Need, Own, Pool, Ways};
use crate::checks::Deed;
use crate::smtp::{Extension, ForwardPath, Reply};

impl Session {
    /// Passes one question on.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<(), End> {
        let Some(ways) = self.ways() else {
            self.lost_pool();
            self.say(&refusal::BACKEND_DOWN);
            return Ok(());
        };
        let Some(pool) = who_knows(question, &ways) else {
            self.say(&refusal::CANNOT_VERIFY);
            return Ok(());
        };
        let reply = match answer_of(self.own.clone(), &pool, &self.identity_between(), question).await {
            Ok(reply) => reply,
            Err(why) => {
                tracing::warn!(client = %self.peer.ip(), verb = question.verb.keyword(), error = %why, "session.not_asked");
                if self.own.is_some() {
                    self.say(&refusal::OWN_BACKEND_LOST);
                    return Err(End::Refused);
                }
                refusal::BACKEND_DOWN
            }
        };
        // Whoever asks for addresses guesses them as whoever writes to them does.
        if self.is_edge() && question.verb != Extension::Etrn && is_unknown(&reply) {
            self.tell(Deed::UnknownRecipients(1));
        }
        tracing::info!(
            client = %self.peer.ip(), verb = question.verb.keyword(), argument = question.argument, reply = %reply.to_log(),
            "session.asked"
        );
        self.say(&reply);
        if reply.code() == 421 { Err(End::Refused) } else { Ok(()) }
    }
}

/// The pool to ask. Where recipients have pools of their own, `None` of what names no mailbox: it may lie in any of them.
fn who_knows(question: &Question, ways: &Ways) -> Option<Arc<Pool>> {
    if question.verb == Extension::Etrn || !ways.part() {
        return Some(ways.home().pool.clone());
    }
    let argument = match question.argument.rsplit_once(' ') {
        // RFC 6531 3.7.4.2.
        Some((argument, word)) if word.eq_ignore_ascii_case("SMTPUTF8") => argument,
        _ => &question.argument,
    };
    let bare = argument.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(argument);
    ForwardPath::parse(bare).ok().map(|path| ways.to(&path).pool)
}

/// What the backend says, on the client's own connection if it has one.
async fn answer_of(
    own: Option<Own>,
    pool: &Arc<Pool>,
    client: &Identity,
    question: &Question,
) -> Result<Reply, BackendError> {
    let need = Need::default();
    let timeouts = pool.settings().timeouts.clone();
    let line = format!("{} {}\r\n", question.verb.keyword(), question.argument);
    let mut fresh = false;
    loop {
        let mut lease = match &own {
            Some(own) => own.lease(client, &need).await?,
            None => pool.lease(client, &need, fresh).await?,
        };
        let connection = lease.connection();
        let reply = match connection.send(line.as_bytes(), timeouts.write).await {
            Ok(()) => connection.reply(timeouts.command).await,
            Err(why) => Err(why),
        };
        match reply {
            Ok(reply) if matches!(reply.class(), 2 | 4 | 5) => {
                lease.give_back();
                return Ok(reply);
            }
            Ok(_) => return Err(BackendError::Unsolicited),
            // The backend may have ended it while it lay idle.
            Err(_) if lease.reused && own.is_none() && !fresh => fresh = true,
            Err(why) => return Err(why),
        }
    }
}
