//! A pass over the parsed TOML before it is read into tables: collects the spans of keys, detects secret values, and
//! expands `${NAME}` and `${file:PATH}` (`expand.rs`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand::{Expanded, Surroundings, expand};
use super::explain::Origin;
use super::file_values::FileValues;
use super::keys::{Keys, TABLES, name};
use crate::diagnostics::Problem;

/// The result of the pass.
pub(super) struct Prescan<'a> {
    surroundings: Surroundings<'a>,
    keys: &'a Keys,
    /// The spans of values by key path.
    pub places: HashMap<String, Range<usize>>,
    /// The spans of values that no report may show.
    pub hidden: Vec<Range<usize>>,
    /// The spans of expanded values, with their origins.
    pub expanded: Vec<(Range<usize>, Origin)>,
    /// The files in values.
    pub files: FileValues,
    /// The problems of expansions.
    pub problems: Vec<Problem>,
}

impl<'a> Prescan<'a> {
    /// Scans the whole file.
    pub fn of(root: &mut DeTable<'_>, surroundings: Surroundings<'a>, keys: &'a Keys) -> Self {
        let (places, hidden, expanded, problems) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        let mut prescan = Self { surroundings, keys, places, hidden, expanded, files: FileValues::default(), problems };
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
            DeValue::String(text) if text.contains('$') => match expand(text, &self.surroundings) {
                Ok(expanded) => self.replace(path, span.clone(), text, expanded),
                Err(message) => {
                    self.problems.push(Problem::at(span.clone(), format!("`{}` {message}", name(path))));
                }
            },
            _ => {}
        }
        if visibility == Visibility::Hidden {
            self.hidden.push(span);
        }
    }

    /// Replaces a value by its expansion.
    fn replace(&mut self, path: &[&str], span: Range<usize>, text: &mut Cow<'_, str>, expanded: Expanded) {
        let empty = is_header(path).then(|| what_is_empty(path, text, &expanded)).flatten();
        if let Some(message) = empty {
            return self.problems.push(Problem::at(span, format!("`{}` {message}", name(path))));
        }
        let origin = if expanded.template.files().next().is_some() { Origin::Contents } else { Origin::Environment };
        self.expanded.push((span, origin));
        self.files.note(path, &expanded.template);
        *text = Cow::Owned(expanded.text);
    }
}

/// The problem of an empty header value, if it is empty. In `[hosts]`, a token file must not be empty either.
fn what_is_empty(path: &[&str], text: &str, expanded: &Expanded) -> Option<String> {
    if let ["hosts", ..] = path
        && let Some((file, _)) = expanded.template.files().find(|(_, content)| content.is_empty())
    {
        return Some(format!("needs the file {}, which is empty; write the token into it", file.display()));
    }
    expanded.text.is_empty().then(|| {
        let fix = if expanded.template.files().next().is_some() { "fill the file" } else { "set the variable" };
        format!("is {text}, which is empty; {fix}, or leave the header out")
    })
}

/// Whether this is the key path of a header.
fn is_header(path: &[&str]) -> bool {
    matches!(path, ["fetch", "headers", _] | ["hosts", _, "headers", _])
}

/// Whether a report may show a value. Values of unknown keys are hidden because a secret may be under a misspelled or
/// misplaced key.
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
