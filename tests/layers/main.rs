//! Holds the house in shape: layers, one clock, one unsafe file, one folder for the database, short files that say what they own.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod code;
mod planted;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use code::{code_of, is_word, words};

/// From the ground up. A module uses its own folder and what stands in a line above its own; what stands in one line are
/// neighbours, which do not know each other.
const LAYERS: [&[&str]; 11] = [
    &["model", "message"],
    &["clock", "shutdown", "trust"],
    &["config"],
    &["observe"],
    &["store"],
    &["limits", "metering", "billing", "access", "dns", "tls", "upstream", "events"],
    &["tenancy"],
    &["proxy", "admin", "jobs"],
    &["app"],
    &["cli"],
    &["main", "lib"],
];

const MOST_LINES: usize = 400;

#[test]
fn the_house_is_in_shape() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<Source> = rust_files(&root.join("src")).iter().map(|path| Source::read(root, path)).collect();
    assert!(files.len() > 50, "only {} files were found", files.len());
    let found = violations(&files);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// A file, with its comments and texts blanked out, so that what is left is code on the same lines.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    fn read(root: &Path, path: &Path) -> Self {
        Self::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &fs::read_to_string(path).unwrap())
    }

    /// The module at the top that the file belongs to.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let top = below.split('/').next().unwrap_or(below);
        top.strip_suffix(".rs").unwrap_or(top)
    }

    /// How many modules the file lies below the crate: `src/a.rs` and `src/a/mod.rs` 1, `src/a/b.rs` 2.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let parts = below.split('/').count();
        if matches!(below, "lib.rs" | "main.rs") { 0 } else { parts - usize::from(below.ends_with("/mod.rs")) }
    }

    fn is_test(&self, tests: &BTreeSet<String>) -> bool {
        tests.iter().any(|test| self.path == format!("{test}.rs") || self.path.starts_with(&format!("{test}/")))
    }

    fn at(&self, offset: usize, problem: &str) -> String {
        format!("{}:{}: {problem}", self.path, self.code[..offset].matches('\n').count() + 1)
    }
}

fn violations(files: &[Source]) -> Vec<String> {
    // Paths, without `.rs`, of modules that are declared under #[cfg(test)].
    let tests: BTreeSet<String> = files.iter().flat_map(test_modules).collect();
    let mut found = Vec::new();
    let mut unsafe_files = Vec::new();
    for file in files {
        if !file.text.starts_with("//! ") {
            found.push(format!("{}:1: the first line is no `//!` that says what the file owns", file.path));
        }
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            found.push(format!("{}:{MOST_LINES}: {lines} lines are too many", file.path));
        }
        for (offset, word) in words(&file.code) {
            match word {
                "Instant" | "SystemTime" | "Timestamp" | "Zoned"
                    if calls_now(&file.code[offset + word.len()..]) && file.path != "src/clock.rs" =>
                {
                    found.push(file.at(offset, &format!("{word}::now outside src/clock.rs; time is passed in")));
                }
                "sled" if file.module() != "store" => found.push(file.at(offset, "`sled` outside src/store")),
                "unsafe_code" => unsafe_files.push(file.at(offset, "unsafe code is allowed in a second file")),
                _ => {}
            }
        }
        if !file.is_test(&tests) {
            found.extend(arrows(file));
        }
    }
    unsafe_files.dedup_by_key(|place| place.split(':').next().unwrap().to_owned());
    found.extend(unsafe_files.into_iter().skip(1));
    found
}

fn calls_now(rest: &str) -> bool {
    let after = rest.trim_start().strip_prefix("::").map(str::trim_start);
    after.and_then(|it| it.strip_prefix("now")).is_some_and(|it| !it.starts_with(is_word))
}

/// Uses of modules that the file's layer must not know.
fn arrows(file: &Source) -> Vec<String> {
    let code = without_test_blocks(&file.code);
    let from = file.module();
    let rank = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut found = Vec::new();
    for (offset, word) in words(&code) {
        let rest = &code[offset + word.len()..];
        let path = match word {
            "crate" => rest.trim_start().strip_prefix("::"),
            "super" if !code[..offset].trim_end().ends_with("super::") => out_of_the_crate_root(rest, file.depth()),
            _ => None,
        };
        for to in path.map(first_segments).unwrap_or_default() {
            let problem = match (rank(from), rank(&to)) {
                _ if from == to => continue,
                (Some(mine), Some(other)) if other < mine => continue,
                (None, _) => format!("`{from}` has no layer; give it one in tests/layers"),
                // A name in the crate's root that is no module: nothing is defined there.
                (_, None) => format!("`crate::{to}` is no module of a layer"),
                (Some(mine), Some(other)) if other == mine => format!("`{from}` uses its neighbour `{to}`"),
                _ => format!("`{from}` uses `{to}`, which stands above it"),
            };
            found.push(file.at(offset, &problem));
        }
    }
    found
}

/// The path after `super::super::…`, where that climbs to the crate's root.
fn out_of_the_crate_root(mut rest: &str, depth: usize) -> Option<&str> {
    let mut climbed = 1;
    loop {
        rest = rest.trim_start().strip_prefix("::")?.trim_start();
        match rest.strip_prefix("super") {
            Some(more) if !more.starts_with(is_word) => (climbed, rest) = (climbed + 1, more),
            _ => return (depth > 0 && climbed == depth).then_some(rest),
        }
    }
}

/// The first name of a path, or of every path in a group `{a::b, c}`.
fn first_segments(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        let name: String = path.chars().take_while(|it| is_word(*it) || *it == '*').collect();
        return vec![name];
    };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (offset, it) in group.char_indices() {
        match it {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            it if it.is_whitespace() => {}
            _ if fresh && depth == 0 => {
                names.push(group[offset..].chars().take_while(|it| is_word(*it) || *it == '*').collect());
                fresh = false;
            }
            _ => {}
        }
    }
    names.retain(|name| name != "self");
    names
}

/// The files of `#[cfg(test)] mod name;`.
fn test_modules(file: &Source) -> Vec<String> {
    let folder = file.path.strip_suffix("/mod.rs").or_else(|| file.path.strip_suffix(".rs")).unwrap_or(&file.path);
    let folder = if matches!(file.path.as_str(), "src/lib.rs" | "src/main.rs") { "src" } else { folder };
    test_items(&file.code)
        .into_iter()
        .filter_map(|(_, item)| Some(format!("{folder}/{}", module_name(item)?.strip_suffix(';')?.trim_end())))
        .collect()
}

/// Blanks out `#[cfg(test)] mod name { … }` and other items under that attribute that have a block.
fn without_test_blocks(code: &str) -> String {
    let mut kept = code.to_owned();
    for (start, item) in test_items(code) {
        if item.trim_end().ends_with(';') {
            continue;
        }
        let end = block_end(code, start);
        let blank: String = code[start..end].chars().map(|it| if it == '\n' { '\n' } else { ' ' }).collect();
        if blank.len() == end - start {
            kept.replace_range(start..end, &blank);
        }
    }
    kept
}

/// What follows each `#[cfg(test)]`, up to its first `;` or `{`.
fn test_items(code: &str) -> Vec<(usize, &str)> {
    let starts = code.match_indices("#[cfg(test)]").map(|(at, it)| at + it.len());
    starts.map(|start| (start, &code[start..code[start..].find([';', '{']).map_or(code.len(), |length| start + length + 1)])).collect()
}

fn module_name(item: &str) -> Option<&str> {
    let item = item.trim_start().trim_start_matches("pub ");
    item.strip_prefix("mod ")
}

fn block_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (offset, it) in code[start..].char_indices() {
        match it {
            '{' => depth += 1,
            '}' if depth == 1 => return start + offset + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
