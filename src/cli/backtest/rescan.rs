//! Mail itself, judged by both rule sets: for rules that look for something new.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::judged::Judged;
use super::tally::{Mail, Tally};
use crate::cli::Failed;
use crate::cli::scan::envelope::Envelope;
use crate::cli::scan::examiner::Examination;
use crate::cli::scan::messages::{Messages, Ticket};
use crate::cli::scan::{Basis, pool, progress, until_interrupted};
use crate::pipeline::Ruleset;
use crate::records::domain_of;
use crate::server::proxy::workers;

/// What the rules `then` say of the mail in `paths`, and what `proposed` do.
pub(super) async fn rescanned(
    paths: &[PathBuf],
    basis: &Basis,
    then: Arc<Ruleset>,
    proposed: Arc<Ruleset>,
) -> Result<Tally, Failed> {
    let mut tally = Tally::new(&proposed.version);
    let now = Arc::new(basis.examiner_by(proposed));
    let then = Arc::new(basis.examiner_by(then));
    let messages = Messages::of(paths)?;
    let bar = progress(messages.files());
    let judge = move |ticket: Ticket| {
        let (then, now) = (then.clone(), now.clone());
        async move {
            let item = ticket.read()?;
            let was = then.examine(item.clone(), Envelope::default(), true).await;
            let is = now.examine(item, Envelope::default(), true).await;
            let path = was.envelope.reverse_path.as_ref().map(|path| path.to_string().to_lowercase());
            let domain = path.as_deref().map(|path| path.trim_matches(['<', '>'])).and_then(domain_of);
            let domain = domain.unwrap_or("unknown").to_owned();
            let judged = |examination: &Examination| Judged::scanned(&examination.verdicts, examination.tagged);
            let changes = judged(&was).changes(&judged(&is));
            let score = (was.score.get(), Some(is.score.get()));
            Ok(Mail { name: was.name, domain, changes, score })
        }
    };
    let tell = |mail: Mail| {
        tally.decided += 1;
        tally.add(mail);
        bar.inc(1);
        Ok(())
    };
    let fail = |why: Failed| bar.suspend(|| drop(writeln!(std::io::stderr(), "{}", why.0)));
    let outcome = pool::run(messages, workers().get(), until_interrupted(), judge, tell, fail).await;
    bar.finish_and_clear();
    match outcome? {
        pool::Outcome { interrupted: true, .. } => Err(Failed("interrupted".to_owned())),
        outcome => {
            tally.unreadable = outcome.failed as u64;
            Ok(tally)
        }
    }
}
