//! `gatepost learn` and `gatepost unlearn`: what messages are, for the classifier and for the cards of campaigns.
//!
//! The running proxy is told; where none runs, the file of its store is taught.

mod mailbox;
mod teacher;

use std::io::Write;
use std::path::PathBuf;

use super::ask::Common;
use super::{Failed, check_config};
use crate::telemetry::admin::bulk::Entry;
use teacher::Teacher;
pub use teacher::Told;

/// Messages that are taught together.
const TOGETHER: usize = 64;

/// Arguments of `learn`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the messages are.
    #[arg(value_enum, value_name = "spam|ham")]
    pub what: What,
    /// Files with one message each, mbox files, directories of such (a Maildir too), or `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub messages: Vec<PathBuf>,
    /// Say nothing of single messages.
    #[arg(long, short)]
    pub quiet: bool,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `unlearn`.
#[derive(Debug, clap::Args)]
pub struct Unlearn {
    /// Files with one message each, mbox files, directories of such (a Maildir too), or `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub messages: Vec<PathBuf>,
    /// Say nothing of single messages.
    #[arg(long, short)]
    pub quiet: bool,
    /// How to ask, and how to print.
    #[command(flatten)]
    pub common: Common,
}

/// What messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Unwanted.
    Spam,
    /// Wanted.
    Ham,
}

/// Teaches, and prints what became of each message.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    teach(Some(arguments.what == What::Spam), &arguments.messages, &arguments.common, arguments.quiet, out)
}

/// Takes back what the classifier has learned of messages. What campaigns were learned as, `learn` with the opposite
/// takes back.
pub fn unlearn(arguments: &Unlearn, out: &mut dyn Write) -> Result<(), Failed> {
    teach(None, &arguments.messages, &arguments.common, arguments.quiet, out)
}

/// Messages that wait to be taught, and how it went so far.
struct Class<'c> {
    spam: Option<bool>,
    common: &'c Common,
    quiet: bool,
    out: &'c mut dyn Write,
    teacher: Teacher,
    names: Vec<String>,
    messages: Vec<Vec<u8>>,
    taught: usize,
    failures: usize,
    last: Option<Told>,
}

fn teach(
    spam: Option<bool>,
    written: &[PathBuf],
    common: &Common,
    quiet: bool,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let teacher = Teacher::of(&check_config::load(&common.config)?.config)?;
    let (names, messages) = (Vec::new(), Vec::new());
    let mut class = Class { spam, common, quiet, out, teacher, names, messages, taught: 0, failures: 0, last: None };
    for path in mailbox::files(written)? {
        let read = mailbox::each(&path, &mut |name, octets| class.take(name, octets));
        // The others may still be learned.
        if let Err(Failed(why)) = read {
            class.failures += 1;
            writeln!(class.out, "{why}")?;
        }
    }
    class.end()
}

impl Class<'_> {
    fn take(&mut self, name: &str, octets: Vec<u8>) -> Result<(), Failed> {
        self.names.push(name.to_owned());
        self.messages.push(octets);
        if self.messages.len() < TOGETHER { Ok(()) } else { self.teach() }
    }

    fn teach(&mut self) -> Result<(), Failed> {
        let (names, messages) = (std::mem::take(&mut self.names), std::mem::take(&mut self.messages));
        for (name, told) in names.iter().zip(self.teacher.teach(self.spam, &messages)) {
            match told {
                Ok(told) => {
                    self.taught += 1;
                    if self.common.json {
                        writeln!(self.out, "{}", serde_json::to_string(&told)?)?;
                    } else if !self.quiet {
                        writeln!(self.out, "{}", line(name, &told))?;
                    }
                    self.last = Some(told);
                }
                Err(Failed(why)) => {
                    self.failures += 1;
                    writeln!(self.out, "{name}: {why}")?;
                }
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), Failed> {
        self.teach()?;
        if let Some(told) = self.last.take().filter(|_| !self.common.json) {
            let (done, classifier) = (if self.spam.is_some() { "learned" } else { "unlearned" }, told.classifier);
            let taught = self.taught;
            let text = format!("{taught} messages {done}; known now: {} spam, {} ham", classifier.spam, classifier.ham);
            writeln!(self.out, "{text}")?;
        }
        self.teacher.finish()?;
        match self.failures {
            0 => Ok(()),
            some => Err(Failed(format!("{some} messages or files were not learned"))),
        }
    }
}

fn line(name: &str, told: &Told) -> String {
    let done = told.classifier.done.as_deref().unwrap_or_default();
    let Some(entry) = &told.campaign else { return format!("{name}: {done}") };
    let Entry { id, volume, networks, spam, ham, .. } = entry;
    let found = match (entry.by_attachment, volume + u64::from(spam + ham)) {
        (_, 1) => "new".to_owned(),
        (true, _) => "by an attachment".to_owned(),
        (false, _) => format!("{:.0} % alike", entry.similarity),
    };
    format!("{name}: {done}; campaign {id} ({found}): {volume} copies, {networks} networks, spam {spam}, ham {ham}")
}
