//! Which module may import which (ARCHITECTURE.md, "Imports"), how long files
//! may be, and that the documents name only what exists.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod circles;
mod paths;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use paths::{Named, code, module_of, paths_from, repository, sources};

/// Modules that know nobody, and that anybody may know.
const LEAVES: [&str; 9] =
    ["diagnostics", "disk", "error", "hosts", "listener", "open_files", "registry", "resource_limits", "units"];

/// Whom each module may know besides the leaves. `MODULE` is all that its `mod.rs` says, `MODULE::Name` that name alone.
const MAY_KNOW: [(&str, &[&str]); 28] = [
    ("diagnostics", &[]),
    ("registry", &[]),
    ("disk", &[]),
    ("error", &[]),
    ("hosts", &[]),
    ("listener", &[]),
    ("open_files", &[]),
    ("resource_limits", &[]),
    ("units", &[]),
    ("in_order", &[]),
    ("item", &[]),
    ("schedule", &["item"]),
    ("journal", &["item"]),
    ("rounds", &["item"]),
    ("source", &["item", "journal", "rounds"]),
    ("fetch", &["item"]),
    ("output", &["item"]),
    ("ship", &["output"]),
    ("sink", &["item", "output", "ship"]),
    ("results", &["item"]),
    (
        "state",
        &[
            "item",
            "journal",
            "rounds",
            "schedule::HostState",
            "schedule::ConcurrencyOverride",
            "schedule::HostOverrides",
            "schedule::KnownRobots",
            "schedule::KnownRules",
            "schedule::OpenCircuit",
            "schedule::Overrides",
            "schedule::PauseOverride",
            "schedule::RateOverride",
            "schedule::SkipOverride",
        ],
    ),
    (
        "pipeline",
        &[
            "item",
            "in_order",
            "schedule",
            "source::Source",
            "source::Durability",
            "source::Release",
            "source::SourceMeter",
            "source::SourceView",
            "state::Settle",
            "state::CommitClock",
            "state::HostStateStore",
            "state::LastRun",
            "fetch::ConnectionCounts",
            "fetch::LookUpCounts",
            "fetch::Fetch",
            "fetch::RefreshTokens",
            "ship::Shipper",
            "ship::Backlog",
            "sink::Sink",
            "sink::EndReason",
            "sink::SinkMeter",
            "sink::SinkView",
            "sink::BodyFormat",
        ],
    ),
    (
        "config",
        &[
            "item::CHUNK",
            "item::is_credential",
            "item::parse_header",
            "item::parse_method",
            "item::Needs",
            "source::self",
            "source::SourceConfig",
            "source::CheckContext",
            "source::Inputs",
            "sink::self",
            "sink::SinkConfig",
            "sink::Target",
            "sink::Content",
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
            "pipeline::Order",
            "pipeline::QueueConfig",
            "pipeline::OutputConfig",
            "pipeline::ShutdownConfig",
            "state::StateConfig",
            "telemetry::LogConfig",
            "ops::ApiConfig",
        ],
    ),
    // It wraps the seams and reads the status; nobody but the API and the composition root knows it.
    (
        "telemetry",
        &[
            "item",
            "fetch::ConnectionCounts",
            "fetch::LookUpResult",
            "sink::Sink",
            "sink::SinkView",
            "source::SourceView",
            "pipeline::MemoryUse",
            "pipeline::RequestClass",
            "pipeline::RunState",
            "pipeline::Status",
            "pipeline::View",
            "schedule::ConcurrencyOverride",
            "schedule::HostOverrides",
            "schedule::LimitsOverride",
            "schedule::Overrides",
            "schedule::PauseOverride",
            "schedule::SkipOverride",
            "ship::Backlog",
            "schedule::Bottleneck",
            "schedule::BottleneckKind",
            "schedule::Eta",
            "schedule::HeldLines",
            "schedule::HostStatus",
            "schedule::InputEnd",
            "schedule::LimitBy",
            "schedule::RetryDenial",
        ],
    ),
    // It shows what the stages publish; whoever carries out verbs comes to it as a trait object.
    (
        "ops",
        &[
            "item",
            "pipeline",
            "schedule",
            "telemetry",
            "ship::Backlog",
            "sink::Sink",
            "sink::Encoder",
            "sink::Style",
            "sink::Content",
            "sink::BodyFormat",
            "sink::Wanted",
            "sink::SinkView",
            "source::SourceView",
            "source::SourceLines",
            "source::JournalView",
        ],
    ),
    // It talks to a run in another process, and knows no part of one.
    ("ctl", &["cli", "config::api_socket", "telemetry::human"]),
    ("lib", &[]),
    ("main", &["cli", "ctl", "daemon", "demo"]),
];

/// The composition root and what stands above it.
const KNOW_EVERYTHING: [&str; 3] = ["cli", "daemon", "demo"];

/// The crates that these modules may use; others may use any.
const CRATES: [(&str, &[&str]); 2] = [
    ("in_order", &["std"]),
    (
        "item",
        &["std", "serde", "serde_json", "http", "url", "bytes", "base64", "memchr", "httpdate", "jiff", "tokio::sync"],
    ),
];

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
    let sources = fetchd::source::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
    let sinks = fetchd::sink::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
    for (seam, kinds) in [("source", sources), ("sink", sinks)] {
        assert!(kinds.len() > 1);
        for kind in &kinds {
            let alone = format!("src/{seam}/{kind}.rs");
            let file = if repository(&alone).exists() { alone } else { format!("src/{seam}/{kind}/mod.rs") };
            let named = paths_from("super", &code(&fs::read_to_string(repository(&file)).unwrap()));
            let mut others = kinds.iter().filter(|other| *other != kind);
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

/// Lines that a file may have, its unit tests left out.
const LONGEST_FILE: usize = 300;

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let lengths = sources().into_iter().map(|(file, text)| (code(&text).trim_end().lines().count(), file));
    let too_long: Vec<_> = lengths.filter(|(lines, _)| *lines > LONGEST_FILE).collect();
    assert!(too_long.is_empty(), "{too_long:?}");
}

/// Paths into the repository that a document names.
fn files_named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_start_matches("./").trim_end_matches('.'));
    let ours = ["src/", "tests/", "config/", "benches/", "docs/"];
    // A page in `docs` links to files above itself.
    let words = words.map(|word| word.trim_start_matches("../"));
    words.filter(|word| ours.iter().any(|dir| word.starts_with(dir))).map(str::to_owned).collect()
}

#[test]
fn the_documents_name_only_files_that_exist() {
    let pages = fs::read_dir(repository("docs")).unwrap();
    let pages = pages.map(|page| format!("docs/{}", page.unwrap().file_name().display()));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned);
    for document in pages.chain(others) {
        let text = fs::read_to_string(repository(&document)).unwrap();
        let gone: Vec<_> = files_named(&text).into_iter().filter(|file| !repository(file).exists()).collect();
        assert!(gone.is_empty(), "{document} names {gone:?}");
    }
}

#[test]
fn files_are_found_in_the_prose_of_a_document() {
    let text = "See [the feed](src/pipeline/feed.rs), `tests/laws.rs`, ./config/fetchd.toml, ../benches/x. And https://x/src/y.rs";
    assert_eq!(
        files_named(text).into_iter().collect::<Vec<_>>(),
        ["benches/x", "config/fetchd.toml", "src/pipeline/feed.rs", "tests/laws.rs"]
    );
}
