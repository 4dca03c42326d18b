//! How Redis fails, in as many kinds as somebody can do something about.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No answer within the deadline.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// A replica, or a master without its replicas.
    ReadOnly,
    /// Its memory is full.
    Memory,
    /// It is starting.
    Loading,
    /// It cannot save, and so refuses to write.
    Persistence,
    /// The cluster is in no state to answer.
    Cluster,
    /// It does not know us, or we may not.
    Access,
    /// One operation alone.
    Other,
}

/// The labels, in the order of [`Kind`].
pub(super) const KINDS: [&str; 9] =
    ["timeout", "connection", "read_only", "memory", "loading", "persistence", "cluster", "access", "other"];

/// Why an operation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    why: std::borrow::Cow<'static, str>,
}

impl Kind {
    pub(super) fn label(self) -> &'static str {
        KINDS.get(self as usize).copied().unwrap_or("other")
    }
}

impl Failure {
    /// There was no answer in time.
    pub(super) const SILENCE: Self = Self::new(Kind::Timeout, "no answer in time");
    /// There is no connection now.
    pub(super) const DOWN: Self = Self::new(Kind::Connection, "there is no connection");
    /// There was an answer, but not one of ours.
    pub(super) const UNREADABLE: Self = Self::new(Kind::Other, "what is stored cannot be read");

    /// Others were faster, again and again.
    pub(super) const CONTENDED: Self = Self::new(Kind::Other, "others were faster, again and again");

    const fn new(kind: Kind, why: &'static str) -> Self {
        Self { kind, why: std::borrow::Cow::Borrowed(why) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self { kind: kind(&error), why: error.to_string().into() }
    }
}

fn kind(error: &RedisError) -> Kind {
    match error.kind() {
        _ if error.is_timeout() => Kind::Timeout,
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => Kind::Connection,
        ErrorKind::AuthenticationFailed => Kind::Access,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Kind::ReadOnly,
        ErrorKind::Server(ServerErrorKind::BusyLoading) => Kind::Loading,
        ErrorKind::Server(ServerErrorKind::NoPerm) => Kind::Access,
        ErrorKind::Server(
            ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => Kind::Cluster,
        // Older servers wrap what a command within a script says.
        _ => kind_of_words(error.code().unwrap_or_default())
            .or_else(|| error.detail().unwrap_or_default().split([' ', '-']).find_map(kind_of_words))
            .unwrap_or(Kind::Other),
    }
}

fn kind_of_words(word: &str) -> Option<Kind> {
    Some(match word {
        "OOM" => Kind::Memory,
        "MISCONF" => Kind::Persistence,
        "READONLY" | "NOREPLICAS" => Kind::ReadOnly,
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Kind::Access,
        "LOADING" | "BUSY" => Kind::Loading,
        "CLUSTERDOWN" => Kind::Cluster,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_has_a_kind() {
        for (code, detail, expected) in [
            ("OOM", "command not allowed when used memory > 'maxmemory'.", Kind::Memory),
            ("ERR", "Error running script: @user_script: 1: -OOM command not allowed", Kind::Memory),
            ("READONLY", "You can't write against a read only replica.", Kind::ReadOnly),
            ("NOREPLICAS", "Not enough good replicas to write.", Kind::ReadOnly),
            ("MISCONF", "Redis is configured to save RDB snapshots", Kind::Persistence),
            ("WRONGPASS", "invalid username-password pair", Kind::Access),
            ("CLUSTERDOWN", "The cluster is down", Kind::Cluster),
            ("LOADING", "Redis is loading the dataset in memory", Kind::Loading),
            ("WRONGTYPE", "Operation against a key", Kind::Other),
            ("ERR", "user_script:3: a mistake", Kind::Other),
        ] {
            let error = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
            assert_eq!(Failure::from(error).kind, expected, "{code} {detail}");
        }
    }

    #[test]
    fn each_kind_has_its_label() {
        assert_eq!([Kind::Timeout, Kind::Memory, Kind::Other].map(Kind::label), ["timeout", "memory", "other"]);
    }
}
