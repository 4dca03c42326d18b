//! Mail through a forwarder becomes evidence, and evidence becomes a proposal: over real SMTP, through the
//! running proxy and its checks, to the command that an operator types.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gatepost::config;
use gatepost::dns::FixedDns;
use gatepost::net::listener::Inherited;
use gatepost::server::proxy::Proxy;
use gatepost::server::reload::Refused;
use gatepost::server::{Loader, Order, Server};
use gatepost::telemetry::metrics;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const FORWARDER: &str = "192.0.2.10";
const AUTHORS: [&str; 4] = ["one.example", "two.example", "three.example", "four.example"];

fn configuration(admin: SocketAddr, backend: SocketAddr) -> String {
    format!(
        r#"
hostname = "mx.ours.example"
[[listen]]
address = "127.0.0.1:0"
xclient_networks = ["127.0.0.0/8"]
[relay]
domains = ["ours.example"]
[backend]
identity = "none"
[[backend.member]]
address = "{backend}"
[store]
path = "store.redb"
[admin]
address = "{admin}"
"#
    )
}

/// Authors who authorize another network than the forwarder's, sign, and ask for refusal of the rest.
fn names(key: &Ed25519Key) -> FixedDns {
    let address: std::net::Ipv4Addr = FORWARDER.parse().expect("an address");
    let dns = FixedDns::new().ptr(address, ["mx.forwarder.example"]).a("mx.forwarder.example", [address]);
    let public = base64(&key.public_key());
    AUTHORS.iter().fold(dns, |dns, author| {
        dns.txt(author, ["v=spf1 ip4:198.51.100.0/24 -all"])
            .txt(&format!("_dmarc.{author}"), ["v=DMARC1; p=reject"])
            .txt(&format!("s._domainkey.{author}"), [&*format!("v=DKIM1; k=ed25519; p={public}")])
            .a(author, [[198, 51, 100, 1]])
    })
}

fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = octets.chunks(3).flat_map(|chunk| {
        let octets = chunk.iter().chain([0, 0].iter()).take(3);
        let bits = octets.fold(0_usize, |bits, octet| bits << 8 | usize::from(*octet));
        let digit = move |place| char::from(ALPHABET[bits >> (18 - 6 * place) & 63]);
        (0..4).map(move |place| if place <= chunk.len() { digit(place) } else { '=' })
    });
    digits.collect()
}

fn message(author: &str) -> String {
    let fields = format!("From: Ann <a@{author}>\r\nTo: b@ours.example\r\nDate: Mon, 21 Sep 2026 14:13:20 +0000\r\n");
    format!("{fields}Message-ID: <1@{author}>\r\nSubject: hello\r\n\r\nA body.\r\n")
}

fn signed(key: &[u8], author: &str) -> String {
    let message = message(author);
    let key = Ed25519Key::from_pkcs8_der(key).expect("a key");
    let signer = DkimSigner::from_key(key).domain(author).selector("s").headers(["From", "To", "Date", "Subject"]);
    signer.sign(message.as_bytes()).expect("it signs").to_header() + &message
}

/// A mail server that takes everything.
async fn backend(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 backend ESMTP\r\n").await.expect("written");
            let (mut line, mut in_message) = (String::new(), false);
            while stream.read_line(&mut line).await.is_ok_and(|octets| octets > 0) {
                let reply = match line.trim_end() {
                    "." if in_message => Some("250 2.0.0 stored\r\n"),
                    _ if in_message => None,
                    "DATA" => Some("354 go on\r\n"),
                    _ => Some("250 2.0.0 fine\r\n"),
                };
                in_message = line.trim_end() == "DATA" || in_message && reply.is_none();
                if let Some(reply) = reply {
                    stream.write_all(reply.as_bytes()).await.expect("written");
                }
                line.clear();
            }
        });
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn reply(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.expect("a reply");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn say(&mut self, text: &str, expected: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
        let reply = self.reply().await;
        assert!(reply.starts_with(expected), "{text}: {reply}");
    }

    /// Sends messages as a client at `addr`, each with its author's reverse-path.
    async fn send(proxy: SocketAddr, addr: &str, messages: &[(&str, String)]) {
        let mut client = Self(BufReader::new(TcpStream::connect(proxy).await.expect("it listens")));
        client.reply().await;
        client.say("EHLO client.example\r\n", "250").await;
        client.say(&format!("XCLIENT ADDR={addr}\r\n"), "220").await;
        client.say("EHLO mx.forwarder.example\r\n", "250").await;
        for (author, message) in messages {
            client.say(&format!("MAIL FROM:<a@{author}>\r\n"), "250").await;
            client.say("RCPT TO:<b@ours.example>\r\n", "250").await;
            client.say("DATA\r\n", "354").await;
            client.0.write_all(format!("{message}.\r\n").as_bytes()).await.expect("written");
            let reply = client.reply().await;
            // What is forged may be refused; it is evidence all the same.
            assert!(reply.starts_with("250") || reply.starts_with("55"), "{reply}");
        }
        client.say("QUIT\r\n", "221").await;
    }
}

async fn shown(config: PathBuf) -> String {
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_gatepost"))
            .args(["forwarders", "--messages", "8", "--days", "0", "--all", "--config"])
            .arg(config)
            .output()
            .expect("the program starts")
    });
    let output = ran.await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The line of a hop: forwarded, broken, unauthenticated, direct, domains.
fn counts(shown: &str, hop: &str) -> Vec<u64> {
    let line = shown.lines().find(|line| line.split(' ').next() == Some(hop)).unwrap_or_default();
    line.split_whitespace().skip(1).take(5).map(|count| count.parse().expect("a number")).collect()
}

/// What is remembered is remembered after the reply: looks until `hop` has that many messages.
async fn once_counted(config: &Path, hop: &str, messages: u64) -> String {
    for _ in 0..200 {
        let shown = shown(config.to_owned()).await;
        if counts(&shown, hop).iter().take(4).sum::<u64>() >= messages {
            return shown;
        }
        tokio::task::yield_now().await;
    }
    panic!("{hop} never had {messages} messages: {}", shown(config.to_owned()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_through_a_forwarder_builds_evidence_that_the_command_shows() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gatepost.toml");
    let sink = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let sink_address = sink.local_addr().expect("bound");
    tokio::spawn(backend(sink));
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    std::fs::write(&path, configuration(any_port, sink_address)).expect("writable");
    let key = Ed25519Key::generate_pkcs8().expect("a key");
    let dns = names(&Ed25519Key::from_pkcs8_der(&key).expect("a key"));

    let loaded = config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let registry = metrics::registry().expect("constant names");
    let plan = Proxy::plan(&loaded);
    let proxy = Proxy::new(loaded, Some(Arc::new(dns)), &registry).expect("a proxy");
    let loader: Loader = Arc::new(|_| Err(Refused::because("nothing to read")));
    let ready = proxy.backends_ready();
    let server = Server::bind(plan, Inherited::default(), registry, proxy.clone(), loader, ready).expect("free ports");
    let server = server.remembering(proxy.store());
    let (address, admin) = (server.addresses()[0], server.admin_address().expect("configured"));
    std::fs::write(&path, configuration(admin, sink_address)).expect("writable");
    let (orders, received) = mpsc::channel(1);
    let running = tokio::spawn(server.run(received));
    proxy.warm_up().await;

    // Two rounds of honest mail, and a spoofer in the forwarder's network who has no name.
    let rounds = AUTHORS.iter().chain(&AUTHORS);
    let honest: Vec<_> = rounds.map(|author| (*author, signed(&key, author))).collect();
    Client::send(address, FORWARDER, &honest).await;
    let forged: Vec<_> = AUTHORS.iter().map(|author| (*author, message(author))).collect();
    Client::send(address, "192.0.2.66", &forged).await;
    once_counted(&path, "192.0.2.0/24", 4).await;
    let evidence = once_counted(&path, "forwarder.example", 8).await;
    assert_eq!(counts(&evidence, "forwarder.example"), [8, 0, 0, 0, 4], "{evidence}");
    assert_eq!(counts(&evidence, "192.0.2.0/24"), [0, 0, 4, 0, 0], "{evidence}");
    let proposal = "[[forwarder]]\nclient_names = [\".forwarder.example\"]  # evidence: 8 messages of 4 domains from ";
    assert!(evidence.contains(proposal) && !evidence.contains("networks ="), "{evidence}");

    // Forged and changed mail through the forwarder itself, and it is no longer proposed.
    let changed = signed(&key, "one.example").replace("A body.", "Another.");
    Client::send(address, FORWARDER, &[("one.example", changed), ("two.example", message("two.example"))]).await;
    let spoiled = once_counted(&path, "forwarder.example", 10).await;
    assert_eq!(counts(&spoiled, "forwarder.example"), [8, 1, 1, 0, 4], "{spoiled}");
    assert!(!spoiled.contains("[[forwarder]]"), "{spoiled}");

    // The proxy ends, and its file still knows.
    orders.send(Order::Stop).await.expect("it runs");
    running.await.expect("no panic");
    proxy.close().await;
    let weak = Arc::downgrade(&proxy);
    drop(proxy);
    while weak.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(path).await, spoiled);
}
