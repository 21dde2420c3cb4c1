//! JSON Pointers (RFC 6901) to values in a page.

use std::fmt;

use jsonptr::Pointer as Syntax;

/// A pointer to a value in a page; with [`Step::Each`], to several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    steps: Vec<Step>,
}

/// One token of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the value of this key, or the element of this number.
    Key(String),
    /// To each value or element: `*`, an extension of RFC 6901.
    Each,
}

impl Pointer {
    /// Parses a pointer to one value.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the key: the text is not a pointer, or has a `*`.
    pub fn to_one(text: &str) -> Result<Self, String> {
        let pointer = Self::to_each(text)?;
        if pointer.steps.contains(&Step::Each) {
            return Err(format!("is `{text}`, but `*` is allowed only in `since.from`; name one value"));
        }
        Ok(pointer)
    }

    /// Parses a pointer in which `*` stands for each element.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the key: the text is not a pointer.
    pub fn to_each(text: &str) -> Result<Self, String> {
        let syntax = Syntax::parse(text).map_err(|_| {
            format!(
                "is `{text}`, which is not a JSON Pointer (RFC 6901); write for example \"/data/items\", or \"\" for the whole page"
            )
        })?;
        let step = |token: jsonptr::Token<'_>| match token.decoded().into_owned() {
            key if key == "*" => Step::Each,
            key => Step::Key(key),
        };
        Ok(Self { text: text.to_owned(), steps: syntax.tokens().map(step).collect() })
    }

    /// The steps from the root of the page.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// Whether it leads to the value of this key.
    pub fn leads_to(&self, key: &str) -> bool {
        match self {
            Self::Key(own) => own == key,
            Self::Each => true,
        }
    }

    /// Whether it leads to the element of this number.
    pub fn leads_to_element(&self, number: u64) -> bool {
        match self {
            // RFC 6901, section 4: no leading zeros, and no sign.
            Self::Key(own) => (own == "0" || !own.starts_with(['0', '+'])) && own.parse() == Ok(number),
            Self::Each => true,
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
