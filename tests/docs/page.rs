//! A page and its fenced blocks.

use std::fs;
use std::path::{Path, PathBuf};

/// A page in Markdown.
pub struct Page {
    /// Its path in the repository.
    pub path: String,
    pub text: String,
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The heading above it.
    pub section: String,
    pub language: String,
    pub text: String,
    /// The HTML comment on the line before it: what a reader does not see, and a test has to know.
    pub note: Option<String>,
    /// The line on which it begins.
    pub line: usize,
}

pub fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One page.
pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(repository(path)).unwrap();
    Page { path: path.to_owned(), blocks: blocks(&text), text }
}

/// The README and every page of `docs/`.
pub fn pages() -> Vec<Page> {
    let docs = fs::read_dir(repository("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut paths: Vec<_> = docs.map(|name| format!("docs/{}", name.to_str().unwrap())).collect();
    paths.push("README.md".to_owned());
    paths.sort();
    paths.iter().filter(|path| path.ends_with(".md")).map(|path| page(path)).collect()
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut section, mut note) = (Vec::new(), String::new(), None);
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text = inside.map(|line| format!("{line}\n")).collect();
            let (section, language) = (section.clone(), language.to_owned());
            blocks.push(Block { section, language, text, note: note.take(), line: at + 1 });
        } else if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        } else {
            let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            note = comment.map(str::to_owned);
        }
    }
    blocks
}

impl Block {
    /// The name of the file that the block is: its first line, as a comment.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        (name.ends_with(".toml") && !name.contains(' ')).then_some(name)
    }

    /// Why a block of commands is not run, where a test does not.
    pub fn is_not_run(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.starts_with("not run: "))
    }
}

#[test]
fn blocks_are_found_with_their_section_note_and_file() {
    let text = "# T\n\n## One\n\n```toml\n# a.toml\nx = 1\n```\n\n<!-- not run: no -->\n```sh\nls\n```\n## Two\n```sh\npwd\n```\n";
    let found = blocks(text);
    let seen: Vec<_> = found.iter().map(|b| (b.section.as_str(), b.file_name(), b.is_not_run(), b.line)).collect();
    assert_eq!(seen, [("One", Some("a.toml"), false, 5), ("One", None, true, 11), ("Two", None, false, 15)]);
    assert_eq!(found[1].text, "ls\n");
}
