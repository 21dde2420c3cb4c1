//! One pass over the parsed TOML before it is read into tables: the span of each key, which values are secret, and the
//! expansion of `${NAME}` from the environment.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Keys, TABLES, name};
use crate::diagnostics::Problem;

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the walk found.
pub(super) struct Prescan<'a> {
    env: Env<'a>,
    keys: &'a Keys,
    /// Where each key's value stands, by the key's path.
    pub places: HashMap<String, Range<usize>>,
    /// Values that no report may show.
    pub hidden: Vec<Range<usize>>,
    /// Values that came out of the environment.
    pub expanded: Vec<Range<usize>>,
    /// What is wrong with `${NAME}`.
    pub problems: Vec<Problem>,
}

impl<'a> Prescan<'a> {
    /// Walks the file.
    pub fn of(root: &mut DeTable<'_>, env: Env<'a>, keys: &'a Keys) -> Self {
        let (places, hidden, expanded, problems) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        let mut prescan = Self { env, keys, places, hidden, expanded, problems };
        prescan.table(&[], Visibility::Shown, root);
        prescan
    }

    fn table(&mut self, path: &[&str], visibility: Visibility, table: &mut DeTable<'_>) {
        for (key, value) in table.iter_mut() {
            let path = [path, &[key.get_ref()]].concat();
            self.places.insert(path.join("."), value.span());
            self.value(&path, visibility.of(&path, value.get_ref(), self.keys), value);
        }
    }

    fn value(&mut self, path: &[&str], visibility: Visibility, value: &mut Spanned<DeValue<'_>>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::Table(table) => return self.table(path, visibility, table),
            DeValue::Array(array) => return array.iter_mut().for_each(|item| self.value(path, visibility, item)),
            DeValue::String(text) if text.contains('$') => match expand(text, self.env) {
                Ok(expanded) if expanded.is_empty() && is_header(path) => {
                    let message = format!(
                        "`{}` is {text}, which is empty; set the variable, or leave the header out",
                        name(path)
                    );
                    self.problems.push(Problem::at(span.clone(), message));
                }
                Ok(expanded) => {
                    self.expanded.push(span.clone());
                    *text = Cow::Owned(expanded);
                }
                Err(message) => {
                    let message = format!("`{}` {message}", name(path));
                    self.problems.push(Problem::at(span.clone(), message));
                }
            },
            _ => {}
        }
        if visibility == Visibility::Hidden {
            self.hidden.push(span);
        }
    }
}

/// Whether this is the path of a header's value.
fn is_header(path: &[&str]) -> bool {
    matches!(path, ["fetch", "headers", _] | ["hosts", _, "headers", _])
}

/// Whether a report may show a value. What is not known to be harmless is hidden, so that a secret under a misspelled
/// or misplaced key is, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Shown,
    Hidden,
}

impl Visibility {
    fn of(self, path: &[&str], value: &DeValue<'_>, keys: &Keys) -> Self {
        let harmless = match (path, value) {
            (["source" | "sink" | "hosts", _] | ["source" | "sink", _, _], DeValue::Table(_)) => true,
            ([table], DeValue::Table(_)) => TABLES.contains(table),
            (_, DeValue::Table(_)) => false,
            ([.., key], _) => keys.is_shown(key),
            ([], _) => true,
        };
        if self == Self::Shown && harmless { Self::Shown } else { Self::Hidden }
    }
}

/// Replaces `${NAME}` by the environment's value and `$$` by a dollar sign.
fn expand(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = variable(rest) {
            let value = env(name).ok_or_else(|| {
                format!(
                    "needs the environment variable `{name}`, which is not set; set it, or write `$$` for a dollar sign"
                )
            })?;
            out.push_str(&value);
            rest = after;
        } else {
            return Err(
                "has a dollar sign that stands alone; write `${NAME}` for a variable, or `$$` for a dollar sign"
                    .to_owned(),
            );
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The name in `{NAME}` and what comes after it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, after))
}
