//! The registry of metrics, as text and as a catalogue.
//!
//! Families live with what they measure: each component registers its own when it is built. Names
//! are `gatepost_<noun>_<unit>`, `_total` for counters; label values come from enums or from the
//! configuration, never from mail. A component creates the children of its families when it
//! registers them, so that a counter is seen at 0 before it is seen at 1; that is also what makes
//! the [`catalogue`] complete.

use prometheus::proto::MetricType;
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};

use super::process::Process;
use crate::clock::{self, Clock, SystemClock};

/// Content type of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One family, as documents and dashboards name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// Its full name.
    pub name: String,
    /// What it tells.
    pub help: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
}

/// A registry of its own (nothing here is global), with what describes the program itself.
///
/// # Errors
/// Never in practice: names are constants.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let build =
        IntGaugeVec::new(Opts::new("gatepost_build_info", "Always 1; the label tells the version."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(Process::new(clock::seconds(SystemClock.now()) as f64)?))?;
    Ok(registry)
}

/// All metrics in Prometheus' text format.
///
/// # Errors
/// If a family is inconsistent, which is a mistake in its component.
pub fn encode(registry: &Registry) -> prometheus::Result<String> {
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// Every family that is registered and has at least one child, by name.
pub fn catalogue(registry: &Registry) -> impl Iterator<Item = Family> {
    registry.gather().into_iter().map(|family| Family {
        name: family.name().to_owned(),
        help: family.help().to_owned(),
        kind: match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY => "summary",
            MetricType::UNTYPED => "untyped",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net;

    #[test]
    fn the_text_names_the_version_and_every_family() {
        let registry = registry().expect("constant names");
        net::Metrics::new(&registry).expect("registered once").add_listener("edge");
        let text = encode(&registry).expect("consistent");
        assert!(text.contains(&format!("gatepost_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
        assert!(text.contains("gatepost_connections_refused_total{limit=\"sessions\"} 0"));
        for family in catalogue(&registry) {
            assert!(text.contains(&format!("# TYPE {} {}", family.name, family.kind)), "{}", family.name);
        }
    }

    #[test]
    fn names_follow_the_rules() {
        let registry = registry().expect("constant names");
        net::Metrics::new(&registry).expect("registered once").add_listener("edge");
        let families: Vec<_> = catalogue(&registry).collect();
        assert!(families.len() >= 6 && families.is_sorted());
        for family in families {
            assert!(["gatepost_", "process_"].iter().any(|start| family.name.starts_with(start)), "{family:?}");
            assert!(family.help.ends_with('.'), "{family:?}");
            assert_eq!(family.kind == "counter", family.name.ends_with("_total"), "{family:?}");
        }
    }
}
