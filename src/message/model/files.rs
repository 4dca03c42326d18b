//! Attachments: what their octets show them to be.

mod containers;
mod kind;
mod listing;
mod little;
mod ole;
mod rar;
mod zip;

use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64;

use super::Attachment;
use listing::Listing;

/// Characters of an extension.
const MAX_EXTENSION: usize = 10;

/// Extensions of what runs when it is opened.
const RUNS: [&str; 34] = [
    "ade",
    "apk",
    "app",
    "bat",
    "chm",
    "cmd",
    "com",
    "cpl",
    "dll",
    "exe",
    "hta",
    "jar",
    "js",
    "jse",
    "lnk",
    "mde",
    "msc",
    "msi",
    "msp",
    "pif",
    "ps1",
    "psm1",
    "reg",
    "scf",
    "scr",
    "sct",
    "settingcontent-ms",
    "sys",
    "url",
    "vb",
    "vbe",
    "vbs",
    "wsf",
    "wsh",
];
/// Extensions of what looks harmless.
const HARMLESS: [&str; 22] = [
    "bmp", "csv", "doc", "docx", "gif", "ics", "jpeg", "jpg", "log", "mp3", "mp4", "odt", "pdf", "png", "ppt", "pptx",
    "rtf", "tif", "txt", "wav", "xls", "xlsx",
];
/// Of those the ones that never are pages or archives.
const PICTURES_AND_PAPERS: [&str; 12] =
    ["bmp", "gif", "jpeg", "jpg", "mp3", "mp4", "pdf", "png", "tif", "tiff", "wav", "webp"];

/// The extension of a name, in lower case; empty if it has none.
pub(super) fn extension(name: &str) -> String {
    // Trailing dots and blanks are dropped where files are opened.
    let name = name.trim_end_matches([' ', '.']);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).trim();
    let fits = extension.chars().count() <= MAX_EXTENSION || RUNS.contains(&&*extension.to_ascii_lowercase());
    let fits = fits && !extension.contains(['/', '\\', ' ']);
    if fits { extension.to_lowercase() } else { String::new() }
}

/// The extension of a file of a declared type. A message is called what its subject says, which may end in a domain:
/// it is opened as a message, and no program of long ago.
pub(super) fn extension_of(content_type: &str, name: &str) -> String {
    let extension = extension(name);
    if content_type.starts_with("message/") && extension == "com" { String::new() } else { extension }
}

/// True if a file with this extension runs when it is opened.
fn runs(extension: &str) -> bool {
    RUNS.contains(&extension)
}

/// The name of a file that has several: the first, unless another one of them runs what it names.
pub(super) fn name(names: &[String]) -> Option<&str> {
    names.iter().find(|name| runs(&extension(name))).or(names.first()).map(|name| name.trim())
}

/// Reads the octets of an attachment in another encoding: where they are something then and were nothing before, or
/// are something that runs, that is what it is.
pub(super) fn look_again(attachment: &mut Attachment, octets: &[u8]) -> bool {
    let mut other = Attachment { detected: "", entries: Vec::new(), ..attachment.clone() };
    let is_cut = look_into(&mut other, octets);
    if !other.detected.is_empty() && (attachment.detected.is_empty() || is_program(other.detected)) {
        *attachment = other;
    }
    is_cut
}

/// True for what runs when it is opened.
fn is_program(detected: &str) -> bool {
    matches!(detected, "exe" | "elf" | "macho" | "lnk" | "msi" | "class" | "dex" | "script")
}

/// Reads the octets of an attachment, decoded; true if bounds left something out.
pub(super) fn look_into(attachment: &mut Attachment, octets: &[u8]) -> bool {
    attachment.octets = octets.len();
    attachment.hash = xxh3_64(octets);
    attachment.detected = kind::of(octets);
    attachment.is_picture |= kind::is_picture(attachment.detected);
    let mut listing = Listing::default();
    match attachment.detected {
        "zip" => {
            zip::list(octets, &mut listing);
            attachment.detected = zip::kind(&listing);
            attachment.has_macros = zip::has_macros(&listing);
        }
        "rar" => rar::list(octets, &mut listing),
        "tar" => containers::tar(octets, &mut listing),
        "gzip" => containers::gzip(octets, &mut listing),
        // What cannot be read of these was not there.
        "cab" => {
            containers::cab(octets, &mut listing);
        }
        "iso" => {
            containers::iso(octets, &mut listing);
        }
        // The list itself is compressed; the name of the cipher is not.
        "7z" => listing.is_encrypted = memmem::find(octets, b"\x06\xf1\x07\x01").is_some(),
        "pdf" => listing.is_encrypted = memmem::find(octets, b"/Encrypt").is_some(),
        "ole" => {
            let ole = ole::read(octets);
            attachment.detected = ole.kind;
            attachment.has_macros = ole.has_macros;
            (listing.is_encrypted, listing.is_cut) = (ole.is_encrypted, ole.is_cut);
        }
        // An archive may stand behind something else: programs look for its end.
        detected if zip::has_end(octets) => {
            zip::list(octets, &mut listing);
            if detected.is_empty() {
                attachment.detected = zip::kind(&listing);
            }
            attachment.has_macros = zip::has_macros(&listing);
        }
        _ => {}
    }
    attachment.is_encrypted = listing.is_encrypted;
    let is_cut = listing.is_cut;
    attachment.entries = listing.entries;
    is_cut
}

/// How what an attachment says of itself and what it is contradict each other, where that is dangerous.
pub(super) fn contradiction(attachment: &Attachment) -> Option<String> {
    let Attachment { name, extension, detected, declared, .. } = attachment;
    let extension = &**extension;
    let runs = is_program(detected) && *detected != "script";
    let is_paper = PICTURES_AND_PAPERS.contains(&extension);
    // `invoice.pdf.exe`.
    let before = name.rsplit_once('.').map_or("", |(before, _)| before).trim();
    let is_double = self::runs(extension)
        && before.rsplit_once('.').is_some_and(|(_, one)| HARMLESS.contains(&&*one.trim().to_lowercase()));
    // Read from right to left it looks like another file.
    let is_turned = name.contains('\u{202e}');
    let is_mismatch = (runs && HARMLESS.contains(&extension))
        || (is_paper && matches!(*detected, "html" | "zip" | "rar" | "7z" | "iso" | "ole" | "script"))
        || (runs
            && (declared.starts_with("image/") || declared.starts_with("text/") || &**declared == "application/pdf"));
    (is_mismatch || is_double || is_turned).then(|| {
        let shown: String = name.chars().take(60).collect();
        format!("{shown} is {}", if detected.is_empty() { extension } else { detected })
    })
}

#[cfg(test)]
pub(super) mod tests {
    pub(in super::super) use super::zip::tests::archive;
    use super::*;

    #[test]
    fn extensions() {
        for (name, expected) in [
            ("a.pdf", "pdf"),
            ("a.tar.GZ", "gz"),
            ("a.exe. ", "exe"),
            ("a", ""),
            ("", ""),
            (".profile", "profile"),
            ("Dr. Who", "who"),
            ("a.this is no extension", ""),
            ("x.SettingContent-ms", "settingcontent-ms"),
        ] {
            assert_eq!(extension(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_in_files() {
        let locked = zip::tests::archive(&["invoice.js"], 1);
        let office = zip::tests::archive(&["[Content_Types].xml", "word/vbaProject.bin"], 0);
        let old = ole::tests::file(&["Root Entry", "Macros"], &[]);
        for (octets, detected, entries, is_encrypted, has_macros) in [
            (&locked[..], "zip", "invoice.js", true, false),
            (&office, "docx", "[Content_Types].xml word/vbaProject.bin", false, true),
            (&old, "ole", "", false, true),
            (b"%PDF-1.4 trailer << /Encrypt 1 0 R >>", "pdf", "", true, false),
            (b"%PDF-1.4 trailer << >>", "pdf", "", false, false),
            (b"7z\xbc\xaf\x27\x1c\0\x04 \x06\xf1\x07\x01", "7z", "", true, false),
        ] {
            let mut attachment = Attachment::default();
            look_into(&mut attachment, octets);
            let Attachment { entries: found, .. } = &attachment;
            assert_eq!((attachment.detected, &*found.join(" ")), (detected, entries));
            assert_eq!((attachment.is_encrypted, attachment.has_macros), (is_encrypted, has_macros), "{detected}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_looked_into(start in 0..9_usize, octets in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
            let magic: [&[u8]; 9] = [
                b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0", b"\x1f\x8b", b"MSCF",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"7z\xbc\xaf\x27\x1c", b"%PDF-",
            ];
            look_into(&mut Attachment::default(), &[magic[start], &octets].concat());
        }
    }

    #[test]
    fn dangerous_contradictions() {
        for (name, declared, octets, is_told) in [
            ("a.pdf", "application/pdf", &b"%PDF-1.4"[..], false),
            ("a.pdf", "application/pdf", b"MZ\x90\0", true),
            ("a.pdf", "application/pdf", b"<html><body>", true),
            ("a.doc", "application/msword", b"<html><body>", false),
            ("a.exe", "application/octet-stream", b"MZ\x90\0", false),
            ("a.exe", "image/png", b"MZ\x90\0", true),
            ("a.pdf.exe", "application/octet-stream", b"MZ\x90\0", true),
            ("a.pdf .js", "application/octet-stream", b"x", true),
            ("a\u{202e}fdp.exe", "application/octet-stream", b"x", true),
            ("a.jpg", "image/jpeg", b"\x89PNG\r\n\x1a\n", false),
            ("", "", b"", false),
        ] {
            let mut attachment = Attachment {
                name: name.into(),
                extension: extension(name).into(),
                declared: declared.into(),
                ..Attachment::default()
            };
            look_into(&mut attachment, octets);
            assert_eq!(contradiction(&attachment).is_some(), is_told, "{name}");
        }
    }
}
