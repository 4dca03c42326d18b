//! The text of a page: whatever the page says, the text is bounded, and nothing is lost of what stands before all of it:
//! it is seen or hidden. The page is behind a plain field, so that every input reaches the reader of HTML.

#![no_main]

use gatepost::message::spelling;
use gatepost::message::text::MAX_TEXT;
use gatepost::message::{Message, Model};
use libfuzzer_sys::fuzz_target;

/// No letter of it is in another word, and none can be the beginning of a tag or an entity.
const WORD: &str = "gatepostword";

fuzz_target!(|octets: &[u8]| {
    let head = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{WORD} ");
    let whole = [head.as_bytes(), octets].concat();
    let model = Model::of(&Message::new(whole.clone(), whole.len() as u64));
    assert_eq!((model.parts.len(), model.texts.len()), (1, 1));
    assert!(model.shown.len() <= MAX_TEXT && model.hidden.len() <= 128 * 1024);
    for text in &model.texts {
        assert!(text.is_html && text.source.starts_with(WORD));
        assert!(text.shown.contains(WORD) || text.hidden.contains(WORD), "{:?} {:?}", text.shown, text.hidden);
    }
    // Spelt plainly, nothing is hidden in it any more.
    let plain = spelling::read(&model.shown).plain.unwrap_or_default();
    assert_eq!(spelling::read(&plain).invisible, 0);
    assert!(plain.len() <= 3 * model.shown.len());
});
