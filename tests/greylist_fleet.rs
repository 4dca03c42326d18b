//! Greylisting before a fleet of behaviours, in simulated time, beside the keys of postgrey and rspamd:
//! who is delayed, for how long, and who gets through that should not.
//!
//! `cargo test --test greylist_fleet -- --nocapture` prints the distribution of delays.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatepost::checks::client_name::ClientNames;
use gatepost::checks::greylist::{AfterMessage, Ports};
use gatepost::checks::{Check, auth};
use gatepost::clock;
use gatepost::dns::FixedDns;
use gatepost::facts::{AuthResult, ClientFacts, Dkim, HeloFacts, MailFacts, MessageFacts, Signature, Spf};
use gatepost::message::Message;
use gatepost::scoring::Symbol;
use gatepost::smtp::{ForwardPath, HeloName, Params, ReversePath};
use gatepost::store::{self, MemoryStore};
use gatepost::verdict::Verdict;

/// Everybody who ever writes here.
const RECIPIENT: &str = "user@ours.example";
/// Messages of each behaviour, hours apart.
const MESSAGES: u64 = 12;

/// One attempt to deliver.
#[derive(Clone, Debug)]
struct Attempt {
    client: IpAddr,
    from: String,
    to: String,
    /// What authenticates it.
    authenticated: Authenticated,
}

/// What authenticates an attempt.
#[derive(Clone, Copy, Debug)]
enum Authenticated {
    Nothing,
    /// Nothing that could be found out: DNS failed.
    Unknown,
    Spf(&'static str),
    Dkim(&'static str),
}

/// How somebody sends.
struct Behaviour {
    name: &'static str,
    honest: bool,
    /// Seconds after the first attempt of a message at which it tries again.
    retries: Vec<u64>,
    /// The `retry`th attempt at the `message`th message.
    attempt: fn(message: u64, retry: u64) -> Attempt,
}

/// What became of one message: the delay in seconds, and how often it was put off; `None`: never delivered.
type Fate = Option<(u64, u32)>;

/// A filter that says whether an attempt passes.
trait Filter {
    async fn passes(&mut self, attempt: &Attempt, message: u64, at: u64) -> bool;
}

fn v4(a: u64, b: u64, c: u64) -> IpAddr {
    let octet = |number: u64| u8::try_from(number % 256).expect("an octet");
    Ipv4Addr::new(203, octet(a), octet(b), octet(c)).into()
}

/// A number that looks like none, the same for the same arguments.
fn scattered(message: u64, retry: u64) -> u64 {
    (message * 31 + retry + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

fn attempt(client: IpAddr, from: String, spf: Option<&'static str>) -> Attempt {
    let authenticated = spf.map_or(Authenticated::Nothing, Authenticated::Spf);
    Attempt { client, from, to: RECIPIENT.to_owned(), authenticated }
}

/// Every five minutes at first, then ever more seldom, for two days: Postfix and many others.
fn patient() -> Vec<u64> {
    vec![300, 600, 1200, 2400, 4800, 8800, 12_800, 30_000, 60_000, 100_000, 160_000]
}

/// Once after less than five minutes, and then hours later.
fn hasty_then_slow() -> Vec<u64> {
    vec![230, 10_800, 21_600, 43_200, 86_400, 160_000]
}

fn fleet() -> Vec<Behaviour> {
    vec![
        Behaviour {
            name: "single MTA",
            honest: true,
            retries: patient(),
            attempt: |_, _| attempt(v4(1, 1, 1), "ann@single.example".into(), None),
        },
        Behaviour {
            name: "single MTA, impatient once",
            honest: true,
            retries: hasty_then_slow(),
            attempt: |_, _| attempt(v4(1, 2, 1), "bob@hasty.example".into(), None),
        },
        Behaviour {
            name: "authenticated pool",
            honest: true,
            retries: hasty_then_slow(),
            attempt: |message, retry| {
                let client = v4(100 + scattered(message, retry) % 16, scattered(message, retry) >> 8, 1);
                attempt(client, "carol@pool.example".into(), Some("pool.example"))
            },
        },
        Behaviour {
            name: "pool that signs, without SPF",
            honest: true,
            retries: hasty_then_slow(),
            attempt: |message, retry| {
                let client = v4(160 + scattered(message, retry) % 16, scattered(message, retry) >> 8, 1);
                let authenticated = Authenticated::Dkim("signs.example");
                Attempt { authenticated, ..attempt(client, "fay@signs.example".into(), None) }
            },
        },
        Behaviour {
            name: "single MTA, DNS fails at its retry",
            honest: true,
            retries: patient(),
            attempt: |_, retry| {
                let domain = "flaky.example";
                let authenticated = if retry == 1 { Authenticated::Unknown } else { Authenticated::Spf(domain) };
                Attempt { authenticated, ..attempt(v4(1, 3, 1), "guy@flaky.example".into(), None) }
            },
        },
        Behaviour {
            name: "pool without authentication",
            honest: true,
            retries: patient(),
            attempt: |message, retry| {
                let client = v4(120, scattered(message, retry) % 4, 1);
                attempt(client, "dave@silent.example".into(), None)
            },
        },
        Behaviour {
            name: "IPv6 privacy addresses",
            honest: true,
            retries: patient(),
            attempt: |message, retry| {
                let host = u128::from(scattered(message, retry)) << 8 | 1;
                let client = Ipv6Addr::from_bits(0x2001_0db8_0007_0001 << 64 | host);
                attempt(client.into(), "erin@privacy.example".into(), None)
            },
        },
        Behaviour {
            name: "VERP list",
            honest: true,
            retries: patient(),
            attempt: |message, _| {
                let from = format!("list-return-{}-user=ours.example@lists.example", 1000 + message);
                attempt(v4(2, 1, 1), from, Some("lists.example"))
            },
        },
        Behaviour {
            name: "VERP tokens, no authentication",
            honest: true,
            retries: patient(),
            attempt: |message, _| {
                let from = format!("bounce-{:012x}-{message}@news.example", scattered(message, 0));
                attempt(v4(2, 2, 1), from, None)
            },
        },
        Behaviour {
            name: "login codes from a pool",
            honest: true,
            retries: hasty_then_slow(),
            attempt: |message, retry| {
                let client = v4(140 + scattered(message, retry) % 32, scattered(message, retry) >> 8, 9);
                let from = format!("0102018f{:08x}-000000@bounce.codes.example", scattered(message, 0) & 0xffff_ffff);
                attempt(client, from, Some("bounce.codes.example"))
            },
        },
        Behaviour {
            name: "bot that never retries",
            honest: false,
            retries: Vec::new(),
            attempt: |message, _| attempt(v4(200, message, 66), format!("x{message}@forged.example"), None),
        },
        Behaviour {
            name: "bot that retries too soon",
            honest: false,
            retries: vec![1, 5, 10, 30, 60, 120],
            attempt: |message, _| attempt(v4(210, message, 66), format!("y{message}@forged.example"), None),
        },
        Behaviour {
            name: "botnet that shares its list",
            honest: false,
            retries: vec![300, 900, 3600],
            attempt: |message, retry| attempt(v4(220, scattered(message, retry), 66), "bank@bank.example".into(), None),
        },
    ]
}

// What ours does: the check that the filter runs, and what it remembers.

struct Ours {
    check: AfterMessage,
}

impl Ours {
    fn new() -> Self {
        let metrics = store::Metrics::register(&prometheus::Registry::new()).expect("registered once");
        let store = MemoryStore::new(&store::Settings::default(), clock::system(), metrics);
        let dns: Arc<FixedDns> = Arc::new(FixedDns::new());
        let ports = Ports {
            store: Some(Arc::new(store)),
            authenticator: auth::Authenticator::new(auth::Settings::default(), dns.clone()),
            names: ClientNames::new(1, dns),
            site: Arc::default(),
        };
        Self { check: AfterMessage::new(Arc::default(), ports) }
    }
}

fn time(at: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + at)
}

fn facts(attempt: &Attempt, at: u64) -> MessageFacts {
    let client = ClientFacts::new(attempt.client, "mx".into(), "mx.ours.example".into(), None);
    let helo = HeloFacts::new(Arc::new(client), HeloName::parse(b"mail.example").expect("a name"), true, None);
    let path = ReversePath::parse(&attempt.from).expect("a path");
    let spf = match attempt.authenticated {
        Authenticated::Spf(domain) => Spf::new(AuthResult::Pass, domain, ""),
        Authenticated::Unknown => Spf::new(AuthResult::TempError, "", ""),
        Authenticated::Nothing | Authenticated::Dkim(_) => Spf::new(AuthResult::None, "", ""),
    };
    let mail = MailFacts { spf: spf.into(), ..MailFacts::new(Arc::new(helo), path, Params::default(), time(at)) };
    let signatures = match attempt.authenticated {
        Authenticated::Dkim(domain) => vec![Signature { signs_from: true, ..Signature::new(AuthResult::Pass, domain) }],
        _ => Vec::new(),
    };
    let dkim = Dkim { signatures, ..Dkim::default() };
    let octets = format!("From: {}\r\n\r\nhello\r\n", attempt.from).into_bytes();
    let len = octets.len() as u64;
    let recipients = vec![ForwardPath::parse(&attempt.to).expect("a path")];
    let message = MessageFacts::new(Arc::new(mail), recipients, Arc::new(Message::new(octets, len)), None);
    MessageFacts { dkim: dkim.into(), ..message }
}

impl Filter for Ours {
    async fn passes(&mut self, attempt: &Attempt, _message: u64, at: u64) -> bool {
        let facts = facts(attempt, at);
        let outcome = self.check.run(&facts).await;
        let passes = outcome.findings().iter().all(|finding| finding.symbol == Symbol::known("GREYLIST_KNOWN"));
        let fate = match passes {
            true => gatepost::checks::Fate::new(Verdict::Forward, 250, false),
            false => gatepost::checks::Fate::new(Verdict::Defer, 450, false),
        };
        self.check.remember(&facts, &fate).await;
        passes
    }
}

// What others key by, as far as it is known here; each with its own delay and window, alone and without scores.

struct Theirs {
    /// Any of them is enough.
    keys: fn(&Attempt, u64) -> Vec<String>,
    delay: u64,
    window: u64,
    /// After so many deliveries the client passes, if at all.
    pass_after: Option<u64>,
    first: HashMap<String, u64>,
    delivered: HashMap<String, u64>,
}

impl Theirs {
    fn new(keys: fn(&Attempt, u64) -> Vec<String>, delay: u64, window: u64, pass_after: Option<u64>) -> Self {
        Self { keys, delay, window, pass_after, first: HashMap::new(), delivered: HashMap::new() }
    }
}

/// postgrey: client /24 (IPv6 /64), sender without `+` extension and with numbers between separators made `#`, recipient.
fn postgrey_key(attempt: &Attempt, _message: u64) -> Vec<String> {
    let client = network(attempt.client, 24, 64);
    let (local, domain) = attempt.from.rsplit_once('@').unwrap_or((&attempt.from, ""));
    let local = local.split('+').next().unwrap_or_default();
    let parts = local.split('-').map(|part| if part.bytes().all(|octet| octet.is_ascii_digit()) { "#" } else { part });
    vec![format!("{client}/{}@{domain}/{}", parts.collect::<Vec<_>>().join("-"), attempt.to)]
}

/// rspamd: digests of the envelope sender, the recipients and the client's /19 (IPv6 /64), and of the message.
fn rspamd_key(attempt: &Attempt, message: u64) -> Vec<String> {
    let envelope = format!("{}/{}/{}", network(attempt.client, 19, 64), attempt.from, attempt.to);
    vec![envelope, format!("message {message} of {}", attempt.from)]
}

fn network(client: IpAddr, v4: u8, v6: u8) -> String {
    let prefix = if client.is_ipv4() { v4 } else { v6 };
    ipnet::IpNet::new(client, prefix).expect("a prefix").trunc().to_string()
}

impl Filter for Theirs {
    async fn passes(&mut self, attempt: &Attempt, message: u64, at: u64) -> bool {
        let client = network(attempt.client, 32, 64);
        let delivered = self.delivered.entry(client).or_default();
        let mut is_old_enough = false;
        for key in (self.keys)(attempt, message) {
            let first = self.first.entry(key).or_insert(at);
            if at - *first > self.window {
                *first = at;
            }
            is_old_enough |= at - *first >= self.delay;
        }
        let passes = is_old_enough || self.pass_after.is_some_and(|number| *delivered >= number);
        *delivered += u64::from(passes);
        passes
    }
}

async fn run(filter: &mut impl Filter, behaviour: &Behaviour) -> Vec<Fate> {
    let mut fates = Vec::new();
    for message in 0..MESSAGES {
        let begin = message * 7 * 3600;
        let mut fate = None;
        for (retry, after) in [0].into_iter().chain(behaviour.retries.iter().copied()).enumerate() {
            let attempt = (behaviour.attempt)(message, retry as u64);
            if filter.passes(&attempt, message, begin + after).await {
                fate = Some((after, u32::try_from(retry).expect("few")));
                break;
            }
        }
        fates.push(fate);
    }
    fates
}

fn line(fates: &[Fate]) -> String {
    let mut delays: Vec<u64> = fates.iter().flatten().map(|(delay, _)| *delay).collect();
    delays.sort_unstable();
    let at = |share: usize| delays.get((delays.len().saturating_sub(1)) * share / 100).copied().unwrap_or(0);
    let twice = fates.iter().flatten().filter(|(_, times)| *times > 1).count();
    format!(
        "{:>3} of {} delivered, {:>2} at once, {twice:>2} delayed twice or more; delay p50 {:>6} s, p90 {:>6} s, max {:>6} s",
        delays.len(),
        fates.len(),
        delays.iter().filter(|delay| **delay == 0).count(),
        at(50),
        at(90),
        at(100)
    )
}

#[tokio::test]
async fn honest_senders_pass_and_authenticated_pools_are_never_delayed_twice() {
    let mut results: BTreeMap<&str, Vec<Fate>> = BTreeMap::new();
    let (mut ours, mut worse) = (Ours::new(), 0);
    let mut postgrey = Theirs::new(postgrey_key, 300, 35 * 86_400, Some(5));
    let mut rspamd = Theirs::new(rspamd_key, 300, 86_400, None);
    for behaviour in fleet() {
        let [first, second, third] = [
            run(&mut ours, &behaviour).await,
            run(&mut postgrey, &behaviour).await,
            run(&mut rspamd, &behaviour).await,
        ];
        println!("{}", behaviour.name);
        for (who, fates) in [("ours", &first), ("postgrey's key", &second), ("rspamd's key", &third)] {
            println!("  {who:<15} {}", line(fates));
        }
        let total =
            |fates: &[Fate]| fates.iter().map(|fate| fate.map_or(u64::MAX >> 8, |(delay, _)| delay)).sum::<u64>();
        if behaviour.honest {
            assert!(first.iter().all(Option::is_some), "{}: honest mail is delivered", behaviour.name);
            // rspamd's /19 holds this pool together; ours is narrower, because strangers share a /19.
            let is_wider = behaviour.name == "pool without authentication";
            worse += usize::from(!is_wider && total(&first) > total(&second).min(total(&third)));
        }
        results.insert(behaviour.name, first);
    }
    assert_eq!(worse, 0, "nobody honest waits longer than elsewhere");
    let delayed = |name: &str| results[name].iter().flatten().filter(|(delay, _)| *delay > 0).count();
    for name in [
        "authenticated pool",
        "pool that signs, without SPF",
        "single MTA, DNS fails at its retry",
        "login codes from a pool",
        "VERP list",
        "IPv6 privacy addresses",
        "single MTA",
    ] {
        assert_eq!(delayed(name), 1, "{name}: the first message alone is delayed");
        assert!(results[name].iter().flatten().all(|(_, times)| *times <= 1), "{name}: never twice");
    }
    assert_eq!(results["login codes from a pool"][0], Some((230, 1)), "as soon as it comes again");
    for name in ["bot that never retries", "bot that retries too soon", "botnet that shares its list"] {
        assert!(results[name].iter().all(Option::is_none), "{name}");
    }
}
