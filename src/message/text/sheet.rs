//! Style sheets: rules for tags, classes and identities. Rules with other selectors are in doubt: what they show
//! is shown, what they hide is not hidden.

use std::collections::HashMap;

use super::css::{Declarations, Style};

/// Octets of style sheets that are read.
pub(super) const MAX_SHEET: usize = 64 * 1024;
/// Selectors that are kept.
const MAX_RULES: usize = 500;
/// Blocks within blocks.
const MAX_DEPTH: usize = 4;
/// What a rule goes before.
const OF_A_TAG: u8 = 1;
const OF_A_CLASS: u8 = 2;
const OF_BOTH: u8 = 3;
const OF_AN_IDENTITY: u8 = 4;
const IN_DOUBT: u8 = 5;

/// Classes of an element that are looked for.
const MAX_CLASSES: usize = 20;
/// What stands for every element.
const ANY: &str = "*";

/// The rules of a document.
#[derive(Default)]
pub(super) struct Rules {
    rules: HashMap<String, Vec<Rule>>,
    count: usize,
    /// There are more than are kept: what those may show is not hidden.
    is_cut: bool,
}

struct Rule {
    rank: u8,
    /// Where the last of its declarations stands.
    at: usize,
    declarations: Declarations,
}

/// Whether a block of rules applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    Yes,
    No,
    Perhaps,
}

impl Rules {
    /// Adds the rules of a style sheet for the media that it names, if any.
    pub(super) fn add(&mut self, sheet: &str, media: &str) {
        self.is_cut |= sheet.len() >= MAX_SHEET;
        let sheet = without_comments(sheet.get(..sheet.floor_char_boundary(MAX_SHEET)).unwrap_or(sheet));
        self.add_block(&sheet, applies(media), 0);
    }

    /// Something was left out.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Adds what a sheet shows that is read later.
    pub(super) fn foresee(&mut self, sheet: &str) {
        let sheet = without_comments(sheet.get(..sheet.floor_char_boundary(MAX_SHEET)).unwrap_or(sheet));
        self.add_block(&sheet, Applies::Perhaps, 0);
    }

    fn add_block(&mut self, block: &str, applying: Applies, depth: usize) {
        let mut rest = block;
        while let Some((before, after)) = rest.split_once('{') {
            let selectors = before.rsplit(';').next().unwrap_or(before).trim();
            if selectors.starts_with('@') {
                let (inside, after) = block_end(after);
                rest = after;
                let media = selectors.strip_prefix("@media").map_or(Applies::Perhaps, applies);
                if depth < MAX_DEPTH && media != Applies::No && !selectors.starts_with("@font-face") {
                    let both = if media == Applies::Yes { applying } else { media };
                    self.add_block(inside, both, depth + 1);
                }
                continue;
            }
            let (declarations, after) = after.split_once('}').unwrap_or((after, ""));
            rest = after;
            let declarations = Declarations::of(declarations);
            if applying != Applies::No && declarations != Declarations::default() {
                selectors.split(',').for_each(|selector| self.add_rule(selector, applying, &declarations));
            }
        }
    }

    fn add_rule(&mut self, selector: &str, applying: Applies, declarations: &Declarations) {
        let selector = selector.trim().trim_start_matches("<!--").trim_start();
        let (subject, is_whole) = match selector.rsplit_once([' ', '>', '+', '~', '\t', '\n', '\r']) {
            Some((_, subject)) => (subject, false),
            None => (selector, true),
        };
        let is_name = |name: &str| name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
        let simple = match subject.split_once(['.', '#']) {
            None if is_name(subject) && !subject.is_empty() => Some((subject.to_ascii_lowercase(), OF_A_TAG)),
            Some((tag, name)) if is_name(tag) && is_name(name) && !name.is_empty() => {
                let is_identity = subject.contains('#');
                let rank = match (is_identity, tag.is_empty()) {
                    (true, _) => OF_AN_IDENTITY,
                    (false, true) => OF_A_CLASS,
                    (false, false) => OF_BOTH,
                };
                Some((format!("{}{}{name}", tag.to_ascii_lowercase(), if is_identity { '#' } else { '.' }), rank))
            }
            _ => None,
        };
        match simple {
            Some((name, rank)) if is_whole && applying == Applies::Yes => self.put(name, rank, declarations),
            Some((name, _)) => self.put(name, IN_DOUBT, &declarations.in_doubt()),
            // Of several classes each may be the one.
            None => {
                let subject = subject.split([':', '[']).next().unwrap_or_default();
                let declarations = declarations.in_doubt();
                let classes: Vec<&str> =
                    subject.split('.').skip(1).filter(|class| is_name(class) && !class.is_empty()).collect();
                if classes.is_empty() {
                    // A tag, or what may be any.
                    let is_tag = is_name(subject) && !subject.is_empty();
                    let tag = if is_tag { subject.to_ascii_lowercase() } else { ANY.to_owned() };
                    self.put(tag, IN_DOUBT, &declarations);
                }
                for class in classes {
                    self.put(format!(".{class}"), IN_DOUBT, &declarations);
                }
            }
        }
    }

    fn put(&mut self, selector: String, rank: u8, declarations: &Declarations) {
        if *declarations == Declarations::default() {
            return;
        }
        if self.count == MAX_RULES {
            self.is_cut = true;
            return;
        }
        self.count += 1;
        let at = self.count;
        let rules = self.rules.entry(selector).or_default();
        match rules.iter_mut().find(|rule| rule.rank == rank) {
            Some(rule) => {
                rule.declarations.add(declarations);
                rule.at = at;
            }
            None => rules.push(Rule { rank, at, declarations: *declarations }),
        }
    }

    /// What the rules and then `own`, its attribute, say of an element, over `style`.
    pub(super) fn apply<'c>(
        &self,
        style: &mut Style,
        tag: &str,
        classes: impl Iterator<Item = &'c str>,
        identity: &str,
        own: &Declarations,
    ) {
        if self.rules.is_empty() {
            style.add(&own.usual);
            style.add(&own.important);
            return;
        }
        let mut found: Vec<&Rule> = self.rules.get(tag).into_iter().chain(self.rules.get(ANY)).flatten().collect();
        let mut selector = String::new();
        let mut look = |sign: &str, name: &str| {
            for tag in ["", tag] {
                selector.clear();
                selector.extend([tag, sign, name]);
                found.extend(self.rules.get(&selector).into_iter().flatten());
            }
        };
        let mut classes = classes.peekable();
        classes.by_ref().take(MAX_CLASSES).for_each(|class| look(".", class));
        let is_cut = self.is_cut || classes.peek().is_some();
        if !identity.is_empty() {
            look("#", identity);
        }
        found.sort_by_key(|rule| (rule.rank, rule.at));
        let says = |one: &Style| if is_cut { one.in_doubt() } else { *one };
        found.iter().for_each(|rule| style.add(&says(&rule.declarations.usual)));
        style.add(&own.usual);
        found.iter().for_each(|rule| style.add(&says(&rule.declarations.important)));
        style.add(&own.important);
    }
}

/// A sheet without comments, and without what stands in quotation marks: braces there are none.
fn without_comments(sheet: &str) -> String {
    let mut out = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(at) = rest.find(['/', '"', '\'', '\\']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let mut after = from.chars();
        match after.next() {
            Some('/') if from.starts_with("/*") => {
                rest = from.get(2..).and_then(|comment| comment.split_once("*/")).map_or("", |(_, after)| after);
            }
            Some(quote @ ('"' | '\'')) => {
                let mut is_escaped = false;
                let ends = |c: char| {
                    let ends = !is_escaped && (c == quote || c == '\n');
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                };
                out.push_str("''");
                rest = after.as_str().find(ends).and_then(|end| after.as_str().get(end + 1..)).unwrap_or_default();
            }
            Some('\\') => {
                // Neither a brace nor a name that is known here.
                after.next();
                out.push('\\');
                rest = after.as_str();
            }
            Some(other) => {
                out.push(other);
                rest = after.as_str();
            }
            None => break,
        }
    }
    out.push_str(rest);
    out
}

/// A block of rules, and what stands behind it.
fn block_end(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        }
    }
    (text, "")
}

/// Whether what is for these media is for a screen; how wide its window is nobody knows.
fn applies(media: &str) -> Applies {
    let media = media.trim().to_ascii_lowercase();
    if media.is_empty() {
        return Applies::Yes;
    }
    let queries: Vec<Applies> = media.split(',').map(query).collect();
    [Applies::Yes, Applies::Perhaps].into_iter().find(|answer| queries.contains(answer)).unwrap_or(Applies::No)
}

fn query(query: &str) -> Applies {
    let mut answer = Applies::Yes;
    for term in query.split(" and ").map(|term| term.trim().trim_start_matches("only ").trim()) {
        let one = match term {
            "all" | "screen" => Applies::Yes,
            "print" | "speech" | "aural" | "braille" | "handheld" | "tty" | "tv" => Applies::No,
            _ => Applies::Perhaps,
        };
        match one {
            Applies::No => return Applies::No,
            Applies::Perhaps => answer = Applies::Perhaps,
            Applies::Yes => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_elements_a_sheet_hides() {
        for (sheet, is_hidden) in [
            (".c{display:none}", true),
            ("p{display:none}", true),
            ("p.c , x{display:none}", true),
            ("#i{display:none}", true),
            ("@media screen{.c{display:none}}", true),
            (".x{content:'{'} .c{display:none}", true),
            ("@import url(x); .c{display:none}", true),
            ("<!-- .c{display:none} -->", true),
            (".d{display:none}", false),
            ("b.c{display:none}", false),
            (".c{display:none}.c{display:block}", false),
            (".c{display:none}p.c{display:block}", false),
            ("p.c{display:block}.c{display:none}", false),
            ("/*.c{display:none}*/", false),
            ("@media print{.c{display:none}}", false),
            ("@media (max-width:500px){.c{display:none}}", false),
            (".a.c{display:none}", false),
            ("x+.c{display:none}", false),
            (".c{display:none} body .c{display:block}", false),
            (".c{display:none} @media (min-width:1px){.c{display:block!important}}", false),
            (".c{display:none} @supports (x:y){.c{display:block}}", false),
            (".c:hover{display:none}", false),
            ("@media only screen and (max-width: 600px){.c{display:block}} .c{display:none}", false),
            ("@media (min-width:100px){.c{display:none}}", false),
            (".c{display:none} *{display:block}", false),
            (".c{display:none} [class]{display:block}", false),
            (".c{display:none} p:not(.x){display:block}", false),
            (".x{content:'/*'} .c{display:none} .y{content:'*/'} .c{display:block}", false),
            (".x{content:'} .c{display:none;'}", false),
            ("{{{}}}@@{", false),
        ] {
            let mut rules = Rules::default();
            rules.add(sheet, "");
            let mut style = Style::default();
            rules.apply(&mut style, "p", ["c"].into_iter(), "i", &Declarations::default());
            assert_eq!(style.hides(true), is_hidden, "{sheet}");
        }
        let mut rules = Rules::default();
        rules.add(&format!(".c{{display:none}}{}.c{{display:block}}", ".d{color:red}".repeat(MAX_RULES)), "");
        let mut style = Style::default();
        rules.apply(&mut style, "p", ["c"].into_iter(), "", &Declarations::default());
        assert!(!style.hides(true), "what was left out may show it");
        let mut rules = Rules::default();
        rules.add("p{display:none}", "print");
        assert!(rules.rules.is_empty());
    }
}
