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
    let mut lease = pool.lease(&ourselves(hostname), &need, false).await?;
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
    Identity {
        addr: local,
        local,
        name: Some("localhost".to_owned()),
        helo: hostname.to_owned(),
        extended: true,
        ident: None,
        forwarded: None,
    }
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
    connection.mails += 1;
    for command in [mail, rcpt] {
        connection.send(&command, timeouts.write).await?;
        let reply = connection.verdict(timeouts.command).await?;
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
    connection.verdict(timeouts.end_of_data).await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::future::BoxFuture;
    use prometheus::Registry;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

    use super::*;
    use crate::backend::member::Dial;
    use crate::backend::settings::{
        Address, IdentityMethod, MemberSettings, Protocol, Reuse, Settings, Timeouts, TlsMode,
    };
    use crate::backend::{BackendError, Metrics};
    use crate::net::BoxIo;

    /// A server that takes down what it hears, and answers one command otherwise than well.
    #[derive(Clone)]
    struct Server {
        exception: (&'static str, &'static str),
        heard: Arc<Mutex<Vec<String>>>,
    }

    impl Dial for Server {
        fn dial<'a>(&'a self, _: &'a Address) -> BoxFuture<'a, std::io::Result<BoxIo>> {
            let (near, far) = duplex(65_536);
            tokio::spawn(self.clone().speak(far));
            Box::pin(std::future::ready(Ok(Box::new(near) as BoxIo)))
        }
    }

    impl Server {
        async fn speak(self, stream: DuplexStream) {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 backend\r\n").await.expect("a client");
            let (mut line, mut in_message) = (String::new(), false);
            while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
                let heard = std::mem::take(&mut line);
                self.heard.lock().expect("a list").push(heard.trim_end_matches("\r\n").to_owned());
                if in_message && heard != ".\r\n" {
                    continue;
                }
                let (command, answer) = self.exception;
                let reply = if heard.starts_with(command) {
                    answer
                } else if heard.starts_with("DATA") {
                    "354 go on"
                } else if heard.starts_with("EHLO") {
                    "250-backend\r\n250 XCLIENT ADDR NAME HELO"
                } else if heard.starts_with("XCLIENT") {
                    "220 backend"
                } else {
                    "250 yes"
                };
                in_message = reply.starts_with("354");
                if stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    fn settings(identity: IdentityMethod) -> Settings {
        let short = Duration::from_secs(5);
        let member = MemberSettings {
            address: Address::Host("backend.example".to_owned(), 25),
            connections: 2,
            weight: 1,
            backup: false,
            tls: TlsMode::Off,
            implicit_tls: false,
            tls_name: None,
            tls_ca: None,
        };
        Settings {
            members: vec![member],
            protocol: Protocol::Smtp,
            identity,
            helo: "mx.receiver.example".into(),
            timeouts: Timeouts { connect: short, command: short, write: short, end_of_data: short, queue: short },
            reuse: Reuse { idle: 1, idle_time: short, transactions: 9, refusals: 9, age: short },
            probe_interval: short,
        }
    }

    async fn submitted(
        identity: IdentityMethod,
        exception: (&'static str, &'static str),
    ) -> (Result<Reply, BackendError>, Vec<String>) {
        let server = Server { exception, heard: Arc::default() };
        let metrics = Metrics::register(&Registry::new()).expect("constant names");
        let pool = Pool::with_dial(settings(identity), metrics, Box::new(server.clone())).expect("a pool");
        let from = ReversePath::parse("dmarc@receiver.example").expect("a path");
        let to = ForwardPath::parse("rua@author.example").expect("a path");
        let outcome = submit(&pool, "mx.receiver.example", &from, &to, b"Subject: x\r\n\r\n.dot\r\n").await;
        let heard = server.heard.lock().expect("a list").clone();
        (outcome, heard)
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_goes_over_whole() {
        let (outcome, heard) = submitted(IdentityMethod::None, ("-", "")).await;
        assert!(outcome.expect("a reply").is_positive());
        let mail = ["MAIL FROM:<dmarc@receiver.example>", "RCPT TO:<rua@author.example>", "DATA"];
        assert_eq!(heard.get(1..4).unwrap_or_default(), mail);
        assert_eq!(heard.get(4..8).unwrap_or_default(), ["Subject: x", "", "..dot", "."]);
    }

    #[tokio::test(start_paused = true)]
    async fn we_come_from_the_backends_own_machine() {
        let (outcome, heard) = submitted(IdentityMethod::Xclient, ("-", "")).await;
        assert!(outcome.expect("a reply").is_positive());
        let expected = "XCLIENT ADDR=127.0.0.1 NAME=localhost HELO=mx.receiver.example";
        assert!(heard.iter().any(|line| line == expected), "{heard:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_the_answer_and_nonsense_is_none() {
        for (command, answer, expected) in [
            ("MAIL", "451 later", Some(451)),
            ("RCPT", "550 no", Some(550)),
            ("DATA", "554 no", Some(554)),
            (".", "452 full", Some(452)),
            ("RCPT", "354 what", None),
            ("DATA", "250 what", None),
        ] {
            let (outcome, heard) = submitted(IdentityMethod::None, (command, answer)).await;
            assert_eq!(outcome.ok().map(|reply| reply.code()), expected, "{command} {answer}: {heard:?}");
        }
    }
}
