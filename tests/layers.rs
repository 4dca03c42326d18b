//! The house has floors, and arrows point downwards: the import table of `docs/architecture.md`, enforced.
//!
//! Reads the sources for `crate::` paths. Code under `#[cfg(test)]` may import what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer: each may import those of lower layers, and its own.
const LAYERS: &[&[&str]] = &[
    &["smtp", "units"],
    &["message", "similarity", "classifier", "pattern", "spamassassin", "facts", "verdict"],
    &["scoring", "policy", "fit"],
    &["dns", "store", "records", "clock"],
    &["checks"],
    &["pipeline"],
    &["backend", "session", "net"],
    &["config", "reports", "telemetry", "server", "cli", "main", "lib"],
];

/// The arrows that go sideways.
const SIDEWAYS: &[(&str, &str)] = &[
    ("facts", "message"),
    ("facts", "similarity"),
    ("similarity", "message"),
    ("classifier", "message"),
    ("spamassassin", "message"),
    ("spamassassin", "pattern"),
    ("policy", "scoring"),
    ("fit", "scoring"),
    ("dns", "clock"),
    ("store", "clock"),
    ("records", "clock"),
    ("session", "backend"),
    ("session", "net"),
    ("backend", "net"),
];

/// Downward arrows that are not wanted all the same.
const FORBIDDEN: &[(&str, &str)] = &[
    ("checks", "policy"),
    ("dns", "scoring"),
    ("dns", "policy"),
    ("store", "scoring"),
    ("store", "policy"),
    ("records", "scoring"),
    ("records", "policy"),
    ("clock", "scoring"),
    ("clock", "policy"),
];

/// What no single check's name may be known to.
const BLIND_TO_CHECKS: &[&str] = &["backend", "session", "net", "pipeline"];

/// What everybody may name within `checks`.
const CHECKS_IN_GENERAL: &[&str] = &["registry"];

/// Layers of pure code, and crates that they must do without.
const PURE: &[&str] = &[
    "smtp",
    "units",
    "message",
    "similarity",
    "classifier",
    "pattern",
    "spamassassin",
    "facts",
    "verdict",
    "scoring",
    "policy",
    "fit",
];
/// A derived fact is computed once, by whoever asks first, while the others wait: the one cell that awaits.
const DERIVED_FACT: (&str, &str) = ("facts", "tokio::sync::OnceCell");
const IMPURE_CRATES: &[&str] = &["tokio", "futures_util", "hickory_resolver", "rustls", "prometheus"];

/// One file of ours, without its tests.
struct Source {
    path: PathBuf,
    module: String,
    /// Depth of the file's module below `crate`.
    depth: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut waiting = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&root, path));
            }
        }
    }
    let test_only: Vec<PathBuf> = sources.iter().flat_map(|source| test_modules(&source.path)).collect();
    sources.retain(|source| !test_only.iter().any(|module| source.path.starts_with(module)));
    sources.retain(|source| !test_only.contains(&source.path.with_extension("")));
    sources
}

fn source(root: &Path, path: PathBuf) -> Source {
    let inside = path.strip_prefix(root).expect("a path below src").with_extension("");
    let mut names: Vec<String> = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    let text = fs::read_to_string(&path).expect("a readable file");
    let module = names.first().cloned().unwrap_or_default();
    Source { path, module, depth: names.len(), code: without_tests(&without_comments(&text)) }
}

/// Paths, without extension, of the modules that a file declares for tests only.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let text = without_comments(&fs::read_to_string(path).expect("a readable file"));
    let home = if path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib") {
        path.parent().expect("a directory").to_path_buf()
    } else {
        path.with_extension("")
    };
    let mut modules = Vec::new();
    for (at, _) in text.match_indices("#[cfg(test)]") {
        let rest = text[at..].trim_start_matches("#[cfg(test)]").trim_start();
        let declared = rest.split(['{', ';']).next().unwrap_or_default();
        let ends_here = rest.as_bytes().get(declared.len()) == Some(&b';');
        if let (Some((_, name)), true) = (declared.split_once("mod "), ends_here) {
            modules.push(home.join(name.trim()));
        }
    }
    modules
}

/// Line comments and doc comments say `crate::` freely.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("//") {
        Some(start) if !line[..start].contains('"') => &line[..start],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Cuts every item under `#[cfg(test)]`: to the matching brace, or to the semicolon that comes first.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let item = &rest[start..];
        rest = &item[end_of_item(item)..];
    }
    kept + rest
}

fn end_of_item(item: &str) -> usize {
    // rustfmt puts the closing brace of an item at the column where the item began: at top level, column 0.
    let body = item.find('{').filter(|brace| item.find(';').is_none_or(|end| *brace < end));
    match body {
        None => item.find(';').map_or(item.len(), |end| end + 1),
        Some(_) => item.find("\n}").map_or(item.len(), |end| end + 2),
    }
}

/// What `code` imports from our own crate, as paths: `use crate::{a::B, c}` gives `a::B` and `c`.
fn imports(source: &Source) -> BTreeSet<String> {
    let up = "super::".repeat(source.depth);
    let mut found = BTreeSet::new();
    for root in ["crate::", up.as_str()].into_iter().filter(|root| !root.is_empty()) {
        for (at, _) in source.code.match_indices(root) {
            let before = source.code[..at].chars().next_back().unwrap_or(' ');
            if !before.is_alphanumeric() && before != '_' && before != ':' && before != '$' {
                found.extend(expand(&source.code[at + root.len()..]));
            }
        }
    }
    found
}

/// The paths at the beginning of `text`: one, or those within braces.
fn expand(text: &str) -> Vec<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[name.len()..];
    let with_name = |inner: String| if inner.is_empty() { name.clone() } else { format!("{name}::{inner}") };
    if let Some(inner) = text.strip_prefix('{') {
        return branches(inner).iter().flat_map(|branch| expand(branch.trim_start())).collect();
    }
    match rest.strip_prefix("::") {
        Some(inner) => expand(inner.trim_start()).into_iter().map(with_name).collect(),
        None => vec![name],
    }
}

/// The comma-separated parts up to the closing brace, nested braces kept whole.
fn branches(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                parts.last_mut().expect("never empty").push(c);
            }
        }
    }
    parts
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// Why `from` may not import the path `import`, if it may not.
fn objection(from: &str, import: &str) -> Option<String> {
    let mut names = import.split("::");
    let module = names.next().unwrap_or_default();
    // Macros and items at the root of the crate belong to no layer; neither does a module its own child.
    let (own, other) = (layer(from)?, layer(module)?);
    if from == module {
        return None;
    }
    if BLIND_TO_CHECKS.contains(&from) && module == "checks" {
        let inner = names.next().unwrap_or_default();
        let single = inner.starts_with(|c: char| c.is_ascii_lowercase()) && !CHECKS_IN_GENERAL.contains(&inner);
        return single.then(|| "it must not know any single check".to_owned());
    }
    if FORBIDDEN.contains(&(from, module)) {
        return Some(format!("`{from}` must do without `{module}`"));
    }
    let top = own + 1 == LAYERS.len();
    let sideways = own == other && (top || SIDEWAYS.contains(&(from, module)));
    (other >= own && !sideways).then(|| format!("`{module}` is on layer {other}, `{from}` on layer {own}"))
}

#[test]
fn modules_import_only_downwards() {
    let mut complaints = Vec::new();
    for source in sources() {
        for import in imports(&source) {
            if let Some(why) = objection(&source.module, &import) {
                complaints.push(format!("{}: imports crate::{import}: {why}", source.path.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "arrows that do not point downwards:\n{}", complaints.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let unknown: BTreeMap<_, _> = sources()
        .into_iter()
        .filter(|source| layer(&source.module).is_none())
        .map(|source| (source.module, source.path))
        .collect();
    assert!(unknown.is_empty(), "modules that no layer of tests/layers.rs lists: {unknown:#?}");
}

#[test]
fn pure_layers_stay_pure() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.module.as_str())) {
        let (keeper, cell) = DERIVED_FACT;
        let derives = source.module == keeper;
        let code = if derives { source.code.replace(cell, "") } else { source.code.clone() };
        for name in IMPURE_CRATES.iter().filter(|name| code.contains(&format!("{name}::"))) {
            complaints.push(format!("{}: uses {name}", source.path.display()));
        }
        if (source.code.contains("async fn") && !derives) || source.code.contains("SystemTime::now") {
            complaints.push(format!("{}: awaits, or reads a clock", source.path.display()));
        }
    }
    assert!(complaints.is_empty(), "pure layers with impure code:\n{}", complaints.join("\n"));
}

#[test]
fn the_table_says_no_where_it_should() {
    let wrong = [
        ("smtp", "units"),
        ("scoring", "policy::Clause"),
        ("checks", "policy::Policy"),
        ("checks", "pipeline::Assessment"),
        ("session", "checks::dnsbl"),
        ("backend", "session::Settings"),
        ("verdict", "facts::Stage"),
        ("pipeline", "checks::dnsbl::Dnsbl"),
    ];
    for (from, import) in wrong {
        assert!(objection(from, import).is_some(), "{from} may import {import}");
    }
    let right =
        [("policy", "scoring::Score"), ("session", "checks::Fate"), ("session", "net::Stream"), ("cli", "server")];
    for (from, import) in right {
        assert_eq!(objection(from, import), None, "{from} -> {import}");
    }
}

#[test]
fn imports_are_found_in_every_shape() {
    let code = "use crate::{a::{B, c::D}, e};\nfn f(x: crate::g::H) {}\nuse super::super::i::J;\n";
    let source = Source { path: PathBuf::new(), module: "x".into(), depth: 2, code: code.into() };
    let expected: BTreeSet<String> = ["a::B", "a::c::D", "e", "g::H", "i::J"].map(String::from).into();
    assert_eq!(imports(&source), expected);
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n    b\n}\nc"), "a\n\nc");
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\nc"), "a\n\nc");
}
