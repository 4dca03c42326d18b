//! Where records are, and what the command line says of times.

use std::path::PathBuf;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::{DEFAULT_CONFIG, Failed, wants_colour};
use crate::config;
use crate::records::Archive;

/// Where records are.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The configuration file, which names the directory of records. Default: /etc/gatepost/gatepost.toml, unless
    /// --records is given.
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// The directory of records.
    #[arg(long, value_name = "DIR")]
    pub records: Option<PathBuf>,
}

impl Place {
    /// The configuration that records belong to; none if they lie somewhere without one.
    pub(super) fn configuration(&self) -> Option<PathBuf> {
        let default = || self.records.is_none().then(|| PathBuf::from(DEFAULT_CONFIG));
        self.config.clone().or_else(default)
    }

    /// Opens it to read. A proxy may go on writing.
    ///
    /// # Errors
    /// There is no such directory, or none is configured.
    pub(super) fn open(&self) -> Result<Archive, Failed> {
        let directory = match (&self.records, self.configuration()) {
            (Some(directory), _) => directory.clone(),
            (None, Some(config)) => {
                let unset = || Failed("[records] directory is not set, so nothing is recorded".to_owned());
                let wrong = |problems: config::Problems| Failed(problems.render(wants_colour()));
                config::records_directory(&config).map_err(wrong)?.ok_or_else(unset)?
            }
            (None, None) => return Err(Failed("say where records are: --config or --records".to_owned())),
        };
        Archive::open(&directory).map_err(|why| Failed(format!("{}: {why}", directory.display())))
    }
}

/// Milliseconds since 1970 of a point in time: so long ago (`90m`, `14d`), a date, a date and time of this place, or
/// one with an offset.
pub(super) fn moment(written: &str) -> Result<u64, String> {
    let now = Timestamp::now();
    let at = match duration(written) {
        Ok(ago) => now.checked_sub(ago.abs()).ok(),
        Err(_) => written.parse::<Timestamp>().ok().or_else(|| local(written)),
    };
    let wrong =
        || format!("`{written}` is no time: write 90m, 14d, 2026-11-20, 2026-11-20T14:30 or 2026-11-20T14:30:00Z");
    at.and_then(|at| u64::try_from(at.as_millisecond()).ok()).ok_or_else(wrong)
}

/// How long, as people write it: `90m`, `2h`, `1h 30m`, `14d`, `3 days`, `2w`.
pub(super) fn duration(written: &str) -> Result<SignedDuration, String> {
    // Days have 24 hours here, wherever that is.
    let span: Span = written.parse().map_err(|why: jiff::Error| why.to_string())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|why| why.to_string())
}

fn local(written: &str) -> Option<Timestamp> {
    let date = || written.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0));
    // A date alone is a date and time, too, to some parsers.
    let civil = written.parse::<DateTime>().ok().or_else(date)?;
    civil.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
}

/// A moment as people here read it.
pub(super) fn clock_time(millis: u64) -> String {
    let at = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.map_or_else(String::new, |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Hundredths as points.
pub(super) fn points(hundredths: i32) -> String {
    crate::scoring::Score::hundredths(hundredths).to_string()
}

/// A stranger's text, so that it cannot end a line or speak to a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_long_ago_or_a_date() {
        let now = u64::try_from(Timestamp::now().as_millisecond()).expect("after 1970");
        for (written, ago) in [
            ("90m", 5_400_000),
            ("14d", 14 * 86_400_000),
            ("2w", 14 * 86_400_000),
            ("1h 30m", 5_400_000),
            ("3 days", 3 * 86_400_000),
        ] {
            let at = moment(written).expect(written);
            assert!(now.abs_diff(at + ago) < 60_000, "{written}: {at}");
        }
        assert_eq!(moment("1970-01-02T00:00:00Z"), Ok(86_400_000));
        assert!(
            moment("2026-11-20").is_ok() && moment("2026-11-20T14:30").is_ok() && moment("2026-11-20 14:30").is_ok()
        );
        for nonsense in ["", "d", "soon", "14x", "2026-13-01"] {
            assert!(moment(nonsense).is_err(), "{nonsense}");
        }
    }
}
