//! What the system says of this process, by the names that Prometheus' own libraries use.
//!
//! Read from `/proc` whenever somebody looks; where there is none, nothing is shown.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge, Opts};

/// Ticks of a second in `/proc/self/stat`: 100 on every Linux, whatever its own clock does.
const TICKS: f64 = 100.0;

/// Gauges of the process.
#[derive(Debug)]
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    open: IntGauge,
    most: IntGauge,
    started: Gauge,
}

impl Process {
    /// With the time of its start, in seconds since 1970.
    ///
    /// # Errors
    /// Never in practice: names are constants.
    pub(super) fn new(started: f64) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::with_opts(Opts::new(name, help));
        let process = Self {
            cpu: Counter::with_opts(Opts::new("process_cpu_seconds_total", "Time of all processors that it took."))?,
            resident: gauge("process_resident_memory_bytes", "Memory that it occupies.")?,
            open: gauge("process_open_fds", "File descriptors in use.")?,
            most: gauge("process_max_fds", "File descriptors that it may use.")?,
            started: Gauge::with_opts(Opts::new("process_start_time_seconds", "When it began, since 1970."))?,
        };
        process.started.set(started);
        Ok(process)
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        [self.cpu.desc(), self.resident.desc(), self.open.desc(), self.most.desc(), self.started.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let mut families = self.started.collect();
        if let Some(seconds) = cpu_seconds(&read("stat")) {
            // It only ever grows; two who look at one time may find it ahead of them.
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
            families.extend(self.cpu.collect());
        }
        if let Some(octets) = resident(&read("status")) {
            self.resident.set(octets);
            families.extend(self.resident.collect());
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // Less the one that counts.
            self.open.set(i64::try_from(entries.count()).unwrap_or(i64::MAX).saturating_sub(1));
            families.extend(self.open.collect());
        }
        if let Some(limit) = open_files(&read("limits")) {
            self.most.set(i64::try_from(limit).unwrap_or(i64::MAX));
            families.extend(self.most.collect());
        }
        families
    }
}

/// User and system time of proc_pid_stat(5); the program's name before them may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS)
}

/// `VmRSS` of proc_pid_status(5), in octets.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<i64>().ok()?.checked_mul(1024)
}

/// The soft limit of open files in proc_pid_limits(5).
pub(crate) fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_system_are_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 4 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096  files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files   unlimited  unlimited  files\n"), Some(u64::MAX));
    }

    #[test]
    fn what_is_not_there_is_not_shown() {
        for text in ["", "7 (x) S 1", "VmRSS:", "Max open files  many\n"] {
            assert_eq!((cpu_seconds(text), resident(text), open_files(text)), (None, None, None), "{text}");
        }
    }

    #[test]
    fn this_process_occupies_something() {
        let process = Process::new(1.0).expect("constant names");
        let families = process.collect();
        let names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
        assert!(names.contains(&"process_start_time_seconds"), "{names:?}");
        if std::path::Path::new("/proc/self/status").exists() {
            assert_eq!(names.len(), 5, "{names:?}");
            assert!(process.resident.get() > 1 << 20 && process.open.get() > 2 && process.most.get() > 2);
        }
    }
}
