//! Checks observe. One file per family; each holds its Settings, its `Check` and a pure `judge`.
//!
//! A check names the facts it reads (this fixes its stage) and the symbols it may emit (this bounds
//! what it can do to the score). It knows no weight, no threshold, no reply and no socket.

pub mod auth;
pub mod blocked;
pub mod bulk;
pub mod classifier;
pub mod client_name;
pub mod content;
pub mod deception;
pub mod dmarc_reports;
pub mod dnsbl;
pub mod forwarders;
pub mod greylist;
pub mod helo;
pub mod links;
pub mod model;
pub mod own_domain;
pub mod protocol;
pub mod rates;
pub mod rdns;
pub mod registry;
pub mod reputation;
pub mod rules;
pub mod sender;
pub mod site;
pub mod spamassassin;
pub mod traps;
pub mod trust;

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::facts::{ClientFacts, HeloFacts, MailFacts, MessageFacts, RcptFacts, Stage};
use crate::scoring::{Outcome, Score, Spec};
use crate::smtp::ForwardPath;
use crate::verdict::Verdict;
pub use registry::{Registry, RegistryError};

/// A source of findings.
pub trait Check: Send + Sync + 'static {
    /// What it reads; this is its stage.
    type Facts: Facts;

    /// Its name and every symbol it can emit.
    fn spec(&self) -> &Spec;

    /// Looks. Reads only: cancelled at any await, it leaves nothing behind.
    fn run(&self, facts: &Self::Facts) -> impl Future<Output = Outcome> + Send;

    /// How long it may take; `None` is the stage's own budget.
    fn time_limit(&self) -> Option<std::time::Duration> {
        None
    }

    /// True if its result is written into forwarded mail: a verdict to forward then waits for it,
    /// within the budget of the stage, even where it cannot change the verdict.
    fn is_reported(&self) -> bool {
        false
    }

    /// True if what it says makes sense of strangers only: mail that leaves is judged without it (DECISIONS 38).
    fn is_edge_only(&self) -> bool {
        false
    }

    /// True if it wants to be told what became of the transaction.
    fn remembers(&self) -> bool {
        false
    }

    /// True if it learns from what became of mail that it judged itself: it is then told [`Fate::others`].
    fn learns_from_others(&self) -> bool {
        false
    }

    /// Called once what became of the transaction is known, if it [`remembers`](Self::remembers): the only
    /// place where a check may write.
    fn remember(&self, _facts: &Self::Facts, _fate: &Fate) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What became of a transaction (DECISIONS 22).
#[derive(Clone, Debug)]
pub struct Fate {
    /// What we decided.
    pub verdict: Verdict,
    /// The last reply code that the client was sent; 0 if it left before.
    pub reply_code: u16,
    /// True if the client ended the transaction itself (RSET, QUIT, closed connection).
    pub abandoned: bool,
    /// The score reached the tag threshold: if it was forwarded, it was marked.
    pub tagged: bool,
    /// Recipients that we refused at RCPT, by their index, with the verdict.
    pub refused: Vec<(usize, Verdict)>,
    /// Recipients that the backend accepted.
    pub recipients: Vec<ForwardPath>,
    /// Recipients that it does not know.
    pub unknown_recipients: u32,
    /// Octets of the message; 0 if none came.
    pub octets: u64,
    /// What would have become of it without the check that is told, if that
    /// [wants to know](Check::learns_from_others): so that no check confirms itself.
    pub others: Option<Others>,
}

/// What a client did, told as it happens: it counts whatever becomes of a transaction, and without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It has connected, and was greeted.
    Connection,
    /// So many of its commands were wrong.
    Errors(u32),
    /// The backend does not know so many recipients that it named.
    UnknownRecipients(u32),
    /// The backend did not believe that it is who it said.
    FailedAuth,
}

/// Who did it, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Doer<'a> {
    /// The client.
    pub client: &'a ClientFacts,
    /// Its HELO.
    pub helo: Option<&'a HeloFacts>,
    /// The transaction that is open.
    pub mail: Option<&'a MailFacts>,
    /// Who it says it is, where it authenticates.
    pub user: Option<&'a str>,
}

/// What is to become of a client that wants to authenticate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restraint {
    /// It waits for replies.
    pub slow: bool,
    /// It has failed too often, as these words say.
    pub refuse: Option<String>,
}

/// Is told what clients do.
pub trait Witness: Send + Sync + 'static {
    /// Remembers it; `None` if there is nothing to remember.
    fn saw(&self, deed: Deed, by: Doer<'_>) -> Option<BoxFuture<'static, ()>>;

    /// Whether it may try to authenticate; `None` if there is nothing against it.
    fn restrains<'a>(&'a self, _by: Doer<'a>) -> Option<BoxFuture<'a, Restraint>> {
        None
    }
}

/// What the same policy says of the same findings without those of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// The verdict; Defer where recipients differ.
    pub verdict: Verdict,
    /// It would have been marked.
    pub tagged: bool,
    /// The score of the transaction; what was cancelled because the verdict was certain counts at its worst.
    pub score: Score,
}

impl Fate {
    /// What the session knows; the pipeline adds what it knows.
    pub fn new(verdict: Verdict, reply_code: u16, abandoned: bool) -> Self {
        let (refused, recipients) = (Vec::new(), Vec::new());
        let (tagged, unknown_recipients, octets, others) = (false, 0, 0, None);
        Self { verdict, reply_code, abandoned, tagged, refused, recipients, unknown_recipients, octets, others }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// The five facts types of this crate and nobody else's. Each knows its list in the registry.
pub trait Facts: sealed::Sealed + Send + Sync + Sized + 'static {
    /// The stage at which these facts appear.
    const STAGE: Stage;
    /// The checks that wait for them.
    fn slot(registry: &Registry) -> &[Arc<dyn Runnable<Self>>];
    /// The same, for registering.
    fn slot_mut(registry: &mut Registry) -> &mut Vec<Arc<dyn Runnable<Self>>>;
    /// The recipient that they are about, by its index in the transaction; `None` if about all.
    fn recipient(&self) -> Option<usize>;
}

/// The object-safe twin of [`Check`].
pub trait Runnable<F>: Send + Sync + 'static {
    /// See [`Check::spec`].
    fn spec(&self) -> &Spec;
    /// See [`Check::run`].
    fn run_boxed(self: Arc<Self>, facts: Arc<F>) -> BoxFuture<'static, Outcome>;
    /// See [`Check::time_limit`].
    fn time_limit(&self) -> Option<std::time::Duration>;
    /// See [`Check::is_reported`].
    fn is_reported(&self) -> bool;
    /// See [`Check::is_edge_only`].
    fn is_edge_only(&self) -> bool;
    /// See [`Check::remembers`].
    fn remembers(&self) -> bool;
    /// See [`Check::learns_from_others`].
    fn learns_from_others(&self) -> bool;
    /// See [`Check::remember`].
    fn remember_boxed(self: Arc<Self>, facts: Arc<F>, fate: Arc<Fate>) -> BoxFuture<'static, ()>;
}

impl<C: Check> Runnable<C::Facts> for C {
    fn spec(&self) -> &Spec {
        Check::spec(self)
    }

    fn run_boxed(self: Arc<Self>, facts: Arc<C::Facts>) -> BoxFuture<'static, Outcome> {
        Box::pin(async move { self.run(&facts).await })
    }

    fn time_limit(&self) -> Option<std::time::Duration> {
        Check::time_limit(self)
    }

    fn is_reported(&self) -> bool {
        Check::is_reported(self)
    }

    fn is_edge_only(&self) -> bool {
        Check::is_edge_only(self)
    }

    fn remembers(&self) -> bool {
        Check::remembers(self)
    }

    fn learns_from_others(&self) -> bool {
        Check::learns_from_others(self)
    }

    fn remember_boxed(self: Arc<Self>, facts: Arc<C::Facts>, fate: Arc<Fate>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.remember(&facts, &fate).await })
    }
}

macro_rules! facts {
    ($($facts:ident, $stage:ident, $slot:ident, $recipient:expr;)*) => {$(
        impl sealed::Sealed for $facts {}
        impl Facts for $facts {
            const STAGE: Stage = Stage::$stage;
            fn slot(registry: &Registry) -> &[Arc<dyn Runnable<Self>>] {
                &registry.$slot
            }
            fn slot_mut(registry: &mut Registry) -> &mut Vec<Arc<dyn Runnable<Self>>> {
                &mut registry.$slot
            }
            fn recipient(&self) -> Option<usize> {
                let recipient: fn(&Self) -> Option<usize> = $recipient;
                recipient(self)
            }
        }
    )*};
}

facts! {
    ClientFacts, Connect, connect, |_| None;
    HeloFacts, Helo, helo, |_| None;
    MailFacts, Mail, mail, |_| None;
    RcptFacts, Rcpt, rcpt, |facts| Some(facts.index);
    MessageFacts, Message, message, |_| None;
}
