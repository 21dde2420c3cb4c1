//! `${file:PATH}`: the content of a file within a text of the configuration. A [`Template`] keeps the pieces of the
//! text, so that it can be rendered again when the file changes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Secret;

/// The longest content; the files hold tokens, not data.
const MOST_BYTES: u64 = 64 << 10;

/// A text with the contents of files in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A fixed text, which may be the value of a variable and secret.
    Text(Secret<String>),
    /// A file and its content at the start.
    File(PathBuf, Secret<String>),
}

impl Template {
    /// Adds a fixed text.
    pub fn push_text(&mut self, text: &str) {
        self.0.push(Piece::Text(Secret::new(text.to_owned())));
    }

    /// Adds a file with its current content.
    pub fn push_file(&mut self, path: PathBuf, content: String) {
        self.0.push(Piece::File(path, Secret::new(content)));
    }

    /// The files, each with its content at the start.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::File(path, content) => Some((path.as_path(), content.expose().as_str())),
            Piece::Text(_) => None,
        })
    }

    /// The whole text with these contents of its files.
    pub fn render<'a>(&'a self, mut content: impl FnMut(&Path) -> Option<&'a str>) -> String {
        let text = |piece: &'a Piece| match piece {
            Piece::Text(text) => text.expose().as_str(),
            Piece::File(path, first) => content(path).unwrap_or(first.expose()),
        };
        self.0.iter().map(text).collect()
    }
}

/// Reads a file for `${file:PATH}`, without one trailing line end.
///
/// # Errors
/// A clause for a file that cannot be read, is not regular (a pipe could block for ever), is too long, or is not UTF-8.
pub fn read_content(path: &Path) -> Result<String, String> {
    let clause = |error: io::Error| format!("which cannot be read: {error}");
    if !path.metadata().map_err(clause)?.is_file() {
        return Err("which is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(clause)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(clause)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("which is longer than 64 KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "which is not text in UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_line_end_is_not_part_of_the_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (bytes, content) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a ", "a "), ("", ""), ("a\r", "a\r")]
        {
            std::fs::write(file.path(), bytes).unwrap();
            assert_eq!(read_content(file.path()).as_deref(), Ok(content), "{bytes:?}");
        }
    }

    #[test]
    fn only_a_short_text_in_a_regular_file_is_accepted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (bytes, said) in
            [(vec![b'a'; 64 << 10], None), (vec![b'a'; (64 << 10) + 1], Some("64 KiB")), (vec![0xff], Some("UTF-8"))]
        {
            std::fs::write(file.path(), bytes).unwrap();
            let read = read_content(file.path());
            assert_eq!(read.is_err(), said.is_some());
            assert!(read.err().unwrap_or_default().contains(said.unwrap_or_default()));
        }
        assert!(read_content(Path::new("/")).unwrap_err().contains("not a file"));
        assert!(read_content(&file.path().join("none")).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_template_never_shows_its_text() {
        let mut template = Template::default();
        template.push_text("Bearer ");
        template.push_file("token".into(), "s3cr3t".to_owned());
        assert_eq!(template.render(|_| None), "Bearer s3cr3t");
        assert_eq!(template.render(|_| Some("other")), "Bearer other");
        assert!(!format!("{template:?}").contains("s3cr3t"), "{template:?}");
    }
}
