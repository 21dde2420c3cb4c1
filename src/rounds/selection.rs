//! The selection of `--again`: lines by outcome, error kind or status of their newest record.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::item::{ErrorKind, Outcome};

/// A set of words. Their order does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(BTreeSet<Word>);

/// A word of a selection. A line that matches any word is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Word {
    /// Every outcome except `ok`.
    NotOk,
    Outcome(Outcome),
    Kind(ErrorKind),
    /// All statuses with this first digit.
    Hundred(u16),
    Status(u16),
}

impl Selection {
    /// Whether a record with this outcome, status and error kind is selected.
    pub fn takes(&self, outcome: Outcome, status: Option<u16>, kind: Option<&str>) -> bool {
        self.0.iter().any(|word| match word {
            Word::NotOk => outcome != Outcome::Ok,
            Word::Outcome(selected) => *selected == outcome,
            Word::Kind(selected) => kind == Some(selected.name()),
            Word::Hundred(first) => status.is_some_and(|status| status / 100 == *first),
            Word::Status(selected) => status == Some(*selected),
        })
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == text).map(Self::Outcome);
        let kind = || ErrorKind::ALL.into_iter().find(|kind| kind.name() == text).map(Self::Kind);
        let not_ok = || (text == "not_ok").then_some(Self::NotOk);
        outcome.or_else(kind).or_else(not_ok).or_else(|| status(text)).ok_or_else(|| wrong(text))
    }
}

/// `401` or `5xx`.
fn status(text: &str) -> Option<Word> {
    let digits = text.strip_suffix("xx");
    let number: u16 = digits.unwrap_or(text).parse().ok()?;
    match digits {
        Some(_) => (1..=9).contains(&number).then_some(Word::Hundred(number)),
        None => (100..=999).contains(&number).then_some(Word::Status(number)),
    }
}

fn wrong(text: &str) -> String {
    let mut words = Outcome::ALL.map(Outcome::name).to_vec();
    words.extend(ErrorKind::ALL.map(ErrorKind::name));
    words.push("not_ok");
    let near = words.into_iter().max_by(|a, b| strsim::jaro(a, text).total_cmp(&strsim::jaro(b, text)));
    let near = near.filter(|near| strsim::jaro(near, text) > 0.8);
    let hint = near.map_or_else(|| ";".to_owned(), |near| format!("; did you mean `{near}`? Otherwise"));
    format!(
        "`{text}` selects nothing{hint} write `not_ok`, outcomes (`http_error`, `failed`, `rejected`), error kinds (`timeout`), statuses (`401`, `5xx`), or several with commas: `timeout,401,5xx`"
    )
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOk => f.write_str("not_ok"),
            Self::Outcome(outcome) => f.write_str(outcome.name()),
            Self::Kind(kind) => f.write_str(kind.name()),
            Self::Hundred(first) => write!(f, "{first}xx"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.0.iter().enumerate() {
            write!(f, "{}{word}", if n > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any result of a line: its outcome, status and error kind.
    fn any_end() -> impl Strategy<Value = (Outcome, Option<u16>, Option<ErrorKind>)> {
        let kind = prop::option::of(prop::sample::select(ErrorKind::ALL.to_vec()));
        (kind, 0u32..2, prop::option::of(100u16..600)).prop_map(|(kind, attempts, status)| {
            (kind.map_or(Outcome::Ok, |kind| kind.outcome(attempts)), status, kind)
        })
    }

    fn any_word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("not_ok".to_owned()),
            prop::sample::select(Outcome::ALL.to_vec()).prop_map(|outcome| outcome.name().to_owned()),
            prop::sample::select(ErrorKind::ALL.to_vec()).prop_map(|kind| kind.name().to_owned()),
            (1u16..6).prop_map(|first| format!("{first}xx")),
            (100u16..600).prop_map(|status| status.to_string()),
        ]
    }

    fn takes_word(word: &str, (outcome, status, kind): (Outcome, Option<u16>, Option<ErrorKind>)) -> bool {
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        word == outcome.name()
            || kind.is_some_and(|kind| kind.name() == word)
            || word == status
            || (word.ends_with("xx") && status.starts_with(&word[..1]))
            || (word == "not_ok" && outcome != Outcome::Ok)
    }

    proptest! {
        #[test]
        fn a_record_is_selected_by_any_of_the_words(words in prop::collection::vec(any_word(), 1..5), end in any_end()) {
            let selection: Selection = words.join(",").parse().unwrap();
            let selected = words.iter().any(|word| takes_word(word, end));
            prop_assert_eq!(selection.takes(end.0, end.1, end.2.map(ErrorKind::name)), selected);
            let turned: Vec<_> = words.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(&turned.join(" , ").parse::<Selection>().unwrap(), &selection);
            prop_assert_eq!(selection.to_string().parse::<Selection>().unwrap(), selection);
        }
    }

    #[test]
    fn a_wrong_word_lists_the_forms_and_the_nearest_one() {
        for (text, near) in
            [("tiemout", "did you mean `timeout`?"), ("notok", "did you mean `not_ok`?"), ("", "nothing; write")]
        {
            let said = text.parse::<Selection>().unwrap_err();
            assert!(said.contains(near), "{said}");
            for form in ["not_ok", "http_error", "`401`, `5xx`", "timeout,401,5xx"] {
                assert!(said.contains(form), "{said}");
            }
        }
        for text in ["0xx", "xx", "10xx", "99", "1000", "401,", "NOT_OK", "-401", "+40"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
