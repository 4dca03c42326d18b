//! Who was blocked by hand (`gatepost block`): a user, a reverse-path, or a client.

use std::sync::Arc;

use super::Check;
use crate::facts::MailFacts;
use crate::scoring::{CheckName, Finding, Outcome, Skip, Spec, Symbol};
use crate::smtp::ReversePath;
use crate::store::{Blocked, Blocks};

/// The name of the check.
pub const NAME: &str = "blocked";
const SYMBOL: &str = "BLOCKED";

/// Says of a transaction that its sender is blocked.
pub struct ByHand {
    spec: Spec,
    blocks: Option<Arc<dyn Blocks>>,
}

impl ByHand {
    /// Who is blocked, these know; without them nobody is.
    pub fn new(blocks: Option<Arc<dyn Blocks>>) -> Self {
        let emits = [Symbol::known(SYMBOL)].into();
        Self { spec: Spec { name: CheckName::new(NAME), emits, exclusive: true }, blocks }
    }
}

/// All names by which the sender could be blocked.
fn names(facts: &MailFacts) -> Vec<Blocked> {
    let user = facts.login.as_ref().and_then(|login| login.user.as_deref()).map(Blocked::user);
    let sender = match &facts.reverse_path {
        ReversePath::Mailbox(mailbox) => Some(Blocked::sender(mailbox)),
        ReversePath::Null => None,
    };
    user.into_iter().chain(sender).chain([Blocked::Client(facts.helo.client.addr)]).collect()
}

impl Check for ByHand {
    type Facts = MailFacts;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    async fn run(&self, facts: &MailFacts) -> Outcome {
        let Some(blocks) = &self.blocks else { return Outcome::Skipped(Skip::NotApplicable) };
        let Some((whom, block)) = blocks.blocked(&names(facts), facts.at) else { return Outcome::Clear };
        let evidence = if block.why.is_empty() { whom.to_string() } else { format!("{whom}: {}", block.why) };
        Outcome::Found(vec![Finding::new(Symbol::known(SYMBOL), evidence)])
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::clock;
    use crate::facts::{ClientFacts, HeloFacts, Login};
    use crate::smtp::{HeloName, Params};
    use crate::store::{Block, MemoryStore, Metrics, Settings};

    const NOW: SystemTime = UNIX_EPOCH;

    fn facts(user: Option<&str>, sender: &str) -> MailFacts {
        let client = ClientFacts::new("192.0.2.7".parse().expect("an address"), "in".into(), "mx.example".into(), None);
        let name = HeloName::parse(b"client.example").expect("a name");
        let helo = HeloFacts::new(Arc::new(client), name, true, None);
        let login = user.map(|user| Arc::new(Login { mechanism: "PLAIN".into(), user: Some(user.into()) }));
        let path = ReversePath::parse(sender).expect(sender);
        MailFacts { login, ..MailFacts::new(Arc::new(helo), path, Params::default(), NOW) }
    }

    #[tokio::test]
    async fn whoever_is_blocked_by_one_of_his_names_is_found() {
        for (blocked, found) in [
            ("user:alice@a.example", true),
            ("sender:alice@a.example", true),
            ("client:192.0.2.7", true),
            ("user:bob@a.example", false),
            ("sender:bob@a.example", false),
            ("client:192.0.2.8", false),
        ] {
            let metrics = Metrics::register(&prometheus::Registry::new()).expect("registered once");
            let store = Arc::new(MemoryStore::new(&Settings::default(), clock::system(), metrics));
            let until = Some(NOW + Duration::from_secs(60));
            let block = Block { since: NOW, until, why: "password stolen".to_owned() };
            store.block(blocked.parse().expect(blocked), block).await.expect("room");
            let check = ByHand::new(Some(store));
            let outcome = check.run(&facts(Some("alice@a.example"), "Alice@A.example")).await;
            let evidence: Vec<String> =
                outcome.findings().iter().map(|finding| finding.evidence.as_str().to_owned()).collect();
            let expected = if found { vec![format!("{blocked}: password stolen")] } else { Vec::new() };
            assert_eq!(evidence, expected, "{blocked}");
            let later = MailFacts { at: NOW + Duration::from_secs(60), ..facts(Some("alice@a.example"), "") };
            assert_eq!(check.run(&later).await, Outcome::Clear, "it has ended");
        }
        assert_eq!(ByHand::new(None).run(&facts(None, "")).await, Outcome::Skipped(Skip::NotApplicable));
    }
}
