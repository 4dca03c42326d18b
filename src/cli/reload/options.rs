//! Bounds and shares as they are written on the command line: words behind commas.

use crate::cli::block::duration;
use crate::cli::recorded::moment;
use crate::server::reload::Trial;

/// Without `last=` as far back as that.
const USUAL: &str = "14d";

/// What a back-test must not exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Mails that would be rejected and were not.
    pub max_new_rejects: u64,
    /// Mails that would be deferred and were accepted; absent: as many as there are.
    pub max_new_defers: Option<u64>,
    /// Records since then, in milliseconds since 1970.
    pub since: u64,
    /// Decisions without which it says nothing.
    pub min_decisions: u64,
}

impl Gate {
    /// Whether what was tested says enough: so many mails say something, and so many say nothing that should.
    pub(super) fn has_enough(&self, (tested, untested): (u64, u64)) -> Result<(), String> {
        let least = self.min_decisions;
        if tested < least {
            return Err(format!("{tested} recorded mails were decided again, and {least} are needed to say anything"));
        }
        if untested > tested {
            return Err(format!(
                "only {tested} recorded mails could be tested, and {untested} could not, as their records are \
                 damaged or do not come out as they did"
            ));
        }
        Ok(())
    }
}

/// `max-new-rejects=N[,max-new-defers=N][,last=TIME][,min-decisions=N]`.
pub(super) fn gate(written: &str) -> Result<Gate, String> {
    let (mut max_new_rejects, mut max_new_defers) = (None, None);
    let (mut since, mut min_decisions) = (None, 1);
    for word in written.split(',') {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no bound: write KEY=VALUE"))?;
        match key.trim() {
            "max-new-rejects" => max_new_rejects = Some(number(value)?),
            "max-new-defers" => max_new_defers = Some(number(value)?),
            "last" => since = Some(moment(value.trim())?),
            "min-decisions" => min_decisions = number(value)?,
            other => {
                return Err(format!(
                    "there is no `{other}`: write max-new-rejects, max-new-defers, last or min-decisions"
                ));
            }
        }
    }
    Ok(Gate {
        max_new_rejects: max_new_rejects.ok_or("max-new-rejects=NUMBER is missing")?,
        max_new_defers,
        since: since.map_or_else(|| moment(USUAL), Ok)?,
        min_decisions,
    })
}

/// `5%[,for=30m][,min-transactions=N][,more-rejects=1%][,more-defers=5%][,fewer-rejects=10%][,then=promote|wait]`.
pub(super) fn trial(written: &str) -> Result<Trial, String> {
    let mut trial = Trial::default();
    for word in written.split(',') {
        let Some((key, value)) = word.split_once('=') else {
            trial.share_percent = Some(percent(word)?);
            continue;
        };
        match key.trim() {
            "for" => trial.seconds = Some(duration(value.trim())?),
            "min-transactions" => trial.min_transactions = Some(number(value)?),
            "more-rejects" => trial.more_rejects_percent = Some(percent(value)?),
            "more-defers" => trial.more_defers_percent = Some(percent(value)?),
            "fewer-rejects" => trial.fewer_rejects_percent = Some(percent(value)?),
            "then" => {
                trial.promote = Some(match value.trim() {
                    "promote" => true,
                    "wait" => false,
                    other => return Err(format!("then={other}: write promote or wait")),
                });
            }
            other => {
                return Err(format!(
                    "there is no `{other}`: write for, min-transactions, more-rejects, more-defers, fewer-rejects or then"
                ));
            }
        }
    }
    Ok(trial)
}

fn number(written: &str) -> Result<u64, String> {
    written.trim().parse().map_err(|_| format!("`{written}` is no number"))
}

/// `5%` or `0.5%`; the sign says that it is no number of clients.
fn percent(written: &str) -> Result<f64, String> {
    let number = written.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number.filter(|number| number.is_finite()).ok_or_else(|| format!("`{written}` is no share: write 5%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_back_test_name_what_is_allowed() {
        let whole = gate("max-new-rejects=3,max-new-defers=10,last=7d,min-decisions=100").expect("bounds");
        assert_eq!((whole.max_new_rejects, whole.max_new_defers, whole.min_decisions), (3, Some(10), 100));
        let usual = gate("max-new-rejects=0").expect("bounds");
        assert_eq!((usual.max_new_rejects, usual.max_new_defers, usual.min_decisions), (0, None, 1));
        assert!(usual.since < whole.since, "14 days by default");
        for wrong in ["", "0", "max-new-defers=1", "max-new-rejects=-1", "max-new-rejects=1,most=2", "last=7d"] {
            assert!(gate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_back_test_of_too_few_says_nothing() {
        let gate = gate("max-new-rejects=0,min-decisions=100").expect("bounds");
        for (tested, untested, expected) in [
            (100, 0, ""),
            (100, 100, ""),
            (99, 0, "99 recorded mails were decided again, and 100"),
            (100, 101, "only 100 recorded mails could be tested, and 101 could not"),
        ] {
            let said = gate.has_enough((tested, untested)).err().unwrap_or_default();
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }

    #[test]
    fn a_share_may_be_followed_by_terms() {
        assert_eq!(trial("5%"), Ok(Trial { share_percent: Some(5.0), ..Trial::default() }));
        let whole = "0.5%,for=2h,min-transactions=50,more-rejects=0.5%,more-defers=3%,fewer-rejects=20%,then=wait";
        let expected = Trial {
            share_percent: Some(0.5),
            seconds: Some(7200),
            min_transactions: Some(50),
            more_rejects_percent: Some(0.5),
            more_defers_percent: Some(3.0),
            fewer_rejects_percent: Some(20.0),
            promote: Some(false),
        };
        assert_eq!(trial(whole), Ok(expected));
        for wrong in ["", "5", "all", "5%,for=soon", "5%,then=go", "5%,until=9", "5%,more-rejects=1"] {
            assert!(trial(wrong).is_err(), "{wrong}");
        }
    }
}
