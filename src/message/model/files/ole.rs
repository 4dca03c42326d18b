//! Compound files (MS-CFB): old office files, encrypted new ones, installers, messages of Outlook.

use super::listing::wide;
use super::little::{length_at, u16_at, u32_at};

/// Entries of a directory that are read.
const MAX_ENTRIES: usize = 2000;
/// Sectors of a directory.
const MAX_SECTORS: usize = 1000;
/// Octets of a workbook that are read.
const MAX_WORKBOOK: usize = 64 * 1024;

/// What a compound file shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ole {
    pub(super) kind: &'static str,
    pub(super) is_encrypted: bool,
    pub(super) has_macros: bool,
    /// The directory goes on behind what was read.
    pub(super) is_cut: bool,
}

/// Reads a compound file, or what is left of one.
pub(super) fn read(octets: &[u8]) -> Ole {
    let mut ole = Ole { kind: "ole", is_encrypted: false, has_macros: false, is_cut: false };
    for (name, start) in entries(octets, &mut ole.is_cut).unwrap_or_default() {
        match &*name.to_lowercase() {
            "vba" | "macros" | "_vba_project" | "_vba_project_cur" => ole.has_macros = true,
            "encryptedpackage" | "encryptioninfo" | "encryptedsummary" => ole.is_encrypted = true,
            "worddocument" => {
                ole.is_encrypted |=
                    start.and_then(|at| u16_at(octets, at + 10)).is_some_and(|flags| flags & 0x100 != 0);
            }
            "workbook" | "book" => {
                let workbook = start.and_then(|at| octets.get(at..)).unwrap_or_default();
                records(workbook.get(..MAX_WORKBOOK).unwrap_or(workbook), &mut ole);
            }
            "__properties_version1.0" => ole.kind = "msg",
            // Names of tables, in an alphabet of their own.
            name if name.starts_with('\u{4840}') => ole.kind = "msi",
            _ => {}
        }
    }
    ole
}

/// The names in the directory, with where the octets of each begin.
fn entries(octets: &[u8], is_cut: &mut bool) -> Option<Vec<(String, Option<usize>)>> {
    let shift = u16_at(octets, 30)?;
    if !(7..=16).contains(&shift) {
        return None;
    }
    let size = 1_usize << shift;
    let place = |sector: usize| sector.checked_add(1)?.checked_mul(size);
    let mut sector = u32_at(octets, 48)?;
    let mut found = Vec::new();
    for _ in 0..MAX_SECTORS {
        let Some(directory) = place(sector).and_then(|at| octets.get(at..)) else { return Some(found) };
        for entry in directory.get(..size).unwrap_or(directory).chunks_exact(128) {
            let length = length_at(entry, 64)?.min(64).saturating_sub(2);
            let name = wide(entry.get(..length)?, u16::from_le_bytes);
            if !name.is_empty() {
                found.push((name, u32_at(entry, 116).and_then(place)));
            }
        }
        let Some(next) = next_sector(octets, sector, size, place) else { return Some(found) };
        if found.len() >= MAX_ENTRIES {
            break;
        }
        sector = next;
    }
    *is_cut = true;
    Some(found)
}

/// The sector that follows in a chain, by the table of which the header names the first sectors.
fn next_sector(octets: &[u8], sector: usize, size: usize, place: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let in_a_sector = size / 4;
    let table = sector / in_a_sector;
    let table_sector = u32_at(octets, 76 + 4 * table).filter(|_| table < 109)?;
    let next = u32_at(octets, place(table_sector)?.checked_add(4 * (sector % in_a_sector))?)?;
    (next < 0xffff_fff0).then_some(next)
}

/// The records at the beginning of a workbook (MS-XLS 2.1.4).
fn records(workbook: &[u8], ole: &mut Ole) -> Option<()> {
    let mut at = 0;
    loop {
        let (kind, length) = (u16_at(workbook, at)?, length_at(workbook, at + 2)?);
        match kind {
            0x2f => ole.is_encrypted = true,
            // A sheet of macros, of the kind that is older than Visual Basic.
            0x85 if workbook.get(at + 9) == Some(&1) => ole.has_macros = true,
            0x0a => return None,
            _ => {}
        }
        at += 4 + length;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of one directory sector with these names, each of which begins at the sector behind it.
    pub(in super::super) fn file(names: &[&str], content: &[u8]) -> Vec<u8> {
        let mut out = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
        out.resize(512, 0);
        out[30] = 9;
        out[48] = 0;
        out[76..512].fill(0xff);
        for name in names {
            let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = entry.len() + 2;
            entry.resize(128, 0);
            entry[64] = u8::try_from(length).expect("a short name");
            entry[116] = 1;
            out.extend(entry);
        }
        out.resize(1024, 0);
        out.extend(content);
        out
    }

    #[test]
    fn what_a_compound_file_is() {
        let word = [&[0; 10][..], &0x100_u16.to_le_bytes()].concat();
        let password = [&[9, 8, 2, 0, 0, 0][..], &[0x2f, 0, 2, 0, 0, 0]].concat();
        let sheet = [&[9, 8, 2, 0, 0, 0][..], &[0x85, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[0x0a, 0, 0, 0]].concat();
        for (names, content, kind, is_encrypted, has_macros) in [
            (&["Root Entry", "WordDocument"][..], &[0; 12][..], "ole", false, false),
            (&["Root Entry", "WordDocument"], &word, "ole", true, false),
            (&["Root Entry", "Macros", "VBA"], &[], "ole", false, true),
            (&["Root Entry", "Workbook"], &password, "ole", true, false),
            (&["Root Entry", "Workbook"], &sheet, "ole", false, true),
            (&["Root Entry", "EncryptedPackage"], &[], "ole", true, false),
            (&["Root Entry", "__properties_version1.0"], &[], "msg", false, false),
            (&["Root Entry", "\u{4840}\u{3b3f}"], &[], "msi", false, false),
        ] {
            let expected = Ole { kind, is_encrypted, has_macros, is_cut: false };
            assert_eq!(read(&file(names, content)), expected, "{names:?}");
        }
        assert_eq!(read(b"\xd0\xcf\x11\xe0").kind, "ole");
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let mut octets = file(&["a", "b", "c", "d"], &[0; 512]);
        // The table is the sector behind the directory, and says that the directory follows itself.
        octets[76..80].copy_from_slice(&1_u32.to_le_bytes());
        assert!(read(&octets).is_cut);
    }
}
