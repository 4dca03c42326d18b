//! Who is taught: the running proxy, or, where none runs, the file of its store.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::super::Failed;
use super::super::ask::{Refused, Request, ask};
use crate::checks::bulk::fingerprint_of;
use crate::checks::classifier::features_of;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::store::{Campaigns, EmbeddedStore, Learned, Lesson, Metrics, Store, Taught, Teachings};
use crate::telemetry::admin::bulk::{self, Lesson as Card};
use crate::telemetry::admin::classifier::{Entry, Said};

/// What became of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The campaign that it belongs to; none where there is nothing to find it by, or it was unlearned.
    pub campaign: Option<bulk::Entry>,
    /// What the classifier has made of it, and how much it has learned.
    pub classifier: Entry,
}

/// Whom we teach.
pub(super) enum Teacher {
    /// The proxy with admin pages there.
    Proxy(SocketAddr),
    /// The store itself.
    Home(Box<Home>),
}

/// A store that no proxy has open.
pub(super) struct Home {
    store: EmbeddedStore,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
}

impl Teacher {
    /// The running proxy of that configuration; if there is none, its file.
    pub(super) fn of(config: &Config) -> Result<Self, Failed> {
        let nobody = match config.admin {
            None => "[admin] address is not set, so a running proxy cannot be asked".to_owned(),
            Some(address) => match ask::<Entry>(address, &Request::get("/classifier".to_owned())) {
                Ok(_) => return Ok(Self::Proxy(address)),
                Err(Refused::Answer(why)) => return Err(Failed(why)),
                Err(Refused::Nobody(why)) => why,
            },
        };
        let Some(path) = config.store.path.as_deref().filter(|_| config.store.redis.is_none()) else {
            return Err(Failed(format!("{nobody}, and [store] names no file that could be taught without it")));
        };
        let clock = clock::system();
        let store = EmbeddedStore::open(path, &config.store, clock.clone(), Metrics::register(&Registry::new())?);
        let store = store.map_err(|why| Failed(format!("{nobody}; {why}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self::Home(Box::new(Home { store, clock, runtime })))
    }

    /// Teaches some messages; of each what became of it. `spam`: `None` takes back.
    pub(super) fn teach(&self, spam: Option<bool>, messages: &[Vec<u8>]) -> Vec<Result<Told, Failed>> {
        match self {
            Self::Proxy(address) => messages.iter().map(|octets| over(*address, spam, octets)).collect(),
            Self::Home(home) => home.runtime.block_on(join_all(messages.iter().map(|octets| home.teach(spam, octets)))),
        }
    }

    /// Waits until all is written.
    pub(super) fn finish(self) -> Result<(), Failed> {
        match self {
            Self::Proxy(_) => Ok(()),
            Self::Home(home) => Ok(home.runtime.block_on(home.store.flush())?),
        }
    }
}

/// Teaches both through the proxy.
fn over(address: SocketAddr, spam: Option<bool>, octets: &[u8]) -> Result<Told, Failed> {
    let said = |refused| match refused {
        Refused::Nobody(why) | Refused::Answer(why) => Failed(why),
    };
    let post = |page: &str, body: String| Request::post(page.to_owned(), body);
    let body = serde_json::to_string(&Said::new(spam, octets))?;
    let classifier: Entry = ask(address, &post("/classifier/teach", body)).map_err(said)?;
    let campaign = match spam {
        None => None,
        Some(spam) => {
            let body = serde_json::to_string(&Card::new(spam, octets))?;
            match ask::<Vec<bulk::Entry>>(address, &post("/learn", body)) {
                Ok(mut entries) => entries.pop(),
                // A message without text has no campaign, and is learned all the same.
                Err(Refused::Answer(why)) if why.contains(" 422 ") => None,
                Err(refused) => return Err(said(refused)),
            }
        }
    };
    Ok(Told { campaign, classifier })
}

impl Home {
    async fn teach(&self, spam: Option<bool>, octets: &[u8]) -> Result<Told, Failed> {
        let message = Card::new(true, octets).message();
        let (id, cells) = features_of(&message);
        let now = self.clock.now();
        let (done, campaign): (Taught, _) = match spam {
            None => (self.store.classifier_unlearn(id, cells).await?, None),
            Some(is_spam) => {
                let done = self.store.classifier_learn(Lesson { id, is_spam, cells }, now).await?;
                let fingerprint = fingerprint_of(&message, self.store.campaign_key());
                let learned = if is_spam { Learned::Spam } else { Learned::Ham };
                let campaign = match fingerprint.is_empty() {
                    true => None,
                    false => {
                        let id = self.store.campaign_learn(fingerprint, learned, now).await?;
                        self.store.campaign_show(id, now).await?.map(bulk::Entry::from)
                    }
                };
                (done, campaign)
            }
        };
        Ok(Told { campaign, classifier: Entry::new(Some(done), self.store.classifier_count().await?) })
    }
}
