//! The source files of the repository, and the paths that their code names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A path that a source file names: `crate::sink::Sink`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub line: usize,
    pub path: String,
}

pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every source file with its path from the repository.
pub fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&repository("src"), &mut paths);
    paths.sort();
    let shown = |path: &Path| path.strip_prefix(repository("")).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (shown(path), fs::read_to_string(path).unwrap())).collect()
}

/// `src/sink/jsonl.rs` and `src/sink.rs` are of the module `sink`.
pub fn module_of(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// The code up to the unit tests, its comments and texts blanked, every line staying where it is.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        let outside = code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
        out.push_str(outside.trim_end_matches('\n'));
        out.push('\n');
    }
    out
}

/// Every path that starts with `root::`, groups in braces spelt out.
pub fn paths_from(root: &str, code: &str) -> BTreeSet<Named> {
    let start = format!("{root}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + start.len()..];
        found.extend(spelt_out("", rest).into_iter().map(|path| Named { line, path }));
    }
    found
}

/// `a::{b, c::d} …` is `a::b` and `a::c::d`.
pub fn spelt_out(prefix: &str, rest: &str) -> Vec<String> {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let (head, tail) = rest.split_at(end);
    let path = format!("{prefix}{head}");
    match tail.strip_prefix('{') {
        Some(group) if head.is_empty() || head.ends_with("::") => {
            elements(group).iter().flat_map(|element| spelt_out(&path, element.trim())).collect()
        }
        _ => vec![path.trim_end_matches(':').to_owned()],
    }
}

/// What stands between commas up to the closing brace.
pub fn elements(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.into_iter().filter(|element| !element.trim().is_empty()).collect()
}
