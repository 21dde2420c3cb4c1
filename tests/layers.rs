//! Who may know whom (ARCHITECTURE.md, "Imports"), and that the documents name only what exists.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that know nobody, and that anybody may know.
const LEAVES: [&str; 5] = ["disk", "error", "hosts", "open_files", "units"];

/// Whom each module may know besides the leaves. `MODULE` is all that its `mod.rs` says, `MODULE::Name` that name alone.
const MAY_KNOW: [(&str, &[&str]); 18] = [
    ("disk", &[]),
    ("error", &[]),
    ("hosts", &[]),
    ("open_files", &[]),
    ("units", &[]),
    ("in_order", &[]),
    ("item", &[]),
    ("schedule", &["item"]),
    ("journal", &["item", "source::Trim"]),
    ("source", &["item", "journal"]),
    ("fetch", &["item"]),
    ("sink", &["item"]),
    ("state", &["item", "journal", "schedule::HostState", "schedule::OpenCircuit", "source::Trim"]),
    (
        "pipeline",
        &[
            "item",
            "in_order",
            "schedule",
            "source::Source",
            "source::Durability",
            "source::Release",
            "state::Settle",
            "state::HostStateStore",
            "fetch::Fetch",
            "sink::Sink",
            "sink::Next",
            "sink::Body",
        ],
    ),
    (
        "config",
        &[
            "item::CHUNK",
            "item::parse_header",
            "source::SourceConfig",
            "source::Stdin",
            "source::File",
            "sink::SinkConfig",
            "sink::Stdout",
            "sink::Jsonl",
            "fetch::FetchConfig",
            "fetch::DnsConfig",
            "fetch::NetworkConfig",
            "fetch::TlsConfig",
            "fetch::Unusable",
            "fetch::read_authorities",
            "fetch::read_identity",
            "schedule::HostConfig",
            "schedule::LimitsConfig",
            "schedule::RetryConfig",
            "schedule::HealthConfig",
            "schedule::RobotsConfig",
            "pipeline::QueueConfig",
            "pipeline::OutputConfig",
            "pipeline::ShutdownConfig",
            "state::StateConfig",
            "telemetry::LogConfig",
        ],
    ),
    // It wraps the seams and reads the status; nobody but the composition root knows it.
    ("telemetry", &["item", "sink::Sink", "pipeline::Status", "schedule::Bottleneck", "schedule::BottleneckKind"]),
    ("lib", &[]),
    ("main", &["cli", "daemon", "demo"]),
];

/// The composition root and what stands above it.
const KNOW_EVERYTHING: [&str; 3] = ["cli", "daemon", "demo"];

/// The crates that these modules may use; others may use any.
const CRATES: [(&str, &[&str]); 2] = [
    ("in_order", &["std"]),
    ("item", &["std", "serde", "serde_json", "http", "url", "bytes", "base64", "memchr", "tokio::sync"]),
];

/// A path that a source file names: `crate::sink::Sink`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    line: usize,
    path: String,
}

/// A rule broken, with its place.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    file: String,
    named: Named,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.named.line, self.named.path)
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every source file with its path from the repository.
fn sources() -> Vec<(String, String)> {
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
fn module_of(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// The code up to the unit tests, its comments and texts blanked, every line staying where it is.
fn code(text: &str) -> String {
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
fn paths_from(root: &str, code: &str) -> BTreeSet<Named> {
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
fn spelt_out(prefix: &str, rest: &str) -> Vec<String> {
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
fn elements(group: &str) -> Vec<&str> {
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

/// Whether `path` is `allowed` or in it.
fn within(path: &str, allowed: &str) -> bool {
    path.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What a file names of the other modules and must not.
fn offences(file: &str, text: &str) -> Vec<Offence> {
    let module = module_of(file);
    if KNOW_EVERYTHING.contains(&module) {
        return Vec::new();
    }
    let code = code(text);
    let mut named = paths_from("crate", &code);
    named.extend(paths_from("fetchd", &code));
    let (_, known) = MAY_KNOW.iter().find(|(name, _)| *name == module).unwrap_or(&("", &[]));
    let may = |path: &str| {
        let mut allowed = LEAVES.iter().chain(*known).chain([&module]);
        allowed.any(|allowed| within(path, allowed))
    };
    let wrong = named.into_iter().filter(|named| !may(&named.path));
    wrong.map(|named| Offence { file: file.to_owned(), named }).collect()
}

/// The crates that a file of these modules names and must not.
fn foreign_crates(file: &str, text: &str) -> Vec<Offence> {
    let Some((_, allowed)) = CRATES.iter().find(|(module, _)| *module == module_of(file)) else { return Vec::new() };
    let code = code(text);
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = dependencies.lines().filter_map(|line| line.split_once(" = ").map(|(name, _)| name.replace('-', "_")));
    let named = names.flat_map(|name| {
        paths_from(&name, &code)
            .into_iter()
            .map(move |Named { line, path }| Named { line, path: format!("{name}::{path}") })
    });
    let wrong = named.filter(|named| !allowed.iter().any(|allowed| within(&named.path, allowed)));
    wrong.map(|named| Offence { file: file.to_owned(), named }).collect()
}

fn none(offences: &[Offence]) {
    assert!(offences.is_empty(), "\n{}", offences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_module_knows_only_those_below_it() {
    let sources = sources();
    assert!(sources.len() > 30, "only {} files found", sources.len());
    none(&sources.iter().flat_map(|(file, text)| offences(file, text)).collect::<Vec<_>>());
}

#[test]
fn items_and_the_order_use_few_crates() {
    let sources = sources();
    assert!(sources.iter().any(|(file, _)| module_of(file) == "item"));
    none(&sources.iter().flat_map(|(file, text)| foreign_crates(file, text)).collect::<Vec<_>>());
}

#[test]
fn kinds_of_one_seam_do_not_know_each_other() {
    for (seam, kinds) in [("source", ["stdin", "file"]), ("sink", ["stdout", "jsonl"])] {
        for kind in kinds {
            let alone = format!("src/{seam}/{kind}.rs");
            let file = if repository(&alone).exists() { alone } else { format!("src/{seam}/{kind}/mod.rs") };
            let named = paths_from("super", &code(&fs::read_to_string(repository(&file)).unwrap()));
            let mut others = kinds.iter().filter(|other| **other != kind);
            let known = others.find(|other| named.iter().any(|named| within(&named.path, other)));
            assert!(known.is_none(), "{file} knows {known:?}");
        }
    }
}

#[test]
fn every_module_has_a_line_in_the_table() {
    let known: BTreeSet<_> = MAY_KNOW.iter().map(|(module, _)| *module).chain(KNOW_EVERYTHING).collect();
    let sources = sources();
    let modules: BTreeSet<_> = sources.iter().map(|(file, _)| module_of(file)).collect();
    assert_eq!(modules, known);
}

#[test]
fn an_import_that_breaks_the_table_is_found_with_its_line() {
    let found =
        |file: &str, text: &str| -> Vec<String> { offences(file, text).iter().map(ToString::to_string).collect() };
    assert_eq!(found("src/item/job.rs", "//! A job.\nuse crate::sink::Sink;\n"), ["src/item/job.rs:2: sink::Sink"]);
    assert_eq!(
        found("src/pipeline/drain.rs", "use crate::{\n    item::Record,\n    sink::{Sink, jsonl::Jsonl},\n};\n"),
        ["src/pipeline/drain.rs:1: sink::jsonl::Jsonl"]
    );
    assert_eq!(found("src/fetch/http.rs", "\nfn f() { crate::schedule::g() }\n"), ["src/fetch/http.rs:2: schedule::g"]);
    assert_eq!(found("src/source/file.rs", "// use crate::sink::Sink;\nlet a = \"crate::sink\";\n"), [""; 0]);
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::sink::Sink;\n}\n";
    assert_eq!(found("src/source/file.rs", tests), [""; 0]);
    assert_eq!(foreign_crates("src/in_order.rs", "use tokio::sync::mpsc;\n").len(), 1);
    assert_eq!(foreign_crates("src/item/memory.rs", "use tokio::{sync::Semaphore, time};\n").len(), 1);
}

/// Paths into the repository that a document names.
fn files_named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_start_matches("./").trim_end_matches('.'));
    let ours = ["src/", "tests/", "config/", "benches/"];
    words.filter(|word| ours.iter().any(|dir| word.starts_with(dir))).map(str::to_owned).collect()
}

#[test]
fn the_documents_name_only_files_that_exist() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let Ok(text) = fs::read_to_string(repository(document)) else { continue };
        let gone: Vec<_> = files_named(&text).into_iter().filter(|file| !repository(file).exists()).collect();
        assert!(gone.is_empty(), "{document} names {gone:?}");
    }
}

#[test]
fn files_are_found_in_the_prose_of_a_document() {
    let text = "See [the feed](src/pipeline/feed.rs), `tests/laws.rs`, ./config/fetchd.toml. And https://x/src/y.rs";
    assert_eq!(
        files_named(text).into_iter().collect::<Vec<_>>(),
        ["config/fetchd.toml", "src/pipeline/feed.rs", "tests/laws.rs"]
    );
}
