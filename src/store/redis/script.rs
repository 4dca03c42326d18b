//! Scripts, which make one step of what would be several.

use redis::{Cmd, ErrorKind, ServerErrorKind, ToRedisArgs, Value};

use super::connect::Connection;
use super::failure::Failure;

/// A Lua script, which a server knows by its hash once it has run it.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

/// A script with what it is about. All its keys begin with one hash-tagged key, so that it touches one slot.
pub(super) struct Call {
    script: &'static Script,
    base: String,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, hash: redis::Script::new(source).get_hash().to_owned() }
    }

    /// A call about the keys that begin with `base`.
    pub(super) fn at(&'static self, base: String) -> Call {
        Call { script: self, base, arguments: Vec::new() }
    }
}

impl Call {
    /// With one more argument.
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.push(argument);
        self
    }

    /// The same, in place.
    pub(super) fn push(&mut self, argument: impl ToRedisArgs) {
        argument.write_redis_args(&mut self.arguments);
    }

    /// The answer. The source goes along only where the server does not know the hash.
    pub(super) async fn ask(&self, connection: &Connection) -> Result<Value, Failure> {
        match connection.try_ask(&self.command("EVALSHA", &self.script.hash)).await {
            Err(why) if why.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.ask(&self.command("EVAL", self.script.source)).await
            }
            answer => Ok(answer?),
        }
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(1).arg(&self.base).arg(&self.arguments);
        command
    }
}

/// Declares scripts, each made of files beside.
macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {$(
        static $name: std::sync::LazyLock<crate::store::redis::script::Script> = std::sync::LazyLock::new(
            || crate::store::redis::script::Script::new(concat!($(include_str!($file)),+)),
        );
    )*};
}
pub(super) use scripts;
