//! Which elements end where another one begins, although nobody ends them, and which tags begin none: as browsers
//! read HTML (the HTML standard, 13.2.6).
//!
//! Where this errs an element ends too early: what it hides is seen then, what it shows is not missed.

use super::html::{Open, State, Wall};
use crate::message::html::{self, Tag};

/// Elements that go on behind a paragraph that ends around them.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Elements that end with what is around them.
const ENDS_ALONE: [&str; 10] = ["dd", "dt", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc"];

/// What a tag begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Element,
    /// An element for some programs.
    Perhaps,
    /// No element: what follows is not within it.
    Nothing,
}

impl State {
    /// Ends what ends where a tag begins something.
    pub(super) fn end_before(&mut self, tag: &Tag<'_>) -> Begins {
        let name = &*tag.name;
        if let Some(at) = self.open.iter().position(|open| open.wall == Wall::Foreign) {
            if !html::ends_foreign(tag) {
                return Begins::Element;
            }
            self.close(at);
        }
        match name {
            "html" if std::mem::replace(&mut self.has_html, true) => Begins::Nothing,
            "body" if std::mem::replace(&mut self.has_body, true) => Begins::Nothing,
            "head" | "colgroup" | "frame" | "frameset" => Begins::Nothing,
            "table" | "caption" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th" => self.of_a_table(name),
            "form" => self.form(),
            "select" | "input" | "keygen" | "textarea" => match self.rposition("select") {
                Some(at) => {
                    self.close(at);
                    if name == "select" { Begins::Nothing } else { Begins::Element }
                }
                None => Begins::Element,
            },
            "option" | "optgroup" => {
                self.close_last(&["option"]);
                if name == "optgroup" {
                    self.close_last(&["optgroup"]);
                }
                Begins::Element
            }
            _ => {
                self.end_elements(name, tag.is_block);
                if self.rposition("select").is_some() { Begins::Perhaps } else { Begins::Element }
            }
        }
    }

    fn end_elements(&mut self, name: &str, is_block: bool) {
        match name {
            "a" | "nobr" => self.leave(name),
            "button" => {
                if let Some(at) = self.rposition("button") {
                    self.close(at);
                }
            }
            "li" => self.end_item(&["li"]),
            "dd" | "dt" => self.end_item(&["dd", "dt"]),
            "rb" | "rp" | "rt" | "rtc" => while self.close_last(&ENDS_ALONE) {},
            "hr" => {
                self.close_last(&["option"]);
                self.close_last(&["optgroup"]);
            }
            _ => {}
        }
        if is_block && name != "br" {
            self.end_paragraph();
        }
        if is_heading(name) && self.open.last().is_some_and(|open| is_heading(&open.name)) {
            self.close(self.open.len() - 1);
        }
    }

    /// The parts of a table end each other, whatever is open within them; outside of a table they are nothing.
    fn of_a_table(&mut self, name: &str) -> Begins {
        let walls: &[Wall] = match name {
            "table" => {
                // Where no cell is around it, the table before it ends.
                if let Some(at) = self.table_without_a_cell() {
                    self.close(at);
                }
                self.end_paragraph();
                return Begins::Element;
            }
            "td" | "th" => &[Wall::Table, Wall::Section, Wall::Row],
            "tr" => &[Wall::Table, Wall::Section],
            _ => &[Wall::Table],
        };
        match self.open.iter().rposition(|open| walls.contains(&open.wall)) {
            Some(at) => {
                self.close(at + 1);
                Begins::Element
            }
            None => Begins::Perhaps,
        }
    }

    /// No form stands within a form, and none around the rows of a table.
    fn form(&mut self) -> Begins {
        let has_form = std::mem::replace(&mut self.has_form, true);
        if has_form || self.table_without_a_cell().is_some() {
            return Begins::Nothing;
        }
        self.end_paragraph();
        Begins::Element
    }

    /// The innermost table, if what stands here stands in none of its cells.
    fn table_without_a_cell(&self) -> Option<usize> {
        let inner = self.open.iter().rposition(|open| matches!(open.wall, Wall::Table | Wall::Cell))?;
        self.open.get(inner).filter(|open| open.wall == Wall::Table).map(|_| inner)
    }

    /// What is around a text or an element that stands here: what stands between the cells of a table is shown before
    /// the table.
    pub(super) fn around(&self, name: &str) -> Option<&Open> {
        let last = self.open.last()?;
        let is_between = matches!(last.wall, Wall::Table | Wall::Section | Wall::Row)
            && !matches!(name, "caption" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th");
        if !is_between {
            return Some(last);
        }
        let table = self.open.iter().rposition(|open| open.wall == Wall::Table)?;
        table.checked_sub(1).and_then(|at| self.open.get(at))
    }

    /// The innermost open element of a name.
    fn rposition(&self, name: &str) -> Option<usize> {
        self.open.iter().rposition(|open| *open.name == *name)
    }

    /// Ends the innermost element if it is one of these.
    fn close_last(&mut self, names: &[&str]) -> bool {
        let is_one = self.open.last().is_some_and(|open| names.contains(&&*open.name));
        if is_one {
            self.close(self.open.len() - 1);
        }
        is_one
    }

    /// An item ends where the next one of its list begins, in spite of what is open within it.
    fn end_item(&mut self, names: &[&str]) {
        for (at, open) in self.open.iter().enumerate().rev() {
            let tag = &*open.name;
            if names.contains(&tag) {
                self.close(at);
                return;
            }
            if matches!(open.wall, Wall::Table | Wall::Section | Wall::Row | Wall::Cell)
                || (html::is_block(tag) && !matches!(tag, "address" | "div" | "p"))
            {
                return;
            }
        }
    }

    /// Ends an element that does not stand within itself; what is open within it goes on without it.
    fn leave(&mut self, name: &str) {
        let floor = self.open.iter().rposition(|open| open.wall == Wall::Cell).map_or(0, |at| at + 1);
        let Some(at) = self.rposition(name).filter(|at| *at >= floor) else { return };
        let within = self.open.split_off(at);
        for open in within.into_iter().skip(1) {
            self.reopen(open);
        }
    }

    /// Where a block begins the paragraph around it ends, but not the letters of another kind in it.
    fn end_paragraph(&mut self) {
        let inner = self.open.iter().rposition(|open| !matches!(open.wall, Wall::None | Wall::Section | Wall::Row));
        let Some(at) = inner.filter(|at| self.open[*at].wall == Wall::Paragraph) else { return };
        let within = self.open.split_off(at);
        for open in within.into_iter().skip(1).filter(|open| FORMATTING.contains(&&*open.name)) {
            self.reopen(open);
        }
    }

    fn reopen(&mut self, open: Open) {
        let wall = open.wall;
        let mut again = Open::within(self.open.last(), &open.name, open.style, open.is_quoting);
        again.wall = wall;
        self.open.push(again);
    }

    pub(super) fn close(&mut self, at: usize) {
        self.open.truncate(at);
    }

    /// The element that an end tag ends.
    pub(super) fn ended_by(&mut self, name: &str) -> Option<usize> {
        if matches!(name, "p" | "br")
            && let Some(at) = self.open.iter().position(|open| open.wall == Wall::Foreign)
        {
            self.close(at);
        }
        if name == "form" {
            self.has_form = false;
        }
        let floor = self.floor(name);
        let is_ended = |open: &Open| *open.name == *name || (is_heading(name) && is_heading(&open.name));
        self.open.get(floor..).unwrap_or_default().iter().rposition(is_ended).map(|at| floor + at)
    }

    /// Elements below this one are not ended by what stands in the innermost table, or in its innermost cell.
    fn floor(&self, name: &str) -> usize {
        let is_wall: fn(&Open) -> bool = match name {
            "table" | "body" | "html" => return 0,
            "tr" | "td" | "th" | "tbody" | "thead" | "tfoot" => |open| open.wall == Wall::Table,
            "p" => |open| matches!(open.wall, Wall::Table | Wall::Cell | Wall::Button),
            _ => |open| matches!(open.wall, Wall::Table | Wall::Cell),
        };
        let wall = self.open.iter().rposition(is_wall);
        match wall {
            Some(at) if *self.open[at].name == *name => at,
            wall => wall.map_or(0, |at| at + 1),
        }
    }
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}
