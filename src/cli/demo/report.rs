//! What the demonstration tells: a table while it plays, then what is stored and what to try next.

use std::io::{self, Write};
use std::time::Duration;

use super::cast::GTUBE;
use super::names;
use super::play::Played;
use super::scene::Scene;
use super::site::Site;

/// Characters of a reply that are shown.
const REPLY: usize = 110;

/// Symbols of a scene that are shown.
const SYMBOLS: usize = 3;

/// Writes it.
pub(super) struct Report<'o> {
    out: &'o mut dyn Write,
    colour: bool,
    widths: [usize; 3],
}

impl<'o> Report<'o> {
    /// Begins the table for `scenes`.
    pub(super) fn begin(out: &'o mut dyn Write, colour: bool, scenes: &[Scene]) -> io::Result<Self> {
        let widest = |cell: &dyn Fn(&Scene) -> usize| scenes.iter().map(cell).max().unwrap_or_default();
        let widths = [
            widest(&|scene| scene.who.len()),
            widest(&|scene| scene.from.to_string().len()),
            widest(&|scene| scene.what.len()),
        ];
        let mut report = Self { out, colour, widths };
        let count = scenes.len();
        writeln!(
            report.out,
            "Gatepost before a small mail server, and {count} clients; nothing leaves this machine.\n"
        )?;
        report.row("  ", ["WHO", "FROM", "WHAT HAPPENED"], "WHY")?;
        Ok(report)
    }

    fn row(&mut self, mark: &str, cells: [&str; 3], why: &str) -> io::Result<()> {
        let [who, from, what] = self.widths;
        let line = format!("{:who$}  {:from$}  {:what$}  {why}", cells[0], cells[1], cells[2]);
        writeln!(self.out, "{mark}  {}", line.trim_end())
    }

    /// One scene.
    pub(super) fn scene(&mut self, scene: &Scene, played: &Played) -> io::Result<()> {
        let mark = if played.mistakes.is_empty() { self.paint("32", "ok") } else { self.paint("31;1", "NO") };
        let why = match (scene.because, played.symbols.as_slice()) {
            ("", []) => "nothing against it".to_owned(),
            ("", symbols) if symbols.len() > SYMBOLS => {
                let (shown, more) = symbols.split_at(SYMBOLS);
                format!("{}, {} more", shown.join(" "), more.len())
            }
            ("", symbols) => symbols.join(" "),
            (because, _) => because.to_owned(),
        };
        self.row(&mark, [scene.who, &scene.from.to_string(), scene.what], &why)?;
        let said = played.reply.as_ref().map_or_else(|| "no reply".to_owned(), |reply| reply.to_log());
        let mut shown: String = said.chars().take(REPLY).collect();
        if shown.len() < said.len() {
            shown.push_str("...");
        }
        let shown = self.paint("2", &shown);
        writeln!(self.out, "      {shown}")?;
        for mistake in &played.mistakes {
            let mistake = self.paint("31", mistake);
            writeln!(self.out, "      not as it must be: {mistake}")?;
        }
        self.out.flush()
    }

    /// The sum, and what is stored.
    pub(super) fn end(&mut self, site: &Site, good: usize, all: usize, took: Duration) -> io::Result<()> {
        let maildir = &site.office.maildir;
        let deliveries = site.office.deliveries();
        writeln!(self.out, "\n{good} of {all} went as they must, in {:.1} s.\n", took.as_secs_f64())?;
        writeln!(
            self.out,
            "{} messages are in {}, each as its client sent it below the fields that were added:",
            deliveries.len(),
            maildir.path().join("new").display()
        )?;
        for delivery in &deliveries {
            let message = String::from_utf8_lossy(&maildir.read(&delivery.file)?).into_owned();
            let field = |name: &str| {
                let value = message.lines().find_map(|line| line.strip_prefix(name));
                value.unwrap_or_default().trim().to_owned()
            };
            let tag = if field("X-Spam-Flag:").is_empty() { "" } else { "  tagged" };
            let (score, subject) = (field("X-Spam-Score:"), field("Subject:"));
            writeln!(self.out, "  {}  {score:>6}  {subject}{tag}", delivery.file)?;
        }
        Ok(())
    }

    /// What to try when all has ended.
    pub(super) fn farewell(&mut self) -> io::Result<()> {
        writeln!(
            self.out,
            "\nNext: `gatepost demo --keep` leaves all this running, for telnet and swaks;\n\
             `gatepost symbols` lists what is looked for and what it weighs;\n\
             README.md shows how to put it before a Postfix."
        )
    }

    /// What to try while it stays.
    pub(super) fn stays(&mut self, site: &Site) -> io::Result<()> {
        let (plain, maildir) = (site.plain, site.office.maildir.path().display());
        let swaks = format!("swaks --server {plain} --from you@sender.example");
        writeln!(self.out, "\nIt stays until you press Ctrl-C. It listens at")?;
        writeln!(self.out, "  {plain}   plain SMTP; you may also say XCLIENT there")?;
        writeln!(self.out, "  {}   SMTP behind a PROXY header", site.cast)?;
        writeln!(self.out, "  {}   the backend: alice, bob and postmaster @demo.example", site.backend_address)?;
        if let Some(admin) = site.admin {
            writeln!(self.out, "  http://{admin}/metrics")?;
        }
        let listed = std::net::IpAddr::from(names::LISTED);
        writeln!(self.out, "\n  telnet {} {}", plain.ip(), plain.port())?;
        writeln!(self.out, "  {swaks} --to alice@demo.example")?;
        writeln!(self.out, "  {swaks} --to alice@demo.example --xclient-addr {listed}")?;
        writeln!(self.out, "  {swaks} --to postmaster@demo.example --xclient-addr {listed}")?;
        writeln!(self.out, "  {swaks} --to alice@demo.example --body '{GTUBE}'")?;
        writeln!(self.out, "  ls {maildir}/new\n")?;
        self.out.flush()
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
