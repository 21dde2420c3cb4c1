//! Expands strings of the configuration: `${NAME}` is an environment variable, `${file:PATH}` the content of a file,
//! and `$$` a dollar sign. Expanded values are not expanded again.

use std::path::{Path, PathBuf};

use crate::units::{Template, read_content};

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of an expansion.
#[derive(Clone)]
pub(super) struct Surroundings<'a> {
    env: Env<'a>,
    files: Files,
}

/// How `${file:PATH}` is resolved.
#[derive(Clone)]
enum Files {
    /// Relative to this directory.
    In(PathBuf),
    /// Not at all, because the text is from a flag.
    Refused,
}

/// An expanded text.
pub(super) struct Expanded {
    pub text: String,
    /// The pieces of the text.
    pub template: Template,
}

impl<'a> Surroundings<'a> {
    /// For a configuration file: paths are relative to `$CREDENTIALS_DIRECTORY` if set, or else to the directory of the
    /// file.
    pub fn of_file(path: &Path, env: Env<'a>) -> Self {
        let credentials = env("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let dir = credentials.unwrap_or_else(|| path.parent().unwrap_or(Path::new("")).to_owned());
        Self { env, files: Files::In(dir) }
    }

    /// For a flag, which reads no files.
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

    /// Reads the file at this path.
    fn file(&self, path: &str) -> Result<(PathBuf, String), String> {
        let Files::In(dir) = &self.files else {
            return Err("has `${file:PATH}`, which works only in the configuration file; write it there".to_owned());
        };
        if path.is_empty() || path.contains('$') {
            return Err("has `${file:...}` without a plain path; write for example `${file:token}`, without variables"
                .to_owned());
        }
        let path = dir.join(path);
        match read_content(&path) {
            Ok(content) => Ok((path, content)),
            Err(clause) => Err(format!("needs the file {}, {clause}", path.display())),
        }
    }
}

/// Expands variables and files in a text.
///
/// # Errors
/// The predicate of a sentence about the text: the missing variable or file.
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
                "has a dollar sign without a name; write `${NAME}` for a variable, or `$$` for a dollar sign (and `${file:PATH}` for the content of a file)"
                    .to_owned(),
            );
        }
    }
    template.push_text(rest);
    Ok(Expanded { text: template.render(|_| None), template })
}

/// Refuses `${file:PATH}` in the value of a `-H` header, which is not expanded.
///
/// # Errors
/// A sentence that names the header.
pub fn refuse_file_in_flag(name: &str, value: &str) -> Result<(), String> {
    if !value.replace("$$", "").contains("${file:") {
        return Ok(());
    }
    Err(format!(
        "-H reads no files, so `${{file:...}}` in the header `{name}` would be sent unchanged; write the header under [hosts] in a configuration file"
    ))
}

/// Splits `{NAME}` from the rest of a text.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, after))
}
