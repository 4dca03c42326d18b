//! ZIP archives (APPNOTE 6.3): names from the central directory and from the headers before each file, because
//! programs differ in which of them they believe.

use memchr::memmem;

use super::listing::Listing;
use super::little::{length_at, slice, u16_at, u32_at};

/// Octets in which the end of the central directory is looked for: its own, and those of a comment.
const END_WITHIN: usize = 22 + 65_535;
/// In the flags of an entry.
const IS_ENCRYPTED: u16 = 1;
/// The method of an entry that WinZip encrypted.
const AES: u16 = 99;

/// True if an archive ends here, whatever it begins with: its directory stands before its end.
pub(super) fn has_end(octets: &[u8]) -> bool {
    let from = octets.len().saturating_sub(END_WITHIN);
    let tail = octets.get(from..).unwrap_or_default();
    memmem::rfind(tail, b"PK\x05\x06").is_some() && memmem::find(octets, b"PK\x01\x02").is_some()
}

/// Reads what is in an archive, or in what is left of one. The names in an archive that is stored in it as it is are
/// read with its own.
pub(super) fn list(octets: &[u8], listing: &mut Listing) {
    central(octets, listing);
    let mut at = 0;
    while let Some(found) = octets.get(at..).and_then(|rest| memmem::find(rest, b"PK\x03\x04")) {
        let header = at + found;
        at = header + 4;
        let Some((flags, method, length)) = local(octets, header) else { continue };
        let Some(name) = slice(octets, header + 30, length).filter(|name| is_plausible(name)) else { continue };
        listing.is_encrypted |= flags & IS_ENCRYPTED != 0 || method == AES;
        if !listing.add(name) {
            return;
        }
    }
}

fn local(octets: &[u8], header: usize) -> Option<(u16, u16, usize)> {
    Some((u16_at(octets, header + 6)?, u16_at(octets, header + 8)?, length_at(octets, header + 26)?))
}

/// Compressed data looks like a header now and then, with a name that nobody gives.
fn is_plausible(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= 1024 && !name.iter().any(u8::is_ascii_control)
}

fn central(octets: &[u8], listing: &mut Listing) -> Option<()> {
    let from = octets.len().saturating_sub(END_WITHIN);
    let end = from + memmem::rfind(octets.get(from..)?, b"PK\x05\x06")?;
    let (size, offset) = (u32_at(octets, end + 12)?, u32_at(octets, end + 16)?);
    // What stands before the archive moves it; where the numbers are of another kind (ZIP64) they are searched for.
    let mut at = match end.checked_sub(size) {
        Some(at) if octets.get(at..)?.starts_with(b"PK\x01\x02") => at,
        _ if octets.get(offset..).is_some_and(|octets| octets.starts_with(b"PK\x01\x02")) => offset,
        _ => memmem::find(octets, b"PK\x01\x02")?,
    };
    while octets.get(at..)?.starts_with(b"PK\x01\x02") {
        let (flags, method) = (u16_at(octets, at + 8)?, u16_at(octets, at + 10)?);
        listing.is_encrypted |= flags & IS_ENCRYPTED != 0 || method == AES;
        let length = length_at(octets, at + 28)?;
        let (extra, comment) = (length_at(octets, at + 30)?, length_at(octets, at + 32)?);
        if !listing.add(slice(octets, at + 46, length)?) {
            break;
        }
        at += 46 + length + extra + comment;
    }
    Some(())
}

/// What an archive is for, by the names in it.
pub(super) fn kind(listing: &Listing) -> &'static str {
    if listing.has_end("[content_types].xml") {
        match () {
            () if listing.has_start("word/") => "docx",
            () if listing.has_start("xl/") => "xlsx",
            () if listing.has_start("ppt/") => "pptx",
            () => "zip",
        }
    } else if listing.has_start("androidmanifest.xml") {
        "apk"
    } else if listing.has_start("meta-inf/manifest.mf") && !listing.has_start("mimetype") {
        "jar"
    } else if listing.has_start("mimetype") && listing.has_start("content.xml") {
        "odf"
    } else {
        "zip"
    }
}

/// True if there are macros among what an office file consists of.
pub(super) fn has_macros(listing: &Listing) -> bool {
    listing.has_end("vbaproject.bin")
        || listing.has_start("xl/macrosheets/")
        || listing.has_start("basic/")
        || listing.has_start("scripts/")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive with these names, of empty files.
    pub(in crate::message::model) fn archive(names: &[&str], flags: u16) -> Vec<u8> {
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for name in names {
            let length = u16::try_from(name.len()).expect("a short name").to_le_bytes();
            directory.extend(b"PK\x01\x02\x14\0\x14\0");
            directory.extend(flags.to_le_bytes());
            directory.extend([0; 18]);
            directory.extend(length);
            directory.extend([0; 16]);
            directory.extend(name.as_bytes());
            out.extend(b"PK\x03\x04\x14\0");
            out.extend(flags.to_le_bytes());
            out.extend([0; 18]);
            out.extend(length);
            out.extend([0; 2]);
            out.extend(name.as_bytes());
        }
        let offset = u32::try_from(out.len()).expect("a small archive").to_le_bytes();
        let size = u32::try_from(directory.len()).expect("a small archive").to_le_bytes();
        out.extend(directory);
        out.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
        out.extend(size);
        out.extend(offset);
        out.extend([0; 2]);
        out
    }

    fn names(octets: &[u8]) -> String {
        let mut listing = Listing::default();
        list(octets, &mut listing);
        listing.entries.join(" ")
    }

    #[test]
    fn names_are_found_in_whatever_is_left() {
        let whole = archive(&["a.txt", "dir/b.exe"], 0);
        assert_eq!(names(&whole), "a.txt dir/b.exe");
        let prefixed = [b"#!/bin/sh\n".as_slice(), &whole].concat();
        assert_eq!(names(&prefixed), "a.txt dir/b.exe");
        let end = memmem::find(&whole, b"PK\x05\x06").expect("an end");
        assert_eq!(names(&whole[..end]), "a.txt dir/b.exe");
        let directory = memmem::find(&whole, b"PK\x01\x02").expect("a directory");
        assert_eq!(names(&whole[..directory]), "a.txt dir/b.exe");
        // Two archives, one behind the other: programs show the one or the other.
        let twice = [archive(&["good.txt"], 0), archive(&["evil.exe"], 0)].concat();
        assert_eq!(names(&twice), "evil.exe good.txt");
        assert_eq!(names(b"PK\x05\x06"), "");
    }

    #[test]
    fn what_an_archive_is() {
        for (entries, expected, macros) in [
            (&["[Content_Types].xml", "word/document.xml"][..], "docx", false),
            (&["[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"], "xlsx", true),
            (&["META-INF/MANIFEST.MF", "A.class"], "jar", false),
            (&["mimetype", "content.xml", "META-INF/manifest.xml"], "odf", false),
            (&["mimetype", "content.xml", "Basic/Standard/script-lb.xml"], "odf", true),
            (&["a.js"], "zip", false),
        ] {
            let mut listing = Listing::default();
            list(&archive(entries, 0), &mut listing);
            assert_eq!((kind(&listing), has_macros(&listing)), (expected, macros), "{entries:?}");
            assert!(!listing.is_encrypted);
        }
        let mut listing = Listing::default();
        list(&archive(&["a.js"], 1), &mut listing);
        assert!(listing.is_encrypted);
    }

    #[test]
    fn bounds_hold() {
        let names: Vec<String> = (0..2000).map(|at| format!("{at}.txt")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut listing = Listing::default();
        list(&archive(&names, 0), &mut listing);
        assert!(listing.entries.len() <= 501, "{}", listing.entries.len());
    }
}
