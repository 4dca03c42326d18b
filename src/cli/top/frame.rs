//! A view as lines of a terminal: the same for paper, with every tone left out.

use super::view::{Backends, Dns, Latency, List, Records, Room, Store, View};

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// A heading.
    Strong,
    /// Of little interest now.
    Faint,
    /// Worth a look.
    Bad,
}

/// Text in one tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(pub(super) Vec<Piece>);

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What a frame says beside the view.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// Our name in SMTP.
    pub(super) hostname: String,
    /// The time of day.
    pub(super) clock: String,
    /// Why these figures are old; `None`: they are not.
    pub(super) silence: Option<String>,
    /// What keys do; empty where there are none.
    pub(super) keys: String,
}

/// The smallest terminal that everything of importance fits on.
pub(super) const SMALLEST: Size = Size { columns: 80, rows: 24 };
/// Between the two halves.
const GAP: &str = "  ";
/// Rows of latencies and of the state of what we depend on, each with a heading.
const RIGHT_ROWS: usize = 15;
/// Failures that are shown where there is little room.
const FEWEST_FAILURES: usize = 3;

impl Line {
    fn of(text: impl Into<String>, tone: Tone) -> Self {
        Self::default().and(text, tone)
    }

    fn and(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.0.push(Piece { text: printable(&text.into()), tone });
        self
    }

    /// Exactly so many columns wide, filled up or cut: label values are names of machines and lists, one column a letter.
    fn fit(mut self, columns: usize) -> Self {
        let mut room = columns;
        for piece in &mut self.0 {
            let letters = piece.text.chars().count();
            if letters > room {
                piece.text = piece.text.chars().take(room).collect();
            }
            room -= letters.min(room);
        }
        self.and(" ".repeat(room), Tone::Plain)
    }

    /// The text alone.
    pub(super) fn plain(&self) -> String {
        let text: String = self.0.iter().map(|piece| piece.text.as_str()).collect();
        text.trim_end().to_owned()
    }
}

/// The frame: no line is wider than `size`, and there are no more of them than rows (80 by 24 at least).
pub(super) fn frame(view: &View, around: &Around, size: Size) -> Vec<Line> {
    let size = Size { columns: size.columns.max(SMALLEST.columns), rows: size.rows.max(SMALLEST.rows) };
    let mut lines = head(view, around, size.columns);
    lines.extend(verdicts(view));
    lines.push(replies(view));
    let footer = usize::from(!around.keys.is_empty());
    let room = size.rows.saturating_sub(lines.len() + footer);
    lines.extend(halves(view, size.columns, room));
    if footer > 0 {
        lines.resize(size.rows.saturating_sub(1), Line::default());
        lines.push(Line::of(&around.keys, Tone::Faint));
    }
    lines.into_iter().map(|line| line.fit(size.columns)).collect()
}

fn head(view: &View, around: &Around, columns: usize) -> Vec<Line> {
    let trouble = match (&around.silence, &view.obstacle) {
        (Some(why), _) => Line::of(format!("NO ANSWER: {why}"), Tone::Bad),
        (None, Some(why)) => Line::of(format!("NOT READY: {why}"), Tone::Bad),
        (None, None) => Line::default(),
    };
    let state = if trouble.0.is_empty() { "ready" } else { "" };
    let period =
        if view.since_start { "since the start".to_owned() } else { format!("last {:.0} s", view.over_seconds) };
    let right = format!("{period}  {}", around.clock);
    let left = Line::of(format!("gatepost {}", view.version), Tone::Strong)
        .and(format!("  {}  up {}  {state}", around.hostname, lasting(view.up_seconds)), Tone::Plain);
    let room = columns.saturating_sub(right.chars().count() + 1);
    let first = left.fit(room).and(" ", Tone::Plain).and(right, Tone::Strong);
    let (traffic, process) = (&view.traffic, &view.process);
    let second = Line::of("sessions ", Tone::Faint)
        .and(format!("{:.0} open, {}/s", traffic.sessions_open, rate(traffic.sessions_per_second)), Tone::Plain)
        .and("  messages ", Tone::Faint)
        .and(
            format!(
                "{} at {}/s, {}/s",
                whole(traffic.messages),
                rate(traffic.messages_per_second),
                octets(traffic.octets_per_second)
            ),
            Tone::Plain,
        )
        .and("  cpu ", Tone::Faint)
        .and(format!("{:.0} %", 100.0 * process.processors), Tone::Plain)
        .and("  mem ", Tone::Faint)
        .and(octets(process.resident_octets), Tone::Plain)
        .and("  turned away ", Tone::Faint)
        .and(whole(traffic.turned_away), bad_if(traffic.turned_away > 0.0));
    vec![first, second, trouble]
}

fn verdicts(view: &View) -> Vec<Line> {
    let heading = format!(
        "{:<10}{:>12}{:>10}{:>12}{:>14}{:>16}",
        "VERDICTS", "recipients", "share", "a minute", "at RCPT", "after DATA"
    );
    let rows = view.verdicts.iter().map(|each| {
        let text = format!(
            "{:<10}{:>12}{:>8.1} %{:>12}{:>14}{:>16}",
            each.verdict,
            whole(each.count),
            100.0 * each.share,
            rate(each.per_minute),
            whole(each.at_rcpt),
            whole(each.at_message)
        );
        Line::of(text, if each.count > 0.0 { Tone::Plain } else { Tone::Faint })
    });
    std::iter::once(Line::of(heading, Tone::Strong)).chain(rows).collect()
}

fn replies(view: &View) -> Line {
    let all: f64 = view.replies.iter().map(|reply| reply.count).sum();
    let line = Line::of("REPLIES   ", Tone::Strong);
    if view.replies.is_empty() {
        return line.and("none that refuses", Tone::Faint);
    }
    let each = |reply: &super::view::Counted| {
        format!("{}: {} ({:.0} %)", reply.name, whole(reply.count), 100.0 * reply.count / all)
    };
    line.and(view.replies.iter().map(each).collect::<Vec<_>>().join("  "), Tone::Plain)
}

/// Symbols and failures on the left; how long things take, and how everything is that we depend on, on the right.
fn halves(view: &View, columns: usize, rows: usize) -> Vec<Line> {
    let left_columns = (columns - GAP.len()) / 2;
    let right_columns = columns - GAP.len() - left_columns;
    let failures = failures(view, rows.saturating_sub(RIGHT_ROWS) + FEWEST_FAILURES);
    let mut left = symbols(view, rows.saturating_sub(failures.len()), left_columns);
    left.resize(rows.saturating_sub(failures.len()), Line::default());
    left.extend(failures);
    let mut right = latencies(&view.latencies);
    right.extend(state(view));
    right.truncate(rows);
    right.resize(rows, Line::default());
    let both = left.into_iter().zip(right);
    both.map(|(left, right)| {
        let left = left.fit(left_columns).and(GAP, Tone::Plain);
        Line(left.0.into_iter().chain(right.fit(right_columns).0).collect())
    })
    .collect()
}

fn symbols(view: &View, rows: usize, columns: usize) -> Vec<Line> {
    let name = columns.saturating_sub(18);
    let heading = Line::of(format!("{:<name$}{:>8}{:>10}", "SYMBOLS", "hits", "a minute"), Tone::Strong);
    if view.symbols.is_empty() {
        return vec![heading, Line::of("none", Tone::Faint)];
    }
    let rows = view.symbols.iter().take(rows.saturating_sub(1)).map(|each| {
        let shown: String = each.symbol.chars().take(name.saturating_sub(1)).collect();
        let text = format!("{shown:<name$}{:>8}{:>10}", whole(each.count), rate(each.per_minute));
        // What is in shadow decides nothing.
        Line::of(text, if each.shadow { Tone::Faint } else { Tone::Plain })
    });
    std::iter::once(heading).chain(rows).collect()
}

fn failures(view: &View, most: usize) -> Vec<Line> {
    let all: f64 = view.failures.iter().map(|each| each.count).sum();
    let heading = Line::of(format!("FAILURES {}", whole(all)), Tone::Strong);
    let each = |failure: &super::view::Failure| {
        Line::of(format!("{} {}: {}", failure.of, failure.kind, whole(failure.count)), Tone::Bad)
    };
    let rows = view.failures.iter().take(most).map(each);
    std::iter::once(heading).chain(rows).collect()
}

fn latencies(latencies: &[Latency]) -> Vec<Line> {
    let heading = Line::of(format!("{:<9}{:>9}{:>9}{:>9}", "LATENCY", "median", "95 %", "99 %"), Tone::Strong);
    let rows = latencies.iter().map(|latency| match &latency.quantiles {
        None => Line::of(format!("{:<9}{:>9}", latency.of, "-"), Tone::Faint),
        Some(known) => {
            let told = |seconds: f64| {
                if seconds >= known.longest { format!(">{}", span(known.longest)) } else { span(seconds) }
            };
            let [median, p95, p99] = [known.median, known.p95, known.p99].map(told);
            Line::of(format!("{:<9}{median:>9}{p95:>9}{p99:>9}", latency.of), Tone::Plain)
        }
    });
    std::iter::once(heading).chain(rows).collect()
}

fn state(view: &View) -> Vec<Line> {
    let mut lines = vec![Line::of("STATE", Tone::Strong), backends(&view.backends), dns(&view.dns), lists(&view.lists)];
    lines.push(store(&view.store));
    lines.push(spool(&view.spool));
    lines.extend(view.records.as_ref().map(records));
    lines
}

/// How many are well; who is not, comes first.
fn well<'n>(of: &'static str, all: usize, ill: impl Iterator<Item = &'n str>) -> Line {
    let ill: Vec<&str> = ill.collect();
    let line = Line::of(format!("{of:<9}"), Tone::Plain);
    if !ill.is_empty() {
        return line.and(format!("{}/{all} DOWN: {}", ill.len(), ill.join(", ")), Tone::Bad);
    }
    line.and(format!("{all} up"), Tone::Plain)
}

fn backends(backends: &Backends) -> Line {
    let ill = backends.members.iter().filter(|member| !member.up).map(|member| member.name.as_str());
    let idle: f64 = backends.members.iter().map(|member| member.idle).sum();
    let busy = format!(", {} busy, {} idle", whole(backends.busy), whole(idle));
    well("backends", backends.members.len(), ill).and(busy, Tone::Plain)
}

fn dns(dns: &Dns) -> Line {
    let ill = dns.servers.iter().filter(|server| !server.up).map(|server| server.name.as_str());
    let line = well("dns", dns.servers.len(), ill);
    let remembered = 100.0 * dns.from_memory / dns.questions.max(1.0);
    line.and(format!(", {remembered:.0} % known, {} asked now", whole(dns.in_flight)), Tone::Plain)
}

fn lists(lists: &[List]) -> Line {
    if lists.is_empty() {
        return Line::of("lists    none", Tone::Faint);
    }
    let ill = lists.iter().filter(|list| !list.up).map(|list| list.name.as_str());
    let line = well("lists", lists.len(), ill);
    let alerts: Vec<String> = lists
        .iter()
        .filter(|list| !list.alerts.is_empty())
        .map(|list| format!("{} {}", list.name, list.alerts.join(" ")))
        .collect();
    if !alerts.is_empty() {
        return line.and(format!("; {}", alerts.join(", ")), Tone::Bad);
    }
    let [listed, asked] = [lists.iter().map(|list| list.listed).sum(), lists.iter().map(|list| list.asked).sum()];
    line.and(format!(", {} listed of {}", whole(listed), whole(asked)), Tone::Plain)
}

fn store(store: &Store) -> Line {
    let line = match (store.redis_up, store.durable) {
        (Some(true), _) => Line::of("store    redis up", Tone::Plain),
        (Some(false), _) => Line::of("store    ", Tone::Plain).and("redis DOWN", Tone::Bad),
        (None, true) => Line::of("store    durable", Tone::Plain),
        (None, false) => Line::of("store    in memory", Tone::Plain),
    };
    let line = line.and(format!(", {} waiting", whole(store.queue)), Tone::Plain);
    if store.fallbacks > 0.0 { line.and(format!(", {} locally", whole(store.fallbacks)), Tone::Bad) } else { line }
}

/// A spool that is so full soon turns mail away.
const NEARLY_FULL: f64 = 0.8;

fn spool(rooms: &[Room]) -> Line {
    let mut line = Line::of("spool   ", Tone::Plain);
    for room in rooms {
        let text = format!(" {} {}/{}", room.place, octets(room.octets), octets(room.limit));
        line = line.and(text, bad_if(room.octets > NEARLY_FULL * room.limit));
    }
    line
}

fn records(records: &Records) -> Line {
    let text = format!("records  {}, {} waiting", octets(records.octets), whole(records.waiting));
    Line::of(text, Tone::Plain).and(format!(", {} lost", whole(records.lost)), bad_if(records.lost > 0.0))
}

fn bad_if(is_bad: bool) -> Tone {
    if is_bad { Tone::Bad } else { Tone::Plain }
}

/// What configurations name can hold anything; it must not speak to the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// A count. A sum of nothing is -0 to a computer.
fn whole(count: f64) -> String {
    scaled(count + 0.0, 1_000.0, &["", "k", "M", "G"])
}

/// A rate: small ones keep a digit behind the point.
fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { whole(rate) }
}

/// Octets.
fn octets(octets: f64) -> String {
    scaled(octets, 1024.0, &["B", "K", "M", "G", "T"])
}

/// Five digits at most, with the unit that makes it so.
fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next().unwrap_or(&"");
    while number >= 99_999.5 {
        let Some(larger) = units.next() else { break };
        number /= step;
        unit = larger;
    }
    format!("{number:.0}{unit}")
}

/// How long something took.
fn span(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} us", seconds * 1e6),
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// How long it has been running.
fn lasting(seconds: f64) -> String {
    // Whole seconds of a life that is not negative.
    let all = seconds as u64;
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    match days {
        0 => format!("{hours}:{minutes:02}:{seconds:02}"),
        days => format!("{days}d {hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests;
