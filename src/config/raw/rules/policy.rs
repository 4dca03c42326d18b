//! policy.toml.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::macros::{Real, section};

section! {
    /// policy.toml: what follows from symbols and scores.
    pub struct PolicyFile {
        /// Forwarded mail with at least so many points carries `X-Spam-Flag: YES`.
        tag: Option<Real> = None,
        /// So does mail with one of these symbols, whatever its score.
        tag_on: Vec<String> = Vec::new(),
        /// Who has one of these symbols waits for replies (`limits.tarpit_seconds`).
        tarpit_on: Vec<String> = Vec::new(),
        /// The clauses in order; the first that holds wins, none means forward.
        clause: Vec<Clause> = Vec::new(),
        /// What is judged otherwise for some recipients.
        policy: Vec<Policy> = Vec::new(),
        /// What must never come of it, proven whenever the rules are loaded.
        invariant: Vec<Invariant> = Vec::new(),
    }
}

section! {
    /// The policy of some recipients: what is not written here is as above.
    #[schemars(extend("required" = ["name", "recipients"]))]
    pub struct Policy {
        /// Its name, in traces, logs and metrics.
        name: String = String::new(),
        /// Whose it is: `ann@example.org`, `@example.org`, `.example.org` for all subdomains. The most specific counts.
        recipients: Vec<String> = Vec::new(),
        /// Its own `tag`.
        tag: Option<Real> = None,
        /// What is otherwise in its clauses.
        clause: Vec<ClauseChange> = Vec::new(),
    }
}

section! {
    /// What is otherwise in a clause.
    #[schemars(extend("required" = ["name"]))]
    pub struct ClauseChange {
        /// Which clause.
        name: String = String::new(),
        /// True: there is no such clause for these recipients.
        off: bool = false,
        /// Whether it is in shadow.
        shadow: Option<bool> = None,
        /// Its own limit.
        at_least: Option<Real> = None,
        /// Its own limit.
        below: Option<Real> = None,
    }
}

section! {
    /// A promise: of the mail that it speaks of, none gets one of these verdicts.
    #[schemars(extend("required" = ["name"]))]
    pub struct Invariant {
        /// Its name, in messages.
        name: String = String::new(),
        /// It speaks of mail in which each of these symbols was found.
        all_of: Vec<String> = Vec::new(),
        /// It speaks of mail in which at least one of these was found.
        any_of: Vec<String> = Vec::new(),
        /// It speaks of mail in which none of these was found.
        none_of: Vec<String> = Vec::new(),
        /// It speaks of mail with at most so many symbols whose weight is above zero.
        #[schemars(range(max = 20))]
        findings: Option<u64> = None,
        /// All of those are found at this stage.
        findings_of: Option<Stage> = None,
        /// What must not become of such mail.
        never: Vec<Verdict> = vec![Verdict::Reject],
        /// True: only clauses with `at_least` are meant.
        by_score: bool = false,
        /// Only clauses of this stage are meant.
        stage: Option<Stage> = None,
        /// Names of clauses that are not meant.
        except: Vec<String> = Vec::new(),
    }
}

section! {
    /// A condition, and the verdict if it holds.
    #[schemars(extend("required" = ["name", "verdict"]))]
    pub struct Clause {
        /// Its name, in traces, logs and metrics.
        name: String = String::new(),
        /// Sees only what is known by then, and decides without waiting for more.
        stage: Option<Stage> = None,
        /// Each of these symbols was found.
        all_of: Vec<String> = Vec::new(),
        /// At least one of these symbols was found.
        any_of: Vec<String> = Vec::new(),
        /// None of these symbols was found.
        none_of: Vec<String> = Vec::new(),
        /// The score is at least this, in points.
        at_least: Option<Real> = None,
        /// The score is below this, in points.
        below: Option<Real> = None,
        /// What becomes of the mail.
        verdict: Verdict = Verdict::Forward,
        /// Words for the client instead of the usual ones.
        text: Option<String> = None,
        /// Enhanced status code (RFC 3463) instead of 5.7.1 or 4.7.1, such as `5.7.26`.
        status: Option<String> = None,
        /// True: evaluated and counted, never enacted.
        shadow: bool = false,
        /// True: it acts on exempt recipients (postmaster, abuse) too.
        binds_exempt: bool = false,
    }
}

/// A point in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The client has connected.
    Connect,
    /// HELO or EHLO was said.
    Helo,
    /// MAIL was said.
    Mail,
    /// RCPT was said.
    Rcpt,
    /// The message is here.
    Message,
}

/// What becomes of the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Refused for good (5xx).
    Reject,
    /// Refused for now (4xx).
    Defer,
    /// Handed to the backend.
    Forward,
}
