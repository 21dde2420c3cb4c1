//! The fields of a request, from its query or its JSON body. Handlers take fields by their names; a field that is left
//! over is an error, so that misspelled ones do not go unnoticed.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::answer::Failure;

#[derive(Debug)]
pub(super) struct Fields {
    fields: Map<String, Value>,
    /// The names asked for.
    known: Vec<&'static str>,
}

impl Fields {
    /// The fields of a query.
    ///
    /// # Errors
    /// 400 if a name occurs twice.
    pub fn of_query(query: Option<&str>) -> Result<Self, Failure> {
        let mut fields = Map::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if fields.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(Failure::bad(format!("`{}` occurs twice in the query; keep one", name.escape_debug())));
            }
        }
        Ok(Self { fields, known: Vec::new() })
    }

    /// The fields of a JSON object; an empty body has none.
    ///
    /// # Errors
    /// 400 if the body is not a JSON object.
    pub fn of_body(body: &[u8]) -> Result<Self, Failure> {
        if body.trim_ascii().is_empty() {
            return Ok(Self { fields: Map::new(), known: Vec::new() });
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, known: Vec::new() }),
            Ok(_) => Err(Failure::bad("the body is JSON but no object; write for example {\"host\": \"example.com\"}")),
            Err(error) => Err(Failure::bad(format!(
                "the body is not JSON ({error}); write for example {{\"host\": \"example.com\"}}"
            ))),
        }
    }

    /// A text, if present.
    ///
    /// # Errors
    /// 400 if it is not a text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::bad(format!("`{name}` is not a text; write it in quotes"))),
        }
    }

    /// A value parsed from a text or a number.
    ///
    /// # Errors
    /// 400 with the message of the parser.
    pub fn parsed<T: FromStr<Err: ToString>>(&mut self, name: &'static str) -> Result<Option<T>, Failure> {
        let text = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(Failure::bad(format!("`{name}` is neither text nor a number"))),
        };
        text.parse().map(Some).map_err(|error: T::Err| Failure::bad(format!("`{name}`: {}", error.to_string())))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 if it is not from `low` to `high`.
    pub fn number(&mut self, name: &'static str, low: u64, high: u64) -> Result<Option<u64>, Failure> {
        let wrong = || Failure::bad(format!("`{name}` is not a whole number from {low} to {high}"));
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        number.filter(|number| (low..=high).contains(number)).map(Some).ok_or_else(wrong)
    }

    /// A flag: `true` and `1` set it; `false`, `0` and absence do not.
    ///
    /// # Errors
    /// 400 if it is anything else.
    pub fn wanted(&mut self, name: &'static str) -> Result<bool, Failure> {
        match self.take(name) {
            None | Some(Value::Bool(false)) => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(Value::String(text)) if text == "1" || text == "true" => Ok(true),
            Some(Value::String(text)) if text == "0" || text == "false" => Ok(false),
            Some(_) => Err(Failure::bad(format!("`{name}` is neither true nor false"))),
        }
    }

    /// One of these words.
    ///
    /// # Errors
    /// 400 if it is another word.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            Failure::bad(format!("`{name}` is none of {}", words.join(", ")))
        })
    }

    /// Checks that no field is left over.
    ///
    /// # Errors
    /// 400 with the name of an unknown field.
    pub fn end(self) -> Result<(), Failure> {
        let Some(unknown) = self.fields.keys().next() else { return Ok(()) };
        let known: Vec<_> = self.known.iter().map(|name| format!("`{name}`")).collect();
        let fix =
            if known.is_empty() { "there is none here".to_owned() } else { format!("there are {}", known.join(", ")) };
        Err(Failure::bad(format!("unknown field `{}`; {fix}", unknown.escape_debug())))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    #[test]
    fn an_error_names_the_field_and_the_values_that_it_takes() {
        let said = |body: &str| {
            let read = || -> Result<(), Failure> {
                let mut fields = Fields::of_body(body.as_bytes())?;
                fields.text("host")?;
                fields.parsed::<Span>("for")?;
                fields.number("concurrency", 1, 10)?;
                fields.wanted("force")?;
                fields.end()
            };
            read().map_or_else(|failure| failure.message, |()| String::new())
        };
        for (body, part) in [
            ("", ""),
            (" {} ", ""),
            (r#"{"host": "a", "for": "1h", "concurrency": 3, "force": true}"#, ""),
            (r#"{"host": null}"#, ""),
            (r#"{"hots": "a"}"#, "unknown field `hots`; there are `host`, `for`, `concurrency`, `force`"),
            (r#"{"host": 5}"#, "`host` is not a text"),
            (r#"{"for": "soon"}"#, "`for`: `soon` is not a duration; write for example `500ms`"),
            (r#"{"for": []}"#, "`for` is neither text nor a number"),
            (r#"{"concurrency": 0}"#, "`concurrency` is not a whole number from 1 to 10"),
            (r#"{"concurrency": 1.5}"#, "`concurrency` is not"),
            (r#"{"force": "yes"}"#, "`force` is neither true nor false"),
            ("[]", "no object"),
            ("{", "not JSON"),
            ("\u{1}", "not JSON"),
        ] {
            let said = said(body);
            assert!(said.contains(part) && said.is_empty() == part.is_empty(), "{body}: {said}");
        }
    }

    #[test]
    fn a_query_has_the_same_fields() {
        let mut fields = Fields::of_query(Some("limit=5&name=a%2Eb&history=1")).unwrap();
        assert_eq!(fields.number("limit", 1, 500).unwrap(), Some(5));
        assert_eq!(fields.text("name").unwrap().as_deref(), Some("a.b"));
        assert!(fields.wanted("history").unwrap() && fields.end().is_ok());
        let twice = Fields::of_query(Some("a=1&a=2")).unwrap_err().message;
        assert!(twice.contains("`a` occurs twice"), "{twice}");
    }
}
