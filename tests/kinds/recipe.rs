//! CONTRIBUTING.md's recipes, walked with the kinds that are there: each is one file or folder, its `mod` line and its row,
//! and no other part of the program names it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fetchd::{sink, source};

/// The parts of a recipe: the folder, the trait, and the names of the kinds in the registry.
struct Seam {
    title: &'static str,
    dir: &'static str,
    contract: &'static str,
    kinds: Vec<&'static str>,
}

fn seams() -> [Seam; 2] {
    let sources = source::KINDS.iter().map(|kind| kind.name).collect();
    let sinks = sink::KINDS.iter().map(|kind| kind.name).collect();
    [
        Seam { title: "## Add a source", dir: "src/source", contract: "SourceConfig", kinds: sources },
        Seam { title: "## Add a sink", dir: "src/sink", contract: "SinkConfig", kinds: sinks },
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, into) } else { into.push(path) }
    }
}

/// The files of a kind, by their paths from the repository.
fn files_of(seam: &Seam, kind: &str) -> Vec<String> {
    let (alone, dir) = (format!("{}/{kind}.rs", seam.dir), format!("{}/{kind}", seam.dir));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join(&alone).exists() {
        return vec![alone];
    }
    let mut files = Vec::new();
    walk(&root.join(&dir), &mut files);
    files.iter().map(|file| file.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
}

/// Every source file outside of a folder.
fn others(dir: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(&root.join("src"), &mut files);
    files.retain(|file| !file.starts_with(root.join(dir)));
    files
}

#[test]
fn a_kind_is_its_file_its_mod_line_and_its_row() {
    for seam in seams() {
        let registry = read(&format!("{}/mod.rs", seam.dir));
        for kind in &seam.kinds {
            assert_eq!(registry.matches(&format!("mod {kind};")).count(), 1, "{kind}");
            assert_eq!(registry.matches(&format!(">(\"{kind}\", |")).count(), 1, "{kind}");
            let implements = |file: &String| read(file).contains(&format!("impl {} for", seam.contract));
            assert_eq!(files_of(&seam, kind).iter().filter(|file| implements(file)).count(), 1, "{kind}");
        }
    }
}

#[test]
fn no_other_part_of_the_program_names_a_kind() {
    for (seam, structs) in
        seams().iter().zip([&["Stdin", "File", "Pages", "Http"][..], &["Stdout", "Jsonl", "Webhook"]])
    {
        let module = seam.dir.trim_start_matches("src/");
        for file in others(seam.dir) {
            let text = fs::read_to_string(&file).unwrap();
            let imports: String = text.split(';').filter(|item| item.contains(&format!("{module}::"))).collect();
            let words: BTreeSet<_> = imports.split(|c: char| !c.is_alphanumeric()).collect();
            let named: Vec<_> = structs.iter().filter(|name| words.contains(**name)).collect();
            assert!(named.is_empty(), "{} names {named:?}", file.display());
        }
    }
}

#[test]
fn the_recipes_name_what_there_is() {
    let text = read("CONTRIBUTING.md");
    let mut files = others("src/nothing");
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance"), &mut files);
    let src: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let code = src.lines().filter(|line| !line.trim_start().starts_with("//"));
    let known: BTreeSet<_> = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    let recipe = |title: &str| text.split(title).nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    for title in seams().map(|seam| seam.title).into_iter().chain(["## Add an error kind"]) {
        let recipe = recipe(title);
        let code: Vec<_> = recipe.split('`').skip(1).step_by(2).filter(|code| !code.contains(['/', ' '])).collect();
        for word in code.iter().flat_map(|code| code.split("::")) {
            assert!(known.contains(word), "{title}: {word}");
        }
        assert!(!code.is_empty());
    }
    for seam in seams() {
        let recipe = recipe(seam.title);
        assert!(recipe.contains(seam.contract) && recipe.contains("KINDS"), "{}", seam.title);
    }
}
