//! What stands for something else in strings of the configuration: `${NAME}` for a variable of the environment, `${file:PATH}`
//! for the content of a file, and `$$` for a dollar sign. What they stand for is taken as it is.

use std::path::{Path, PathBuf};

use crate::units::{Template, read_content};

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a text is expanded in.
#[derive(Clone)]
pub(super) struct Surroundings<'a> {
    env: Env<'a>,
    files: Files,
}

/// Where `${file:PATH}` looks.
#[derive(Clone)]
enum Files {
    /// In this directory, unless the path is absolute.
    In(PathBuf),
    /// Nowhere: the text is that of a flag.
    Refused,
}

/// A text without dollar signs that stand for anything.
pub(super) struct Expanded {
    pub text: String,
    /// Its pieces.
    pub template: Template,
}

impl<'a> Surroundings<'a> {
    /// Those of a configuration file: paths begin at `$CREDENTIALS_DIRECTORY`, or else at the directory of that file.
    pub fn of_file(path: &Path, env: Env<'a>) -> Self {
        let credentials = env("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let dir = credentials.unwrap_or_else(|| path.parent().unwrap_or(Path::new("")).to_owned());
        Self { env, files: Files::In(dir) }
    }

    /// Those of a flag, which reads no files.
    pub fn of_flag(env: Env<'a>) -> Self {
        Self { env, files: Files::Refused }
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        (self.env)(name).ok_or_else(|| {
            format!(
                "needs the environment variable `{name}`, which is not set; set it, or write `$$` for a dollar sign"
            )
        })
    }

    /// The file of this path, and its content.
    fn file(&self, path: &str) -> Result<(PathBuf, String), String> {
        let Files::In(dir) = &self.files else {
            return Err(
                "has `${file:PATH}`, which stands for the content of a file only in the configuration file; write it there"
                    .to_owned(),
            );
        };
        if path.is_empty() || path.contains('$') {
            return Err("has `${file:...}` without a plain path; write for example `${file:token}`, without variables"
                .to_owned());
        }
        let path = dir.join(path);
        match read_content(&path) {
            Ok(content) => Ok((path, content)),
            Err(clause) => {
                Err(format!("needs the file {}, {clause}; write `$$` where a dollar sign is meant", path.display()))
            }
        }
    }
}

/// Puts in what dollar signs stand for.
///
/// # Errors
/// What is said of the text: what is missing.
pub(super) fn expand(text: &str, surroundings: &Surroundings<'_>) -> Result<Expanded, String> {
    let mut template = Template::default();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        template.push_text(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            template.push_text("$");
            rest = after;
        } else if let Some((path, after)) = rest.strip_prefix("{file:").and_then(|rest| rest.split_once('}')) {
            let (path, content) = surroundings.file(path)?;
            template.push_file(path, content);
            rest = after;
        } else if let Some((name, after)) = variable(rest) {
            template.push_text(&surroundings.variable(name)?);
            rest = after;
        } else {
            return Err(
                "has a dollar sign that stands alone; write `${NAME}` for a variable, or `$$` for a dollar sign (and `${file:PATH}` for the content of a file)"
                    .to_owned(),
            );
        }
    }
    template.push_text(rest);
    Ok(Expanded { text: template.render(|_| None), template })
}

/// Refuses the value of a header of `-H` that would have the content of a file if it stood in a configuration file.
///
/// # Errors
/// A sentence that names the header.
pub fn refuse_file_in_flag(name: &str, value: &str) -> Result<(), String> {
    if !value.replace("$$", "").contains("${file:") {
        return Ok(());
    }
    Err(format!(
        "-H reads no files, so `${{file:...}}` in the header `{name}` would go out as it stands; write the header under [hosts] in a configuration file"
    ))
}

/// The name in `{NAME}` and what comes after it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, after))
}
