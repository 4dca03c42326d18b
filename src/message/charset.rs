//! Octets as text, in the charset that they are said to be in.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

/// Octets as UTF-8, invalid ones replaced. To see that there are none takes much less than to look for them.
pub(super) fn text(octets: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(octets).map_or_else(|_| String::from_utf8_lossy(octets), Cow::Borrowed)
}

/// What octets say in a charset, named in lower case. False beside it if they are not in it, or if nobody knows it;
/// what names no charset may be in any.
pub(super) fn decoded<'t>(octets: &'t [u8], charset: Option<&str>) -> (Cow<'t, str>, bool) {
    let name = charset.unwrap_or_default().trim();
    if matches!(name, "" | "utf-8" | "utf8" | "us-ascii") {
        let text = text(octets);
        let is_clean = match name {
            "" => true,
            "us-ascii" => text.is_ascii(),
            _ => matches!(text, Cow::Borrowed(_)),
        };
        return (text, is_clean);
    }
    match charset_decoder(name.as_bytes()) {
        Some(decoder) => {
            let text = decoder(octets);
            let is_clean = !text.contains(char::REPLACEMENT_CHARACTER);
            (Cow::Owned(text), is_clean)
        }
        None => {
            // What is ASCII all over is the same in nearly all of them.
            let is_clean = octets.is_ascii() && matches!(name, "unknown-8bit" | "x-unknown" | "binary" | "default");
            (text(octets), is_clean)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_in_their_charset() {
        for (octets, charset, text, is_clean) in [
            (&b"abc"[..], None, "abc", true),
            (b"\xc3\xa4", None, "\u{e4}", true),
            (b"\xe4", None, "\u{fffd}", true),
            (b"\xe4", Some("utf-8"), "\u{fffd}", false),
            (b"\xc3\xa4", Some("us-ascii"), "\u{e4}", false),
            (b"\xe4", Some("iso-8859-1"), "\u{e4}", true),
            (b"\xc4", Some("koi8-r"), "\u{434}", true),
            (b"\x82\xa0", Some("shift_jis"), "\u{3042}", true),
            (b"\xff\xff", Some("gb2312"), "\u{fffd}\u{fffd}", false),
            (b"abc", Some("x-nobody-knows"), "abc", false),
        ] {
            let (read, clean) = decoded(octets, charset);
            assert_eq!((&*read, clean), (text, is_clean), "{charset:?}");
        }
    }
}
