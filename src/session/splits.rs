//! Envelopes whose recipients are to be taken apart when they come again (DECISIONS 2).
//!
//! One reply is for all recipients of a message. Where their verdicts differ nothing is delivered and nothing refused:
//! the client is asked to come again, and then hears 452 for those recipients who did not agree with the first, so
//! that each group comes alone. Recipients who agreed stay together, whatever their policies are.
//!
//! A client that retries everybody in the same order must not hear 4xx for the same first group for ever, and 452 for
//! the rest: a group that is deferred gives way, once after each of its turns, to groups that still wait.
//!
//! Held in memory, as digests, bounded and for a few hours. What is forgotten costs one more time to come again.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::origins::{Origin, origins};
use crate::facts::MailFacts;
use crate::smtp::ForwardPath;
use crate::verdict::Verdict;

/// Who agreed when they were judged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(u64);

/// Recipients of envelopes that were split, each with its group.
pub struct Splits {
    /// By a digest of origin, reverse-path and recipient.
    groups: Mutex<LruCache<u64, (Group, Instant)>>,
    /// How the groups of an envelope stand, by a digest of origin and reverse-path.
    envelopes: Mutex<LruCache<u64, Vec<Standing>>>,
    lifetime: Duration,
    digests: RandomState,
}

/// Where one group of an envelope stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    group: Group,
    /// It waits for a final answer (2xx or 5xx) to a message.
    waits: bool,
    /// What it heard last, or would have heard, is to come again.
    is_deferred: bool,
    /// How often it had its turn and heard so.
    turns: u32,
    /// It has given way since its last turn.
    gave_way: bool,
    until: Instant,
}

/// Groups of one envelope whose standing is kept; the oldest go first.
const MOST_GROUPS: usize = 16;

impl Splits {
    /// Holds at most `capacity` recipients and as many envelopes, each for `lifetime`.
    pub fn new(capacity: NonZeroUsize, lifetime: Duration) -> Self {
        let (groups, envelopes) = (Mutex::new(LruCache::new(capacity)), Mutex::new(LruCache::new(capacity)));
        Self { groups, envelopes, lifetime, digests: RandomState::new() }
    }

    /// The group of a recipient of `mail`; `None` if nobody disagreed, and it may come with anybody.
    pub fn group(&self, mail: &MailFacts, recipient: &ForwardPath) -> Option<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.is_empty() {
            return None;
        }
        origins(mail).find_map(|origin| {
            let key = self.key(&origin, mail, recipient);
            match groups.get(&key) {
                Some((group, until)) if *until > Instant::now() => Some(*group),
                Some(_) => {
                    groups.pop(&key);
                    None
                }
                None => None,
            }
        })
    }

    /// All who go to one pool of backends, as a group.
    pub fn pool(&self, name: Option<&str>) -> Group {
        Group(self.digests.hash_one(("pool", name)))
    }

    /// Remembers the verdicts on recipients of `mail`. Whoever was in different groups before stays so: of two
    /// messages in the same envelope that are judged otherwise, neither undoes what the other has taught.
    pub fn remember<'r>(&self, mail: &MailFacts, verdicts: impl Iterator<Item = (&'r ForwardPath, Verdict)>) {
        let until = Instant::now() + self.lifetime;
        for (recipient, verdict) in verdicts {
            let before = self.group(mail, recipient).map(|group| group.0);
            let group = Group(self.digests.hash_one((before, verdict.as_str())));
            for origin in origins(mail) {
                let key = self.key(&origin, mail, recipient);
                self.groups.lock().unwrap_or_else(PoisonError::into_inner).put(key, (group, until));
            }
            self.change(mail, group, |standing| {
                (standing.waits, standing.is_deferred) = (true, verdict == Verdict::Defer);
            });
        }
    }

    /// True if recipients of `group` are to come another time, because others wait who may be luckier. The next time
    /// they need not, even if nobody has come.
    pub fn gives_way(&self, mail: &MailFacts, group: Group) -> bool {
        let mut envelopes = self.envelopes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = origins(mail).map(|origin| self.envelope(&origin, mail)).find(|key| envelopes.contains(key));
        let Some(standings) = known.and_then(|key| envelopes.get_mut(&key)) else { return false };
        standings.retain(|standing| standing.until > Instant::now());
        let Some(own) = standings.iter().find(|standing| standing.group == group).copied() else { return false };
        let rank = |standing: &Standing| (standing.is_deferred, standing.turns);
        let gives_way = own.is_deferred
            && !own.gave_way
            && standings.iter().any(|other| other.group != group && other.waits && rank(other) < rank(&own));
        standings.iter_mut().filter(|standing| standing.group == group).for_each(|own| own.gave_way |= gives_way);
        gives_way
    }

    /// True if somebody of `group` was told to come again, or in another transaction, and that still counts.
    pub fn has_standing(&self, mail: &MailFacts, group: Group) -> bool {
        let now = Instant::now();
        let stands = |standing: &Standing| standing.group == group && standing.until > now;
        let envelopes = self.envelopes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = origins(mail).filter_map(|origin| envelopes.peek(&self.envelope(&origin, mail)));
        known.flatten().any(stands)
    }

    /// Recipients of `group` were told to come in another transaction.
    pub fn waits(&self, mail: &MailFacts, group: Group) {
        self.change(mail, group, |standing| standing.waits = true);
    }

    /// A message for `group` alone was answered, for good or so that it comes again.
    pub fn answered(&self, mail: &MailFacts, group: Group, is_final: bool) {
        self.change(mail, group, |standing| {
            (standing.waits, standing.is_deferred, standing.gave_way) = (!is_final, !is_final, false);
            standing.turns = if is_final { 0 } else { standing.turns.saturating_add(1) };
        });
    }

    fn change(&self, mail: &MailFacts, group: Group, change: impl Fn(&mut Standing)) {
        for origin in origins(mail) {
            self.change_of(self.envelope(&origin, mail), group, &change);
        }
    }

    fn change_of(&self, envelope: u64, group: Group, change: impl Fn(&mut Standing)) {
        let until = Instant::now() + self.lifetime;
        let mut envelopes = self.envelopes.lock().unwrap_or_else(PoisonError::into_inner);
        let standings = envelopes.get_or_insert_mut(envelope, Vec::new);
        standings.retain(|standing| standing.until > Instant::now());
        let known = standings.iter().position(|standing| standing.group == group);
        let new = Standing { group, waits: false, is_deferred: false, turns: 0, gave_way: false, until };
        let mut standing = known.map_or(new, |at| standings.remove(at));
        change(&mut standing);
        if standings.len() >= MOST_GROUPS {
            standings.remove(0);
        }
        standings.push(Standing { until, ..standing });
    }

    fn envelope(&self, origin: &Origin, mail: &MailFacts) -> u64 {
        self.digests.hash_one((origin, mail.reverse_path.to_string()))
    }

    fn key(&self, origin: &Origin, mail: &MailFacts, recipient: &ForwardPath) -> u64 {
        self.digests.hash_one((origin, mail.reverse_path.to_string(), recipient.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::facts::{AuthResult, ClientFacts, HeloFacts, Spf};
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

    #[tokio::test]
    async fn whom_spf_knows_is_known_from_any_of_his_networks() {
        let splits = Splits::new(NonZeroUsize::new(8).expect("eight"), Duration::from_secs(60));
        let [ann, bob] = ["ann@ours.example", "bob@ours.example"].map(path);
        let from = |client, result, permissive| {
            let mail = mail(client, "a@sender.example");
            let spf = Spf {
                result,
                domain: "out.sender.example".into(),
                reason: String::new(),
                explanation: None,
                permissive,
                sender_id: false,
            };
            async move {
                mail.spf.get_or_derive(|| async move { spf }).await;
                mail
            }
        };
        let first = from("192.0.2.1", AuthResult::Pass, false).await;
        splits.remember(&first, [(&ann, Verdict::Forward), (&bob, Verdict::Reject)].into_iter());
        let of = |mail: &MailFacts| [&ann, &bob].map(|path| splits.group(mail, path));
        let known = of(&first);
        assert!(known.iter().all(Option::is_some));
        assert_eq!(of(&from("198.51.100.1", AuthResult::Pass, false).await), known);
        assert_eq!(of(&mail("192.0.2.7", "a@sender.example")), known, "the same network, SPF not known yet");
        for (result, permissive) in [(AuthResult::Fail, false), (AuthResult::Pass, true)] {
            assert_eq!(of(&from("198.51.100.1", result, permissive).await), [None; 2]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_deferred_gives_way_to_whoever_waits_and_only_once_a_turn() {
        let splits = Splits::new(NonZeroUsize::new(8).expect("eight"), Duration::from_secs(60));
        let from = mail("192.0.2.1", "a@sender.example");
        let [ann, bob, eve] = ["ann@ours.example", "bob@ours.example", "eve@ours.example"].map(path);
        assert!(!splits.gives_way(&from, Group(1)), "nothing is known of it");
        splits.remember(&from, [(&ann, Verdict::Defer), (&bob, Verdict::Forward)].into_iter());
        let [anns, bobs] = [&ann, &bob].map(|path| splits.group(&from, path).expect("a group"));
        assert!(!splits.gives_way(&from, bobs) && splits.gives_way(&from, anns));
        assert!(!splits.gives_way(&from, anns), "bob did not come, and ann has waited for him long enough");
        splits.answered(&from, anns, false);
        assert!(splits.gives_way(&from, anns), "she had her turn");
        splits.answered(&from, bobs, true);
        assert!(!splits.gives_way(&from, anns), "bob is served");
        splits.answered(&from, anns, false);
        splits.waits(&from, bobs);
        assert!(splits.gives_way(&from, anns), "another message for him waits");
        splits.answered(&from, anns, true);
        splits.answered(&from, bobs, true);
        // Two who are both deferred take turns.
        let verdicts = [(&ann, Verdict::Defer), (&bob, Verdict::Reject), (&eve, Verdict::Defer)];
        splits.remember(&from, verdicts.into_iter());
        let [anns, bobs, eves] = [&ann, &bob, &eve].map(|path| splits.group(&from, path).expect("a group"));
        splits.answered(&from, bobs, true);
        assert!(!splits.gives_way(&from, anns));
        splits.answered(&from, anns, false);
        assert!(splits.gives_way(&from, anns) && !splits.gives_way(&from, eves));
        splits.answered(&from, eves, false);
        assert!(!splits.gives_way(&from, anns));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!splits.gives_way(&from, anns));
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
