//! Envelopes whose recipients are to be taken apart when they come again (DECISIONS 2).
//!
//! One reply is for all recipients of a message. Where their verdicts differ nothing is delivered and nothing refused:
//! the client is asked to come again, and then hears 452 for those recipients who did not agree with the first, so
//! that each group comes alone. Recipients who agreed stay together, whatever their policies are.
//!
//! Held in memory, as digests, bounded and for a few hours. What is forgotten costs one more time to come again.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::facts::MailFacts;
use crate::smtp::ForwardPath;
use crate::verdict::Verdict;

/// Who agreed when they were judged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(u64);

/// Recipients of envelopes that were split, each with its group.
pub struct Splits {
    /// By a digest of client network, reverse-path and recipient.
    groups: Mutex<LruCache<u64, (Group, Instant)>>,
    lifetime: Duration,
    digests: RandomState,
}

impl Splits {
    /// Holds at most `capacity` recipients, each for `lifetime`.
    pub fn new(capacity: NonZeroUsize, lifetime: Duration) -> Self {
        Self { groups: Mutex::new(LruCache::new(capacity)), lifetime, digests: RandomState::new() }
    }

    /// The group of a recipient of `mail`; `None` if nobody disagreed, and it may come with anybody.
    pub fn group(&self, mail: &MailFacts, recipient: &ForwardPath) -> Option<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.is_empty() {
            return None;
        }
        let key = self.key(mail, recipient);
        match groups.get(&key) {
            Some((group, until)) if *until > Instant::now() => Some(*group),
            Some(_) => {
                groups.pop(&key);
                None
            }
            None => None,
        }
    }

    /// Remembers the verdicts on recipients of `mail`. Whoever was in different groups before stays so: of two
    /// messages in the same envelope that are judged otherwise, neither undoes what the other has taught.
    pub fn remember<'r>(&self, mail: &MailFacts, verdicts: impl Iterator<Item = (&'r ForwardPath, Verdict)>) {
        let until = Instant::now() + self.lifetime;
        for (recipient, verdict) in verdicts {
            let before = self.group(mail, recipient).map(|group| group.0);
            let group = Group(self.digests.hash_one((before, verdict.as_str())));
            let key = self.key(mail, recipient);
            self.groups.lock().unwrap_or_else(PoisonError::into_inner).put(key, (group, until));
        }
    }

    fn key(&self, mail: &MailFacts, recipient: &ForwardPath) -> u64 {
        let network = network(mail.helo.client.addr);
        self.digests.hash_one((network, mail.reverse_path.to_string(), recipient.to_string()))
    }
}

/// A mail system may come again from another of its machines: an IPv4 /24, an IPv6 /64.
fn network(addr: IpAddr) -> u64 {
    match addr.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::facts::{ClientFacts, HeloFacts};
    use crate::smtp::{HeloName, Params, ReversePath};

    fn mail(client: &str, from: &str) -> MailFacts {
        let client = client.parse().expect("an address");
        let client = Arc::new(ClientFacts::new(client, "edge".into(), "mx.example".into(), None));
        let helo = HeloFacts::new(client, HeloName::parse(b"client.example").expect("a name"), true, None);
        let path = ReversePath::parse(from).expect("a path");
        MailFacts::new(Arc::new(helo), path, Params::default(), SystemTime::UNIX_EPOCH)
    }

    fn path(text: &str) -> ForwardPath {
        ForwardPath::parse(text).expect("a path")
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_agreed_stay_together_in_their_envelope_for_a_while() {
        let splits = Splits::new(NonZeroUsize::new(8).expect("eight"), Duration::from_secs(60));
        let from = mail("192.0.2.1", "a@sender.example");
        let [ann, bob, eve] = ["ann@ours.example", "bob@ours.example", "eve@ours.example"].map(path);
        let verdicts = [(&ann, Verdict::Forward), (&bob, Verdict::Reject), (&eve, Verdict::Forward)];
        splits.remember(&from, verdicts.into_iter());
        let of = |mail: &MailFacts| [&ann, &bob, &eve].map(|path| splits.group(mail, path));
        let [first, second, third] = of(&from);
        assert!(first.is_some() && second.is_some() && first == third && first != second);
        assert_eq!(of(&mail("192.0.2.200", "a@sender.example")), [first, second, third]);
        for other in [mail("192.0.3.1", "a@sender.example"), mail("192.0.2.1", "b@sender.example")] {
            assert_eq!(of(&other), [None; 3]);
        }
        // Another message: ann and bob would agree, ann and eve do not.
        let verdicts = [(&ann, Verdict::Defer), (&bob, Verdict::Defer), (&eve, Verdict::Forward)];
        splits.remember(&from, verdicts.into_iter());
        let [first, second, third] = of(&from);
        assert!(first != second && first != third && second != third);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(of(&from), [None; 3]);
    }

    #[test]
    fn the_bound_holds() {
        let splits = Splits::new(NonZeroUsize::new(1).expect("one"), Duration::from_secs(60));
        let from = mail("2001:db8::1", "a@sender.example");
        let [ann, bob] = ["ann@ours.example", "bob@ours.example"].map(path);
        splits.remember(&from, [(&ann, Verdict::Forward), (&bob, Verdict::Reject)].into_iter());
        assert!(splits.group(&from, &ann).is_none() && splits.group(&from, &bob).is_some());
    }
}
