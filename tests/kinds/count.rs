//! The source `count`: a URL with each number from 1 on in the place of `{}`.

use std::sync::Arc;

use fetchd::diagnostics::Section;
use fetchd::error::BoxError;
use fetchd::item::{Identity, Input, Line, Text};
use fetchd::source::{CheckContext, Durability, Inputs, SavedState, Source, SourceConfig};
use fetchd::units::Secret;
use futures::StreamExt;
use futures::stream;
use serde::{Deserialize, Serialize};

/// `[source.NAME.count]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The URL; `{}` is the number.
    pub url: String,
    /// The last number.
    pub to: u64,
    /// Whether it would take lines back.
    #[serde(default)]
    pub releases: bool,
    /// Is not used; no report shows it.
    pub token: Option<Secret<String>>,
}

impl SourceConfig for Count {
    fn check(&self, _context: &CheckContext<'_>, section: &mut Section<'_>) {
        if !self.url.contains("{}") {
            section.add(
                "url",
                "`url` has no `{}`, so all lines would be the same; write for example \"http://a.test/{}\"",
            );
        }
        if self.to == 0 {
            section.add("to", "`to` is 0, so there would be no line; write for example 10");
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs::default()
    }

    fn releases(&self) -> bool {
        self.releases
    }

    fn open(&self, name: Option<Arc<str>>, _saved: Option<SavedState>) -> Result<Source, BoxError> {
        let url = self.url.clone();
        let line = move |seq: u64| {
            let id = Identity { state_id: None, source: name.clone(), file: None, seq, round: 0 };
            let text = Text::Whole(url.replace("{}", &seq.to_string()).into());
            Ok(Input::Line(Line { id, text, position: None }))
        };
        Ok(Source::new(stream::iter((1..=self.to).map(line)).boxed(), Durability::Ephemeral))
    }
}
