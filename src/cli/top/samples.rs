//! A page of metrics in Prometheus' text format, as numbers.

use std::collections::BTreeMap;

/// One number with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// All numbers of one page, by name, those of a name by their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples(BTreeMap<String, Vec<Sample>>);

impl Sample {
    /// The value of a label; empty if there is no such label, which is the same to Prometheus.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Samples {
    /// Reads a page. Lines that are no sample are passed over: what a later version writes is no reason to show nothing.
    pub(super) fn parse(page: &str) -> Self {
        let mut samples = Self::default();
        for line in page.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, sample)) = sample(line) {
                samples.0.entry(name.to_owned()).or_default().push(sample);
            }
        }
        samples.0.values_mut().for_each(|samples| samples.sort_by(|one, other| one.labels.cmp(&other.labels)));
        samples
    }

    /// All samples of that name.
    pub(super) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The one sample of that name, or the sum of all; `None` if there is none.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        let samples = self.0.get(name)?;
        Some(samples.iter().map(|sample| sample.value).sum())
    }

    /// The number of `other`'s labels under `name`; 0 if there is none, as a counter begins there.
    pub(super) fn same(&self, name: &str, other: &Sample) -> f64 {
        let samples = self.of(name);
        let same = samples.binary_search_by(|sample| sample.labels.cmp(&other.labels)).ok();
        same.and_then(|at| samples.get(at)).map_or(0.0, |sample| sample.value)
    }
}

/// `name{label="value",...} value [timestamp]`.
fn sample(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(|letter: char| letter == '{' || letter.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, Sample { labels, value }))
}

/// What stands between the braces, and what comes behind them.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = unquoted(quoted)?;
        labels.insert(name.trim().to_owned(), value);
        rest = behind;
    }
}

/// The value up to the quote that ends it, and what comes behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_labels_and_a_number() {
        for (line, name, labels, value) in [
            ("up 1", "up", vec![], 1.0),
            ("up{} 1", "up", vec![], 1.0),
            ("up 1 1700000000000", "up", vec![], 1.0),
            ("a_total{code=\"550\"} 3", "a_total", vec![("code", "550")], 3.0),
            ("a{x=\"1\",y=\"2\"} 1e-3", "a", vec![("x", "1"), ("y", "2")], 0.001),
            ("a{x=\"1\", y=\"2\",} 4", "a", vec![("x", "1"), ("y", "2")], 4.0),
            (r#"a{x="a\"b\\c\nd}"} 5"#, "a", vec![("x", "a\"b\\c\nd}")], 5.0),
            ("a_bucket{le=\"+Inf\"} 7", "a_bucket", vec![("le", "+Inf")], 7.0),
        ] {
            let samples = Samples::parse(line);
            let [sample] = samples.of(name) else { panic!("{line}: {samples:?}") };
            assert_eq!(sample.value, value, "{line}");
            assert_eq!(sample.labels.len(), labels.len(), "{line}");
            for (label, expected) in labels {
                assert_eq!(sample.label(label), expected, "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        let page = "# HELP a Words.\n# TYPE a counter\n\na\na{x=\"1} 2\na{x} 2\na{x=\"1\"}\na one\nb 2\n";
        let samples = Samples::parse(page);
        assert_eq!((samples.value("a"), samples.value("b")), (None, Some(2.0)));
    }

    #[test]
    fn samples_are_found_by_name_and_by_all_their_labels() {
        let older = Samples::parse("a{x=\"1\"} 2\na{x=\"2\"} 3\n");
        let newer = Samples::parse("a{x=\"1\"} 5\na{x=\"3\"} 7\n");
        assert_eq!(older.value("a"), Some(5.0));
        let before: Vec<f64> = newer.of("a").iter().map(|sample| older.same("a", sample)).collect();
        assert_eq!(before, [2.0, 0.0]);
    }
}
