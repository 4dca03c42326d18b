//! Archives with plain lists of names: tar, gzip, cabinets, images of discs.

use super::listing::Listing;
use super::little::{length_at, slice, u16_at, u32_at};

/// Octets of a block of a tape.
const BLOCK: usize = 512;
/// Octets of a sector of a disc.
const SECTOR: usize = 2048;
/// Directories of a disc that are read.
const MAX_DIRECTORIES: usize = 50;
/// Records of all of them.
const MAX_RECORDS: usize = 20_000;

/// A tape (POSIX ustar, and older ones).
pub(super) fn tar(octets: &[u8], listing: &mut Listing) {
    let mut at = 0;
    while let Some(header) = slice(octets, at, BLOCK) {
        let name = header.get(..100).unwrap_or_default().split(|octet| *octet == 0).next().unwrap_or_default();
        let digits = header.get(124..136).unwrap_or_default();
        let digits = String::from_utf8_lossy(digits);
        let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        if name.is_empty() || !listing.add(name) {
            return;
        }
        let blocks = size.div_ceil(BLOCK);
        match blocks.checked_mul(BLOCK).and_then(|length| at.checked_add(BLOCK + length)) {
            Some(next) => at = next,
            None => return,
        }
    }
}

/// The name that a file had before it was compressed (RFC 1952 2.3).
pub(super) fn gzip(octets: &[u8], listing: &mut Listing) {
    let Some(flags) = octets.get(3) else { return };
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + length_at(octets, 10).unwrap_or(0);
    }
    if flags & 8 != 0 {
        let rest = octets.get(at..).unwrap_or_default();
        listing.add(rest.split(|octet| *octet == 0).next().unwrap_or_default());
    }
}

/// A cabinet (MS-CAB).
pub(super) fn cab(octets: &[u8], listing: &mut Listing) -> Option<()> {
    let mut at = u32_at(octets, 16)?;
    for _ in 0..u16_at(octets, 28)? {
        let name = octets.get(at.checked_add(16)?..)?.split(|octet| *octet == 0).next().unwrap_or_default();
        let length = name.len();
        // No name is as long as what follows where a NUL is missing.
        if length > 1024 || !listing.add(name) {
            return None;
        }
        at += 16 + length + 1;
    }
    Some(())
}

/// The image of a disc (ECMA-119), with long names where it has them (Joliet).
pub(super) fn iso(octets: &[u8], listing: &mut Listing) -> Option<()> {
    let descriptors = octets.get(16 * SECTOR..)?.chunks_exact(SECTOR).take(16);
    let mut root = None;
    for descriptor in descriptors.take_while(|descriptor| descriptor.get(1..6) == Some(b"CD001")) {
        let is_wide = descriptor.get(88..90) == Some(b"%/");
        match descriptor.first() {
            Some(1) if root.is_none() => root = Some((descriptor.get(156..190)?, false)),
            Some(2) if is_wide => root = Some((descriptor.get(156..190)?, true)),
            Some(255) => break,
            _ => {}
        }
    }
    let (root, is_wide) = root?;
    let mut waiting = vec![root];
    let (mut read, mut seen) = (0, 0);
    while let Some(directory) = waiting.pop() {
        if read >= MAX_DIRECTORIES {
            listing.is_cut = true;
            break;
        }
        read += 1;
        let (at, size) = (u32_at(directory, 2)?.checked_mul(SECTOR)?, u32_at(directory, 10)?);
        let Some(records) = octets.get(at..).map(|rest| rest.get(..size).unwrap_or(rest)) else { continue };
        let mut at = 0;
        while let Some(length) = records.get(at).map(|length| usize::from(*length)) {
            if length == 0 {
                // The next record begins with the next sector.
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            listing.is_cut |= seen >= MAX_RECORDS;
            let Some(record) = slice(records, at, length).filter(|_| seen < MAX_RECORDS) else { break };
            at += length;
            seen += 1;
            let Some(name) = record.get(32).and_then(|length| slice(record, 33, usize::from(*length))) else {
                continue;
            };
            if matches!(name, [0 | 1]) {
                continue;
            }
            if record.get(25).is_some_and(|flags| flags & 2 != 0) {
                waiting.push(record);
                continue;
            }
            let goes_on = match is_wide {
                true => listing.add_wide(name, u16::from_be_bytes),
                // A version follows the name.
                false => listing.add(name.split(|octet| *octet == b';').next().unwrap_or_default()),
            };
            if !goes_on {
                return None;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(read: impl FnOnce(&mut Listing)) -> String {
        let mut listing = Listing::default();
        read(&mut listing);
        listing.entries.join(" ")
    }

    #[test]
    fn names_on_a_tape() {
        let file = |name: &str, size: &str, blocks: usize| {
            let mut header = name.as_bytes().to_vec();
            header.resize(124, 0);
            header.extend(size.as_bytes());
            header.resize(BLOCK * (1 + blocks), 0);
            header
        };
        let tape = [file("a.exe", "00000000003\0", 1), file("dir/b", "0\0", 0), vec![0; 1024]].concat();
        assert_eq!(names(|listing| tar(&tape, listing)), "a.exe dir/b");
        let endless = file("a", "77777777777", 0);
        assert_eq!(names(|listing| tar(&endless, listing)), "a");
    }

    #[test]
    fn the_name_before_compression() {
        assert_eq!(names(|listing| gzip(b"\x1f\x8b\x08\x08\0\0\0\0\0\0a.exe\0x", listing)), "a.exe");
        assert_eq!(names(|listing| gzip(b"\x1f\x8b\x08\x0c\0\0\0\0\0\0\x02\0xxb.exe\0x", listing)), "b.exe");
        assert_eq!(names(|listing| gzip(b"\x1f\x8b\x08\0", listing)), "");
    }

    #[test]
    fn names_in_a_cabinet() {
        let mut cabinet = b"MSCF".to_vec();
        cabinet.resize(36, 0);
        (cabinet[16], cabinet[28]) = (36, 3);
        for name in ["a.exe", "b"] {
            cabinet.extend([0; 16]);
            cabinet.extend(name.as_bytes());
            cabinet.push(0);
        }
        assert_eq!(
            names(|listing| {
                cab(&cabinet, listing);
            }),
            "a.exe b"
        );
    }

    #[test]
    fn names_on_a_disc() {
        let record = |name: &[u8], sector: u8, flags: u8| {
            let mut record = vec![0; 33];
            record[0] = u8::try_from(33 + name.len()).expect("short");
            (record[2], record[11], record[25]) = (sector, 8, flags);
            record[32] = u8::try_from(name.len()).expect("short");
            record.extend(name);
            record
        };
        let mut disc = vec![0; 21 * SECTOR];
        disc[16 * SECTOR] = 1;
        disc[16 * SECTOR + 1..16 * SECTOR + 6].copy_from_slice(b"CD001");
        let root = record(&[0], 18, 2);
        disc[16 * SECTOR + 156..][..root.len()].copy_from_slice(&root);
        disc[17 * SECTOR] = 255;
        disc[17 * SECTOR + 1..17 * SECTOR + 6].copy_from_slice(b"CD001");
        let directory =
            [record(&[0], 18, 2), record(&[1], 18, 2), record(b"A.EXE;1", 20, 0), record(b"D", 19, 2)].concat();
        disc[18 * SECTOR..][..directory.len()].copy_from_slice(&directory);
        // A directory that contains itself.
        let inner = [record(b"B.LNK;1", 20, 0), record(b"D", 19, 2)].concat();
        disc[19 * SECTOR..][..inner.len()].copy_from_slice(&inner);
        assert_eq!(
            names(|listing| {
                iso(&disc, listing);
            }),
            "A.EXE B.LNK"
        );
        assert_eq!(
            names(|listing| {
                iso(&disc[..16 * SECTOR + 100], listing);
            }),
            ""
        );
        // The directory within the directory: whoever goes round in it is told that there is more.
        let mut listing = Listing::default();
        iso(&disc, &mut listing);
        assert!(listing.is_cut);
        disc[19 * SECTOR..20 * SECTOR].fill(0);
        let mut listing = Listing::default();
        iso(&disc, &mut listing);
        assert!(!listing.is_cut && listing.entries.len() == 1, "{:?}", listing.entries);
    }
}
