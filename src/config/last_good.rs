//! The last rules that loaded, kept beside the store: a typo at night must not keep mail out (DECISIONS 35).
//!
//! What is kept is a copy of the directory of rules as it was, with the files outside of it that they name, made after
//! every load that succeeded, and only if the copy itself loads as the same rule set. Rules may hold what others should
//! not read (who is denied, who is trapped), so nobody else reads the copy. It is put in place by renaming: whatever happens meanwhile, a whole
//! one is there. Without `rules.directory` (rules compiled in) or `store.path` nothing is kept.
//!
//! Failure: what cannot be kept is said to whoever asked, and changes nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::files::{Files, place_elsewhere};
use super::problem::Problems;
use super::{Loaded, Rules, Source, raw, read, shape};

/// The name of the copy, beside the store's file.
const NAME: &str = "rules.last-good";
/// More than this is no directory of rules.
const MOST_OCTETS: u64 = 256 << 20;
const MOST_FILES: usize = 10_000;
const DEEPEST: usize = 16;
/// For its owner alone.
const PRIVATE_DIRECTORY: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// Reads a configuration; if only its rules keep it from loading, with the last good ones.
///
/// # Errors
/// What is wrong with what is written, if there are no last good rules, or they do not help.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let refused = match super::load(path) {
        Ok(loaded) => return Ok(loaded),
        Err(problems) => problems,
    };
    match kept(path) {
        Some(loaded) => Ok(Loaded { rules_refused: Some(refused), ..loaded }),
        None => Err(refused),
    }
}

/// The rules that a configuration was last loaded with, whatever stands now where it looks for rules. `None`: no copy
/// of them loads.
pub fn rules(path: &Path) -> Option<Rules> {
    kept(path).map(|loaded| loaded.config.rules)
}

fn kept(path: &Path) -> Option<Loaded> {
    copies(path).into_iter().find_map(|copy| read(path, Files::beside(path).with_rules_of(&copy)).ok())
}

/// Keeps the rules of a configuration that was loaded from `path`. Blocks. `false`: there is nothing to keep, or it
/// is kept already, or the files have changed since.
///
/// # Errors
/// The disk.
pub fn keep(path: &Path, loaded: &Loaded) -> io::Result<bool> {
    let (Some(place), None) = (place(path, loaded), &loaded.rules_refused) else { return Ok(false) };
    let Some(written) = &loaded.raw.rules.directory else { return Ok(false) };
    let rules = contents(&Files::beside(path).resolve(written), &loaded.config.rules.outside)?;
    if is_private(&place) && contents(&place, &[]).is_ok_and(|kept| kept == rules) {
        return Ok(false);
    }
    let (new, old) = (beside(&place, "new"), beside(&place, "old"));
    remove(&new)?;
    write(&new, &rules)?;
    // What was loaded may have been edited since: only what loads as the same is worth keeping.
    let again = read(path, Files::beside(path).with_rules_of(&new));
    if !again.is_ok_and(|again| again.config.rules.version == loaded.config.rules.version) {
        remove(&new)?;
        return Ok(false);
    }
    if place.exists() {
        remove(&old)?;
        fs::rename(&place, &old)?;
    }
    fs::rename(&new, &place)?;
    remove(&old)?;
    Ok(true)
}

/// Where the rules of a configuration are kept.
pub fn place(path: &Path, loaded: &Loaded) -> Option<PathBuf> {
    loaded.raw.rules.directory.as_ref()?;
    of_store(path, &loaded.raw)
}

fn of_store(path: &Path, raw: &raw::File) -> Option<PathBuf> {
    let store = Files::beside(path).resolve(raw.store.path.as_deref()?);
    Some(store.parent()?.join(NAME))
}

/// The copies that there may be; between two renames the old one is all there is.
fn copies(path: &Path) -> Vec<PathBuf> {
    let written = Files::beside(path).read(path).ok();
    let source = written.map(|text| Source::new(path.display().to_string(), text));
    let raw = source.and_then(|source| shape::read::<raw::File>(&source, &mut Problems::default()));
    let Some(place) = raw.and_then(|(raw, _)| of_store(path, &raw)) else { return Vec::new() };
    let old = beside(&place, "old");
    [place, old].into_iter().filter(|copy| copy.is_dir()).collect()
}

fn beside(place: &Path, what: &str) -> PathBuf {
    place.with_file_name(format!("{NAME}.{what}"))
}

fn is_private(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|about| about.permissions().mode() & 0o077 == 0)
}

/// Every file below a directory by its path from there, and those `outside` by where they lie in a copy; in order.
fn contents(directory: &Path, outside: &[PathBuf]) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut left = MOST_OCTETS;
    let mut waiting = vec![(PathBuf::new(), 0)];
    while let Some((inner, depth)) = waiting.pop() {
        for entry in fs::read_dir(directory.join(&inner))? {
            let entry = entry?;
            let (path, name) = (entry.path(), inner.join(entry.file_name()));
            // Through links: maps often are some.
            let Ok(about) = fs::metadata(&path) else { continue };
            if about.is_dir() && depth < DEEPEST {
                waiting.push((name, depth + 1));
            } else if about.is_file() {
                files.push((name, octets(&path, &mut left)?));
            }
            if files.len() > MOST_FILES || waiting.len() > MOST_FILES {
                return Err(too_much("files"));
            }
        }
    }
    for path in outside.iter().filter(|path| path.is_file()) {
        files.push((place_elsewhere(path), octets(path, &mut left)?));
    }
    files.sort();
    Ok(files)
}

/// All of a file, as long as so many octets are `left` for it and what follows.
fn octets(path: &Path, left: &mut u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let taken = fs::File::open(path)?.take(*left + 1).read_to_end(&mut octets)? as u64;
    *left = left.checked_sub(taken).ok_or_else(|| too_much("octets"))?;
    Ok(octets)
}

fn too_much(what: &str) -> io::Error {
    io::Error::other(format!("the directory of rules holds too many {what} to be kept"))
}

fn write(directory: &Path, files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    let create = |directory: &Path| fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(directory);
    create(directory)?;
    for (name, octets) in files {
        let path = directory.join(name);
        if let Some(parent) = path.parent() {
            create(parent)?;
        }
        let mut file = fs::File::options().write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
        file.write_all(octets)?;
        file.sync_all()?;
    }
    Ok(())
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
