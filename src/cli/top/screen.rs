//! The terminal while a program has it for itself: taken, drawn on, and given back whatever happens.

use std::io::{self, Write};
use std::panic;

use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{QueueableCommand, cursor, execute, terminal};

use super::frame::{Line, SMALLEST, Size, Tone};

/// The whole terminal. Dropped, it is as it was before.
pub(super) struct Screen {
    colour: bool,
}

impl Screen {
    /// Takes the terminal of standard output: no echo, no line editing, and a page of its own, so that what was there
    /// is there again afterwards, after a panic too.
    ///
    /// # Errors
    /// It is no terminal, or does not do as it is told.
    pub(super) fn take(colour: bool) -> io::Result<Self> {
        enable_raw_mode()?;
        // From here on it is given back.
        let screen = Self { colour };
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // First, so that what is told of the panic stays to be read.
            give_back();
            told(panic);
        }));
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// How large it is now.
    pub(super) fn size(&self) -> Size {
        terminal::size().map_or(SMALLEST, |(columns, rows)| Size { columns: columns.into(), rows: rows.into() })
    }

    /// Shows `lines` in place of what is shown.
    ///
    /// # Errors
    /// Nobody is there to see it.
    pub(super) fn draw(&self, lines: &[Line]) -> io::Result<()> {
        // Written in one go: a terminal far away never shows half of it.
        let mut octets = Vec::new();
        octets.queue(BeginSynchronizedUpdate)?;
        let rows = self.size().rows;
        for (row, line) in lines.iter().take(rows).enumerate() {
            octets.queue(cursor::MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))?;
            self.put(line, &mut octets)?;
            octets.queue(Clear(ClearType::UntilNewLine))?;
        }
        octets.queue(Clear(ClearType::FromCursorDown))?.queue(EndSynchronizedUpdate)?;
        let mut out = io::stdout();
        out.write_all(&octets)?;
        out.flush()
    }

    fn put(&self, line: &Line, octets: &mut Vec<u8>) -> io::Result<()> {
        for piece in &line.0 {
            match piece.tone {
                Tone::Plain => {}
                Tone::Strong => {
                    octets.queue(SetAttribute(Attribute::Bold))?;
                }
                Tone::Faint => {
                    octets.queue(SetAttribute(Attribute::Dim))?;
                }
                Tone::Bad if self.colour => {
                    octets.queue(SetForegroundColor(Color::Red))?.queue(SetAttribute(Attribute::Bold))?;
                }
                Tone::Bad => {
                    octets.queue(SetAttribute(Attribute::Reverse))?;
                }
            }
            octets.queue(Print(&piece.text))?;
            if piece.tone != Tone::Plain {
                octets.queue(ResetColor)?.queue(SetAttribute(Attribute::Reset))?;
            }
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        // The hook stays and does no harm: giving back twice is giving back once.
    }
}

/// Best effort: there is nobody to tell if the terminal is gone.
fn give_back() {
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, EnableLineWrap, cursor::Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}
