//! One pass over the parsed TOML before it is read into tables: the span of each key, which values are secret, and the
//! expansion of `${NAME}` and `${file:PATH}` (`expand.rs`).

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

/// What the walk found.
pub(super) struct Prescan<'a> {
    surroundings: Surroundings<'a>,
    keys: &'a Keys,
    /// Where each key's value stands, by the key's path.
    pub places: HashMap<String, Range<usize>>,
    /// Values that no report may show.
    pub hidden: Vec<Range<usize>>,
    /// Values that came out of the environment, or out of files.
    pub expanded: Vec<(Range<usize>, Origin)>,
    /// The files that values came from.
    pub files: FileValues,
    /// What is wrong with `${NAME}` and `${file:PATH}`.
    pub problems: Vec<Problem>,
}

impl<'a> Prescan<'a> {
    /// Walks the file.
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

    /// Puts what came out of the environment and files in the place of what was written.
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

/// What is wrong with the value of a header that is empty, if it is; in `[hosts]` a file that may be read again must not be
/// empty either.
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
