//! What counters and histograms have grown by, between two looks at them.

use serde::Serialize;

use super::samples::{Sample, Samples};

/// Two looks at the metrics of one proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth<'s> {
    /// `None`: since the proxy began, when everything was 0.
    pub(super) older: Option<&'s Samples>,
    pub(super) newer: &'s Samples,
    /// Between them.
    pub(super) seconds: f64,
}

/// How long something took: by the buckets of a histogram, so between their bounds it is a guess, as Prometheus' own
/// `histogram_quantile` guesses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// How often.
    pub(super) count: f64,
    /// In seconds; half of them were quicker.
    pub(super) median: f64,
    /// In seconds; 95 % were quicker.
    pub(super) p95: f64,
    /// In seconds; 99 % were quicker.
    pub(super) p99: f64,
    /// In seconds; beyond it nothing is told apart: a quantile of this is this or more.
    pub(super) longest: f64,
}

impl<'s> Growth<'s> {
    /// By how much all samples of `name` have grown that `wanted` lets through.
    pub(super) fn of(self, name: &str, wanted: impl Fn(&Sample) -> bool) -> f64 {
        let grown = self.each(name).filter(|(sample, _)| wanted(sample));
        // Not sum(): that of nothing is -0.
        grown.fold(0.0, |sum, (_, grown)| sum + grown)
    }

    /// By how much a family has grown as a whole.
    pub(super) fn all(self, name: &str) -> f64 {
        self.of(name, |_| true)
    }

    /// Each sample of `name` with what it has grown by.
    pub(super) fn each(self, name: &str) -> impl Iterator<Item = (&'s Sample, f64)> {
        self.newer.of(name).iter().map(move |sample| {
            let before = self.older.map_or(0.0, |older| older.same(name, sample));
            // A counter that has become smaller began anew.
            let grown = if before > sample.value { sample.value } else { sample.value - before };
            (sample, grown)
        })
    }

    /// For one second.
    pub(super) fn per_second(self, grown: f64) -> f64 {
        if self.seconds > 0.0 { grown / self.seconds } else { 0.0 }
    }

    /// Of a histogram, whatever its other labels are; `None` if nothing was measured.
    pub(super) fn quantiles(self, name: &str) -> Option<Quantiles> {
        let mut buckets: Vec<(f64, f64)> = self
            .each(&format!("{name}_bucket"))
            .filter_map(|(sample, grown)| Some((sample.label("le").parse().ok()?, grown)))
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        buckets.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0.0 };
            is_same
        });
        let count = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY)?.1;
        let longest = buckets.iter().rev().find(|(bound, _)| bound.is_finite())?.0;
        let quantile = |share: f64| quantile(&buckets, share * count, longest);
        let [median, p95, p99] = [0.5, 0.95, 0.99].map(quantile);
        (count > 0.0).then_some(Quantiles { count, median, p95, p99, longest })
    }
}

/// Where the observation of that rank lies, if those of a bucket are spread evenly over it.
fn quantile(buckets: &[(f64, f64)], rank: f64, longest: f64) -> f64 {
    let at = buckets.iter().position(|(_, below)| *below >= rank).unwrap_or(buckets.len());
    let Some((bound, below)) = buckets.get(at).filter(|(bound, _)| bound.is_finite()) else { return longest };
    let (from, before) = at.checked_sub(1).and_then(|at| buckets.get(at)).copied().unwrap_or((0.0, 0.0));
    let inside = below - before;
    if inside > 0.0 { from + (bound - from) * (rank - before) / inside } else { *bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since_the_start(newer: &Samples) -> Growth<'_> {
        Growth { older: None, newer, seconds: 10.0 }
    }

    #[test]
    fn a_counter_grows_from_the_older_look_or_from_nothing() {
        let newer = Samples::parse("a{x=\"1\"} 30\na{x=\"2\"} 5\na{x=\"3\"} 4\n");
        let older = Samples::parse("a{x=\"1\"} 10\na{x=\"2\"} 9\n");
        for (older, expected) in [
            (None, [30.0, 5.0, 4.0]),
            // The second one began anew; the third one was not there.
            (Some(&older), [20.0, 5.0, 4.0]),
        ] {
            let growth = Growth { older, newer: &newer, seconds: 10.0 };
            let grown: Vec<f64> = growth.each("a").map(|(_, grown)| grown).collect();
            assert_eq!(grown, expected);
            assert_eq!(growth.all("a"), expected.iter().sum::<f64>());
            assert_eq!(growth.of("a", |sample| sample.label("x") == "2"), expected[1]);
        }
        assert!(since_the_start(&newer).all("b").is_sign_positive(), "nothing is 0, not -0");
        assert_eq!(since_the_start(&newer).per_second(20.0), 2.0);
        assert_eq!(Growth { seconds: 0.0, ..since_the_start(&newer) }.per_second(20.0), 0.0);
    }

    /// By hand, as `histogram_quantile` is described: the bucket of the rank, and within it a straight line.
    #[test]
    fn quantiles_lie_on_a_line_within_their_bucket() {
        for (buckets, expected) in [
            // 100 in all: half are below 0.1, 40 between 0.1 and 0.2, 10 between 0.2 and 0.4.
            ([50.0, 90.0, 100.0, 100.0], Some((0.1, 0.3, 0.38))),
            ([0.0, 0.0, 10.0, 10.0], Some((0.3, 0.39, 0.398))),
            // Beyond the last bound nothing is known.
            ([0.0, 0.0, 0.0, 4.0], Some((0.4, 0.4, 0.4))),
            ([10.0, 10.0, 10.0, 10.0], Some((0.05, 0.095, 0.099))),
            ([0.0; 4], None),
        ] {
            let bounds = ["0.1", "0.2", "0.4", "+Inf"];
            let page: String =
                bounds.iter().zip(buckets).map(|(le, value)| format!("t_bucket{{le=\"{le}\"}} {value}\n")).collect();
            let samples = Samples::parse(&page);
            let quantiles = since_the_start(&samples).quantiles("t");
            let told = quantiles.map(|each| (each.median, each.p95, each.p99));
            let is_near = |(one, other): (f64, f64)| (one - other).abs() < 1e-9;
            match (told, expected) {
                (Some(told), Some(expected)) => {
                    assert!(
                        [(told.0, expected.0), (told.1, expected.1), (told.2, expected.2)].into_iter().all(is_near),
                        "{buckets:?}: {told:?}"
                    );
                }
                (told, expected) => assert_eq!(told, expected, "{buckets:?}"),
            }
        }
        assert_eq!(since_the_start(&Samples::default()).quantiles("t"), None);
    }

    #[test]
    fn a_histogram_of_several_kinds_is_one() {
        let page = "t_bucket{k=\"a\",le=\"1\"} 3\nt_bucket{k=\"a\",le=\"+Inf\"} 3\n\
            t_bucket{k=\"b\",le=\"1\"} 1\nt_bucket{k=\"b\",le=\"+Inf\"} 2\n";
        let samples = Samples::parse(page);
        let quantiles = since_the_start(&samples).quantiles("t").expect("five observations");
        assert_eq!((quantiles.count, quantiles.median, quantiles.p99), (5.0, 0.625, 1.0));
    }
}
