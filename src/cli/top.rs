//! `gatepost top`: what a running proxy is doing, on one page of a terminal.
//!
//! Everything comes from its admin pages; nothing is kept beside a minute of them. What is shown is made by pure code:
//! a page of metrics becomes `samples`, two of them `growth`, that a `view`, and a view a `frame`.

mod frame;
mod growth;
mod history;
mod samples;
mod screen;
mod view;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use jiff::Zoned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::ask::{self, Common, Refused};
use super::{Failed, check_config, wants_colour_on};
use crate::clock::{self, Clock, SystemClock};
use frame::{Around, SMALLEST, Size, frame};
use history::History;
use samples::Samples;
use screen::Screen;
use view::View;

const KEYS: &str = "q quit   s since the start, or of late";
/// Seconds between two looks, and of the window: less is no use to anybody, more than a day is another program.
const LONGEST_SECONDS: u64 = 86_400;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Keys: q quits, s changes between what has happened since the proxy began and what has \
    happened of late.")]
pub struct Arguments {
    /// How to ask the running proxy, and how to print what it says.
    #[command(flatten)]
    pub common: Common,
    /// Seconds between two looks.
    #[arg(long, short, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=LONGEST_SECONDS))]
    pub interval: u64,
    /// Seconds that are summed up.
    #[arg(long, short, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=LONGEST_SECONDS))]
    pub window: u64,
    /// Print one page of what has happened since the proxy began, and end; so does --json.
    #[arg(long)]
    pub once: bool,
}

/// Where to ask, and for whom.
struct Target {
    address: SocketAddr,
    hostname: String,
}

/// What one look at the admin pages came to.
struct Look {
    at: Instant,
    samples: Samples,
    obstacle: Option<String>,
}

/// Shows the running proxy, until somebody quits.
pub fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = &arguments.common.config;
    let address = ask::address(config)?;
    // The proxy runs on, whatever was written there since.
    let hostname = check_config::load(config).map(|loaded| loaded.config.session.hostname.to_string());
    let target = Target { address, hostname: hostname.unwrap_or_default() };
    if arguments.once || arguments.common.json {
        return once(&target, arguments.common.json);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failed("this is no terminal: --once prints one page, --json the same as JSON".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(live(arguments, target));
    // An answer that is still waited for is nobody's any more.
    runtime.shutdown_background();
    ended
}

fn once(target: &Target, json: bool) -> Result<(), Failed> {
    let Look { samples, obstacle, .. } = look(target)?;
    let view = View::new(None, &samples, now(), obstacle);
    let text = if json {
        serde_json::to_string_pretty(&view)? + "\n"
    } else {
        let around = Around { hostname: target.hostname.clone(), clock: time_of_day(), ..Around::default() };
        frame(&view, &around, SMALLEST).iter().map(|line| line.plain() + "\n").collect()
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// What is shown, and what it is made of.
struct Desk {
    target: Arc<Target>,
    history: History,
    obstacle: Option<String>,
    silence: Option<String>,
    since_start: bool,
}

/// What a key asks for.
enum Wish {
    Quit,
    Redraw,
    Nothing,
}

async fn live(arguments: &Arguments, target: Target) -> Result<(), Failed> {
    let target = Arc::new(target);
    // Before the terminal is taken, so that a mistake in the configuration is told as usual.
    let first = look(&target)?;
    let mut desk = Desk {
        target: target.clone(),
        history: History::new(Duration::from_secs(arguments.window)),
        obstacle: None,
        silence: None,
        since_start: false,
    };
    desk.hear(Ok(first));
    let mut ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal);
    let [Ok(terminate), Ok(hangup), Ok(interrupt)] = &mut ends else {
        return Err(Failed("signals cannot be heard".to_owned()));
    };
    let screen = Screen::take(wants_colour_on(&io::stdout()))?;
    let mut events = EventStream::new();
    let mut ticks = interval(Duration::from_secs(arguments.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut asked: Option<JoinHandle<Result<Look, Failed>>> = None;
    loop {
        screen.draw(&desk.frame(screen.size()))?;
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            event = events.next() => match event.transpose()?.map(|event| desk.wish(&event)) {
                // The terminal is gone.
                None | Some(Wish::Quit) => return Ok(()),
                Some(Wish::Redraw | Wish::Nothing) => {}
            },
            _ = ticks.tick(), if asked.is_none() => {
                let target = target.clone();
                asked = Some(tokio::task::spawn_blocking(move || look(&target)));
            }
            heard = answer(&mut asked) => desk.hear(heard?),
        }
    }
}

/// What is waited for; never, if nothing is.
async fn answer(asked: &mut Option<JoinHandle<Result<Look, Failed>>>) -> Result<Result<Look, Failed>, Failed> {
    let heard = match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    };
    *asked = None;
    Ok(heard?)
}

impl Desk {
    fn hear(&mut self, heard: Result<Look, Failed>) {
        match heard {
            Ok(Look { at, samples, obstacle }) => {
                self.history.add(at, samples);
                (self.obstacle, self.silence) = (obstacle, None);
            }
            // What was last known stays to be seen.
            Err(Failed(why)) => self.silence = Some(why),
        }
    }

    fn wish(&mut self, event: &Event) -> Wish {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
            // Another size, for instance.
            return Wish::Redraw;
        };
        match code {
            KeyCode::Char('q') => Wish::Quit,
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
            KeyCode::Char('s') => {
                self.since_start = !self.since_start;
                Wish::Redraw
            }
            _ => Wish::Nothing,
        }
    }

    fn frame(&self, size: Size) -> Vec<frame::Line> {
        let nothing = Samples::default();
        let older = self.history.before().filter(|_| !self.since_start);
        let view = View::new(older, self.history.latest().unwrap_or(&nothing), now(), self.obstacle.clone());
        let around = Around {
            hostname: self.target.hostname.clone(),
            clock: time_of_day(),
            silence: self.silence.clone(),
            keys: KEYS.to_owned(),
        };
        frame(&view, &around, size)
    }
}

/// Asks for everything once; blocks.
fn look(target: &Target) -> Result<Look, Failed> {
    let page = ask::text(target.address, "/metrics").map_err(|refused| match refused {
        Refused::Nobody(why) | Refused::Answer(why) => Failed(why),
    })?;
    let at = Instant::now();
    Ok(Look { at, samples: Samples::parse(&page), obstacle: obstacle(target.address) })
}

/// Why mail should not come to it now.
fn obstacle(address: SocketAddr) -> Option<String> {
    match ask::whatever(address, "/readyz") {
        Ok((200, _)) => None,
        Ok((_, page)) => {
            let page: serde_json::Value = serde_json::from_str(&page).unwrap_or_default();
            Some(page["reason"].as_str().unwrap_or("it says no more").to_owned())
        }
        // It was there a moment ago.
        Err(Refused::Nobody(why) | Refused::Answer(why)) => Some(why),
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    clock::seconds(SystemClock.now()) as f64
}

fn time_of_day() -> String {
    Zoned::now().strftime("%H:%M:%S").to_string()
}
