//! A message of our own: handed to the mail server behind us as any client would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::machine::{self, Identity, Need};
use super::{BackendError, Lease, Pool};
use crate::smtp::{ForwardPath, Params, Reply, ReversePath, data};

/// Hands over one message for one recipient. The reply is the one that ended it: 2xx, and it is theirs,
/// or the first 4xx or 5xx.
///
/// We are the client here, and say so: where the backend is told who a client is, it hears of one at its
/// own machine, which is what may send mail anywhere.
///
/// # Errors
/// The backend may have the message only if this happened after its end; a repetition is then the lesser evil.
pub async fn submit(
    pool: &Arc<Pool>,
    hostname: &str,
    from: &ReversePath,
    to: &ForwardPath,
    message: &[u8],
) -> Result<Reply, BackendError> {
    let need = Need { size: Some(message.len() as u64), ..Need::default() };
    let mut lease = pool.lease(&ourselves(hostname), &need, true).await?;
    let reply = transact(&mut lease, from, to, message).await?;
    lease.connection().transactions += 1;
    if reply.is_positive() {
        lease.give_back()
    } else {
        lease.reset()
    }
    Ok(reply)
}

fn ourselves(hostname: &str) -> Identity {
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    Identity { addr: local, local, name: Some("localhost".to_owned()), helo: hostname.to_owned(), extended: true }
}

/// One command after another: there is one message an hour, and nobody waits for it.
async fn transact(
    lease: &mut Lease,
    from: &ReversePath,
    to: &ForwardPath,
    message: &[u8],
) -> Result<Reply, BackendError> {
    let timeouts = lease.pool().settings().timeouts.clone();
    let connection = lease.connection();
    let (mut mail, mut rcpt, mut body) = (Vec::new(), Vec::new(), Vec::new());
    machine::mail(from, &Params::default(), &mut mail);
    machine::rcpt(to, &Params::default(), &mut rcpt);
    for command in [mail, rcpt] {
        connection.send(&command, timeouts.write).await?;
        let reply = verdict_of(connection.reply(timeouts.command).await?)?;
        if !reply.is_positive() {
            return Ok(reply);
        }
    }
    connection.send(b"DATA\r\n", timeouts.write).await?;
    let go = connection.reply(timeouts.command).await?;
    if go.code() != 354 {
        return if go.class() >= 4 { Ok(go) } else { Err(BackendError::Unsolicited) };
    }
    data::encode(message, &mut body);
    connection.send_more(&body, timeouts.write).await?;
    verdict_of(connection.reply(timeouts.end_of_data).await?)
}

/// Yes, later or no; anything else leaves the dialogue where nobody knows it.
fn verdict_of(reply: Reply) -> Result<Reply, BackendError> {
    match reply.class() {
        2 | 4 | 5 => Ok(reply),
        _ => Err(BackendError::Unsolicited),
    }
}
