//! HTML as text, the way that rules about bodies expect it, and what rules about HTML count.

use std::collections::{BTreeMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::markup::{Token, Tokenizer, starts_ignoring_case, unescaped};
use super::uris;
use crate::pattern::Budget;

/// Tokens of one page, at most.
const TOKENS_MOST: usize = 200_000;
/// Tokens between two looks at how late it is.
const STRIDE: usize = 256;

/// What was found in a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its text, white space as it stands.
    pub(super) text: String,
    /// Octets of the source.
    pub(super) length: usize,
    /// Tags, and those of them that HTML knows.
    pub(super) tags: u32,
    pub(super) elements: u32,
    /// Names that were new when they came, and those of them that HTML knows.
    pub(super) tags_seen: u32,
    pub(super) elements_seen: u32,
    /// How many of each are still open; all that ever came are in it.
    pub(super) inside: BTreeMap<String, i32>,
    /// Ends of what was not open.
    pub(super) closed_extra: u32,
    /// Words that go on behind a tag.
    pub(super) obfuscation: u32,
    /// The text of each anchor, title, comment.
    pub(super) anchors: Vec<String>,
    pub(super) titles: Vec<String>,
    pub(super) comments: Vec<String>,
    /// Addresses, each once.
    pub(super) uris: Vec<String>,
    /// Targets of anchors with their text.
    pub(super) links: Vec<(String, String)>,
    /// The area of pictures, as far as they say it.
    pub(super) image_area: f64,
    pub(super) min_size: i32,
    pub(super) max_size: i32,
    /// Facts by the name that tests ask for.
    pub(super) facts: BTreeMap<&'static str, f64>,
    base: Option<String>,
    /// Hashes of the addresses.
    known: HashSet<u64>,
    /// There are more anchors than links are kept.
    has_more_links: bool,
    chunks: Vec<Chunk>,
    closed_html: bool,
}

#[derive(Debug)]
struct Chunk {
    text: String,
    is_space: bool,
}

const ELEMENTS: &str = " a abbr acronym address area b base bdo big blockquote body br button caption cite code col \
    colgroup dd del dfn div dl dt em fieldset form h1 h2 h3 h4 h5 h6 head hr html i img input ins kbd label legend li \
    link map meta noscript object ol optgroup option p param pre q samp script select small span strong style sub sup \
    table tbody td textarea tfoot th thead title tr tt ul var applet basefont center dir font frame frameset iframe \
    isindex menu noframes s strike u nobr x-sigsep x-tab ";
const TRICKS: &str = " bgsound embed listing plaintext xmp ";

fn is_in(list: &str, name: &str) -> bool {
    !name.contains(' ') && list.contains(&format!(" {name} "))
}

impl Page {
    /// Reads a page, as far as it is not too late for it: what is left then is text.
    pub(super) fn of(source: &str, budget: &mut Budget) -> Self {
        let mut page = Self { length: source.chars().count(), min_size: 3, max_size: 3, ..Self::default() };
        let source = source.replace("&nbsp;", " ").replace(['\u{201c}', '\u{201d}'], "\"");
        let mut tokenizer = Tokenizer::new(&source);
        let mut at = 0;
        let mut pending = String::new();
        for number in 0..TOKENS_MOST {
            if number % STRIDE == 0 && budget.is_late() {
                budget.stop();
                break;
            }
            let rest = &source[at..];
            // What never ends is no tag.
            let Some(open) = rest.find('<').filter(|open| tokenizer.can_end(at + open)) else { break };
            pending.push_str(&rest[..open]);
            at += open;
            // The text of scripts and styles ends at their own end only.
            let is_text =
                page.raw_element().is_some_and(|raw| !starts_ignoring_case(&source[at..], &format!("</{raw}")));
            let token = if is_text { None } else { tokenizer.token(at) };
            let Some((token, length)) = token else {
                pending.push('<');
                at += 1;
                continue;
            };
            page.text(&std::mem::take(&mut pending));
            page.take(token, &source[at..at + length]);
            at += length;
        }
        pending.push_str(&source[at..]);
        page.text(&pending);
        page.text = page.chunks.drain(..).map(|chunk| chunk.text).collect();
        page
    }

    fn raw_element(&self) -> Option<&'static str> {
        ["script", "style"].into_iter().find(|name| self.is_inside(name))
    }

    pub(super) fn is_inside(&self, name: &str) -> bool {
        self.inside.get(name).is_some_and(|count| *count > 0)
    }

    fn text(&mut self, raw: &str) {
        if raw.is_empty() || self.raw_element().is_some() {
            return;
        }
        let text = unescaped(raw);
        if self.is_inside("a") {
            if let Some(anchor) = self.anchors.last_mut() {
                anchor.push_str(&text);
            }
            if let Some((_, shown)) = self.links.last_mut().filter(|_| !self.has_more_links) {
                shown.push_str(&text);
            }
        }
        if self.is_inside("title")
            && let Some(title) = self.titles.last_mut()
        {
            title.push_str(&text);
        }
        if let Some(last) = self.chunks.last() {
            let is_word = |c: char| !c.is_whitespace() && !c.is_ascii_punctuation() && !c.is_ascii_control();
            if text.starts_with(is_word) && last.text.ends_with(is_word) {
                self.obfuscation += 1;
            }
        }
        let mut flat = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{b}' => {
                    if !flat.ends_with(' ') {
                        flat.push(' ');
                    }
                }
                c => flat.push(c),
            }
        }
        let follows_space = self.chunks.last().is_some_and(|last| last.is_space);
        let flat = if follows_space { flat.strip_prefix(' ').unwrap_or(&flat).to_owned() } else { flat };
        self.chunks.push(Chunk { text: flat, is_space: false });
    }

    fn space(&mut self, text: &str) {
        if let Some(last) = self.chunks.last_mut().filter(|last| !last.is_space)
            && last.text.ends_with(' ')
        {
            last.text.pop();
        }
        self.chunks.push(Chunk { text: text.to_owned(), is_space: true });
    }

    fn take(&mut self, token: Token, source: &str) {
        match token {
            Token::Comment => self.comments.push(source.to_owned()),
            Token::Declaration => {
                if starts_ignoring_case(source, "<!doctype") {
                    self.tags += 1;
                    self.elements += 1;
                    self.inside.insert("!doctype".to_owned(), 0);
                }
            }
            Token::Open(name, attributes) => self.tag(&name, &attributes, 1),
            Token::Close(name) => self.tag(&name, &[], -1),
        }
    }

    fn tag(&mut self, name: &str, attributes: &[(String, String)], count: i32) {
        let has_namespace = name.starts_with("o:") || (name.starts_with("st") && name.get(3..4) == Some(":"));
        let is_new = !self.inside.contains_key(name);
        let is_element = is_in(ELEMENTS, name) || has_namespace;
        self.elements += u32::from(is_element);
        self.elements_seen += u32::from(is_element && is_new);
        self.tags += 1;
        self.tags_seen += u32::from(is_new);
        let inside = self.inside.entry(name.to_owned()).or_default();
        *inside += count;
        if *inside < 0 {
            *inside = 0;
            self.closed_extra += 1;
        }
        if has_namespace || !(is_element || is_in(TRICKS, name)) {
            return;
        }
        match name {
            "br" | "div" => self.space("\n"),
            "li" | "th" | "td" | "dd" | "dt" | "embed" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.space(" "),
            "p" | "hr" | "blockquote" | "pre" | "listing" | "plaintext" | "xmp" | "title" => self.space("\n\n"),
            _ => {}
        }
        if count > 0 {
            self.uri(name, attributes);
            self.opened(name, attributes);
        } else if name == "html" {
            self.closed_html = true;
        }
    }

    fn uri(&mut self, name: &str, attributes: &[(String, String)]) {
        let wanted: &[&str] = match name {
            "body" | "table" | "tr" | "td" => &["background"],
            "a" | "area" | "link" => &["href", "data-saferedirecturl"],
            "img" | "frame" | "iframe" | "embed" | "script" | "bgsound" => &["src"],
            "form" => &["action"],
            "base" => &["href"],
            _ => &[],
        };
        for wanted in wanted {
            let Some(uri) = attribute(attributes, wanted).map(|uri| absolute(uri, self.base.as_deref())) else {
                continue;
            };
            if name == "base" {
                self.base = Some(uri.clone());
            }
            self.add(uri);
        }
    }

    fn add(&mut self, uri: String) {
        if self.uris.len() < uris::MOST && self.known.insert(xxh3_64(uri.as_bytes())) {
            self.uris.push(uri);
        }
    }

    /// Where a page leads on by itself.
    fn refresh(&mut self, attributes: &[(String, String)]) {
        let is_refresh =
            attribute(attributes, "http-equiv").is_some_and(|what| what.to_ascii_lowercase().contains("refresh"));
        let content = attribute(attributes, "content").filter(|_| is_refresh).unwrap_or_default();
        let Some(at) = content.to_ascii_lowercase().find("url") else { return };
        if let Some(uri) = content[at + 3..].trim_start().strip_prefix('=') {
            let uri = uri.split(';').next().unwrap_or_default();
            self.add(absolute(uri, self.base.as_deref()));
        }
    }

    fn opened(&mut self, name: &str, attributes: &[(String, String)]) {
        match name {
            "a" => {
                self.anchors.push(String::new());
                let target = attribute(attributes, "href").unwrap_or_default();
                self.has_more_links = self.links.len() >= uris::MOST;
                if !self.has_more_links {
                    self.links.push((absolute(target, self.base.as_deref()), String::new()));
                }
            }
            "meta" => self.refresh(attributes),
            "title" => self.titles.push(String::new()),
            "embed" | "object" => self.set("embeds", 1.0),
            "img" => {
                if self.is_inside("a") {
                    self.anchors.last_mut().into_iter().for_each(|anchor| anchor.push_str("<img>\n"));
                }
                let sides = (attribute(attributes, "width"), attribute(attributes, "height"));
                if let (Some(width), Some(height)) = sides {
                    self.image_area += side(width, 8.0) * side(height, 6.0);
                }
            }
            "font" => self.font(attributes),
            "form" => {
                let action = attribute(attributes, "action").unwrap_or_default();
                if action.to_ascii_lowercase().contains("mailto:") {
                    self.set("form_action_mailto", 1.0);
                }
            }
            "iframe" if attribute(attributes, "src").is_some() => {
                self.set("iframe_src", 1.0);
            }
            _ => {}
        }
    }

    fn font(&mut self, attributes: &[(String, String)]) {
        if let Some(size) = attribute(attributes, "size").map(str::trim) {
            let number: Option<i32> = size.trim_start_matches('+').parse().ok();
            if let Some(number) = number {
                // The number is the sender's: it may be the greatest that there is.
                let absolute = if size.starts_with(['+', '-']) { number.saturating_add(3) } else { number };
                self.max_size = self.max_size.max(absolute);
                self.min_size = self.min_size.min(absolute);
            }
        }
        if let Some(face) = attribute(attributes, "face")
            && !is_face(face)
        {
            self.set("font_face_bad", 1.0);
        }
        if attribute(attributes, "color").is_some_and(|colour| !is_colour(colour)) {
            self.set("font_invalid_color", 1.0);
        }
    }

    fn set(&mut self, name: &'static str, value: f64) {
        self.facts.insert(name, value);
    }
}

/// The side of a picture, a hundredth of the screen counted as that many; 200 where it says nothing.
fn side(text: &str, hundredth: f64) -> f64 {
    let (digits, factor) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, hundredth));
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    let side = digits.parse::<f64>().ok().filter(|side| is_number && *side > 0.0);
    side.map_or(200.0, |side| side.min(1e6) * factor)
}

/// A list of names of fonts: words of letters, perhaps in quotes, a digit at their end.
fn is_face(text: &str) -> bool {
    let text = text.trim_start();
    let text = text.strip_suffix(';').unwrap_or(text);
    text.split(',').enumerate().all(|(at, name)| {
        let name = name.trim_start_matches([' ', '\t', '\n', '\r']);
        let name = if at == 0 { name.trim_start_matches('.') } else { name };
        let name = name.strip_prefix(['"', '\'']).unwrap_or(name);
        let name = name.strip_suffix(['"', '\'']).unwrap_or(name);
        let name = name.strip_suffix(|c: char| c.is_ascii_digit()).unwrap_or(name);
        let is_inner = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '-';
        name.len() >= 2
            && name.chars().all(is_inner)
            && !name.starts_with('-')
            && name.ends_with(|c: char| c.is_ascii_alphabetic())
    })
}

fn is_colour(text: &str) -> bool {
    let text = text.trim();
    let digits = text.trim_start_matches('#');
    let is_number = text.starts_with('#') && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    is_number || text.starts_with("rgb(") || text.bytes().all(|octet| octet.is_ascii_alphabetic())
}

/// An address as it would be opened, as far as addresses are kept.
fn absolute(uri: &str, base: Option<&str>) -> String {
    let mut uri = resolved(uri, base);
    uri.truncate(uri.floor_char_boundary(uris::LONGEST));
    uri
}

fn resolved(uri: &str, base: Option<&str>) -> String {
    let is_dropped = |c: &char| matches!(c, '\n' | '\r' | '\t' | '\u{feff}');
    let uri: String = uri.trim().chars().filter(|c| !is_dropped(c)).take(uris::LONGEST).collect();
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if has_scheme || uri.starts_with('#') || uri.is_empty() {
        return uri;
    }
    if let Some(rest) = uri.strip_prefix("//") {
        let lower = rest.to_ascii_lowercase();
        return if lower.starts_with("www") { format!("http:{uri}") } else { uri };
    }
    if starts_ignoring_case(&uri, "www.") {
        return format!("http://{uri}");
    }
    match base.and_then(|base| base.rfind('/').map(|slash| &base[..=slash])) {
        Some(base) if base.len() > 8 => format!("{base}{}", uri.trim_start_matches('/')),
        _ => uri,
    }
}

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}
