//! Types of files, by their first octets.

use memchr::memmem;

/// Octets in which HTML or a script shows itself.
const BEGINNING: usize = 1024;

/// What files begin with, at some offset.
const MAGIC: [(usize, &[u8], &str); 44] = [
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"PK\x07\x08", "zip"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"LZIP", "lzip"),
    (0, b"MSCF", "cab"),
    (0, b"ISc(", "cab"),
    (0, b"\x60\xea", "arj"),
    (7, b"**ACE**", "ace"),
    (2, b"-lh", "lha"),
    (257, b"ustar", "tar"),
    (0x8001, b"CD001", "iso"),
    (0x8801, b"CD001", "iso"),
    (0, b"conectix", "vhd"),
    (0, b"vhdxfile", "vhd"),
    (0, b"xar!", "xar"),
    (0, b"%PDF-", "pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "onenote"),
    (0, b"{\\rt", "rtf"),
    (0, b"\x7fELF", "elf"),
    (0, b"\xcf\xfa\xed\xfe", "macho"),
    (0, b"\xce\xfa\xed\xfe", "macho"),
    (0, b"\xca\xfe\xba\xbe", "class"),
    (0, b"dex\n", "dex"),
    (0, b"\x4c\0\0\0\x01\x14\x02\0", "lnk"),
    (0, b"ITSF", "chm"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (8, b"WEBP", "webp"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (4, b"ftyp", "mp4"),
    (8, b"WAVE", "wav"),
    (0, b"wOFF", "font"),
    (0, b"\0asm", "wasm"),
];

/// The type that octets show; empty if nobody knows.
pub(super) fn of(octets: &[u8]) -> &'static str {
    let begins = |(at, magic, _): &&(usize, &[u8], &'static str)| {
        octets.get(*at..).is_some_and(|octets| octets.starts_with(magic))
    };
    if let Some((_, _, kind)) = MAGIC.iter().find(begins) {
        return kind;
    }
    if octets.starts_with(b"MZ") && octets.len() > 2 {
        return "exe";
    }
    if octets.starts_with(b"BM") && octets.get(6..10) == Some(&[0; 4]) {
        return "bmp";
    }
    // Programs look for it further down, too.
    let beginning = octets.get(..BEGINNING).unwrap_or(octets);
    if memmem::find(beginning, b"%PDF-").is_some() {
        return "pdf";
    }
    of_text(beginning)
}

/// The type of what is text.
fn of_text(beginning: &[u8]) -> &'static str {
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start().to_ascii_lowercase();
    let has = |what: &[u8]| memmem::find(&text, what).is_some();
    if text.starts_with(b"#!") || has(b"wscript.shell") || has(b"createobject(") || has(b"powershell") {
        "script"
    } else if text.starts_with(b"begin:vcalendar") {
        "calendar"
    } else if text.starts_with(b"begin:vcard") {
        "vcard"
    } else if text.starts_with(b"[internetshortcut]") {
        "url"
    } else if has(b"<svg") {
        "svg"
    } else if [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<script", b"<meta", b"<iframe"]
        .iter()
        .any(|tag| has(tag))
    {
        "html"
    } else if text.starts_with(b"<?xml") {
        "xml"
    } else {
        ""
    }
}

/// True for pictures.
pub(super) fn is_picture(kind: &str) -> bool {
    matches!(kind, "png" | "jpeg" | "gif" | "tiff" | "webp" | "bmp" | "svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_octets() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        let iso = [&[0; 0x8001][..], b"CD001"].concat();
        for (octets, kind) in [
            (&b""[..], ""),
            (b"hello", ""),
            (b"PK\x03\x04..", "zip"),
            (b"Rar!\x1a\x07\x01\0", "rar"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"MZ\x90", "exe"),
            (b"%PDF-1.7", "pdf"),
            (b"junk\n%PDF-1.7", "pdf"),
            (b"\x89PNG\r\n\x1a\n", "png"),
            (b"RIFF....WEBP", "webp"),
            (b"\xef\xbb\xbf <!DOCTYPE HTML>", "html"),
            (b"<svg onload=x>", "svg"),
            (b"<?xml version='1.0'?>", "xml"),
            (b"#!/bin/sh", "script"),
            (&tar, "tar"),
            (&iso, "iso"),
        ] {
            assert_eq!(of(octets), kind, "{:?}", String::from_utf8_lossy(octets.get(..20).unwrap_or(octets)));
        }
    }
}
