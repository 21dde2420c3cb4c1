//! The key `next`: how a walk gets from page to page, in one of five forms.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Url, form_urlencoded};

use super::extract::scalar;
use super::pointer::Pointer;

/// `next` of `[source.NAME.pages]`, as configured: the keys of one form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NextTable {
    /// The relation of a link in the header `Link`.
    pub link: Option<String>,
    /// The pointer to the next URL.
    pub url: Option<String>,
    /// The pointer to a cursor, which goes into `param`.
    pub cursor: Option<String>,
    /// The parameter for the cursor.
    pub param: Option<String>,
    /// The parameter that counts items.
    pub offset: Option<String>,
    /// The number of items per page.
    pub step: Option<u32>,
    /// The parameter that counts pages.
    pub page: Option<String>,
    /// The value of the parameter in the first request.
    pub first: Option<First>,
}

/// The value of a parameter in the first request of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// A cursor.
    Text(String),
    /// The number of a page or an item, or a cursor that is a number.
    Number(u32),
}

/// How a walk gets from page to page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextForm {
    /// By the link with this relation in the header.
    Link(String),
    /// By a URL in the page.
    Url(Pointer),
    /// By a cursor in the page.
    Cursor { at: Pointer, param: String, first: Option<String> },
    /// By counting.
    Count { param: String, first: u64, step: u64 },
}

/// The forms, with the other keys that each may have.
const FORMS: [(&str, &[&str]); 5] = [
    ("link", &[]),
    ("url", &[]),
    ("cursor", &["param", "first"]),
    ("offset", &["step", "first"]),
    ("page", &["first"]),
];

const NO_FORM: &str = "`next` does not say how to get to the next page; write { link = \"next\" }, { url = \"/next\" }, { cursor = \"/meta/next\", param = \"after\" }, { offset = \"offset\", step = 100 } or { page = \"page\" }";

impl NextTable {
    /// Checks the keys and returns their form.
    ///
    /// # Errors
    /// A sentence: the keys belong to no form or to several, or a value does not fit.
    pub(super) fn form(&self) -> Result<NextForm, String> {
        self.check_keys()?;
        if let Some(relation) = &self.link {
            return Ok(NextForm::Link(not_empty("link", relation)?));
        }
        if let Some(at) = &self.url {
            return Ok(NextForm::Url(pointer("url", at)?));
        }
        if let Some(at) = &self.cursor {
            let param = self.param.as_ref().ok_or("`next` with `cursor` needs `param`, the parameter that the cursor is sent in; add for example param = \"after\"")?;
            let first = self.first.as_ref().map(ToString::to_string);
            return Ok(NextForm::Cursor { at: pointer("cursor", at)?, param: not_empty("param", param)?, first });
        }
        if let Some(param) = &self.offset {
            let step = self
                .step
                .filter(|step| *step > 0)
                .ok_or("`next` with `offset` needs `step`, how many items a page has; add for example step = 100")?;
            return Ok(NextForm::Count {
                param: not_empty("offset", param)?,
                first: self.first_number(0)?,
                step: step.into(),
            });
        }
        let param = self.page.as_ref().ok_or(NO_FORM)?;
        Ok(NextForm::Count { param: not_empty("page", param)?, first: self.first_number(1)?, step: 1 })
    }

    fn check_keys(&self) -> Result<(), String> {
        let given = self.given();
        let mut forms = FORMS.iter().filter(|(form, _)| given.contains(form));
        let (form, details) = forms.next().ok_or(NO_FORM)?;
        if let Some((other, _)) = forms.next() {
            return Err(format!(
                "`next` has both `{form}` and `{other}`, which are two ways to the next page; keep one"
            ));
        }
        let odd = given.iter().find(|key| *key != form && !details.contains(key));
        odd.map_or(Ok(()), |key| Err(format!("`next` has `{key}`, which has no effect with `{form}`; remove it")))
    }

    fn given(&self) -> Vec<&'static str> {
        let keys = [
            ("link", self.link.is_some()),
            ("url", self.url.is_some()),
            ("cursor", self.cursor.is_some()),
            ("param", self.param.is_some()),
            ("offset", self.offset.is_some()),
            ("step", self.step.is_some()),
            ("page", self.page.is_some()),
            ("first", self.first.is_some()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }

    fn first_number(&self, default: u64) -> Result<u64, String> {
        match &self.first {
            None => Ok(default),
            Some(First::Number(number)) => Ok((*number).into()),
            Some(First::Text(_)) => {
                Err("`next.first` is text, but pages and items are counted; write for example first = 1".to_owned())
            }
        }
    }
}

impl NextForm {
    /// The request for the first page.
    pub fn first(&self, url: &Url) -> Url {
        match self {
            Self::Link(_) | Self::Url(_) | Self::Cursor { first: None, .. } => url.clone(),
            Self::Cursor { param, first: Some(first), .. } => with_param(url, param, first),
            Self::Count { param, first, .. } => with_param(url, param, &first.to_string()),
        }
    }

    /// The URL or cursor of the next page; `None` on the last page.
    ///
    /// # Errors
    /// A sentence, when the page has another value there.
    pub fn read(&self, found: Option<&str>) -> Result<Option<String>, String> {
        let (at, is_url) = match self {
            Self::Link(_) | Self::Count { .. } => return Ok(None),
            Self::Url(at) => (at, true),
            Self::Cursor { at, .. } => (at, false),
        };
        let Some(json) = found.filter(|json| !matches!(*json, "null" | "false" | "\"\"")) else { return Ok(None) };
        let is_text = json.starts_with('"');
        let wanted = if is_url { "a URL" } else { "a cursor" };
        let text = scalar(json).filter(|_| is_text || !is_url);
        text.map(|text| Some(text.into_owned())).ok_or_else(|| format!("the page's value at `{at}` is not {wanted}"))
    }

    /// Whether the next page follows only from the number of this one, so that a server may return one page for ever.
    pub fn counts(&self) -> bool {
        matches!(self, Self::Count { .. })
    }

    /// The request after page `number`, whose request was `asked` and whose record has `final_url`.
    ///
    /// # Errors
    /// When the page's next URL is invalid.
    pub fn after(
        &self,
        asked: &Url,
        final_url: &Url,
        number: u64,
        next: Option<&str>,
    ) -> Result<Option<Url>, url::ParseError> {
        match (self, next) {
            (Self::Count { param, first, step }, _) => {
                let value = first.saturating_add(step.saturating_mul(number));
                Ok(Some(with_param(asked, param, &value.to_string())))
            }
            (_, None) => Ok(None),
            (Self::Cursor { param, .. }, Some(cursor)) => Ok(Some(with_param(asked, param, cursor))),
            (Self::Link(_) | Self::Url(_), Some(reference)) => {
                let mut url = final_url.join(reference)?;
                url.set_fragment(None);
                Ok(Some(url))
            }
        }
    }
}

/// Sets a query parameter, in place of all with its name. Other parameters stay as they are written.
pub(super) fn with_param(url: &Url, name: &str, value: &str) -> Url {
    let is_it = |pair: &str| form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| key == name);
    let others = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_it(pair));
    let own = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let query = others.chain([own.as_str()]).collect::<Vec<_>>().join("&");
    let mut url = url.clone();
    url.set_query(Some(&query));
    url
}

fn not_empty(key: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("`next.{key}` is empty; name the link or the parameter"));
    }
    Ok(text.to_owned())
}

fn pointer(key: &str, text: &str) -> Result<Pointer, String> {
    Pointer::to_one(text).map_err(|why| format!("`next.{key}` {why}"))
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Serialize for First {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => to.serialize_str(text),
            Self::Number(number) => to.serialize_u32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl de::Visitor<'_> for NumberOrText {
            type Value = First;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or text in quotes; write for example 1 or \"\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<First, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(number), &self);
                u32::try_from(number).map(First::Number).map_err(|_| wrong())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<First, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
                u32::try_from(number).map(First::Number).map_err(|_| wrong())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<First, E> {
                Ok(First::Text(text.to_owned()))
            }
        }
        from.deserialize_any(NumberOrText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(toml: &str) -> Result<NextForm, String> {
        toml::from_str::<NextTable>(toml).unwrap().form()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// The first request, and the request after the page of this number.
    fn requests(toml: &str, number: u64, next: Option<&str>) -> (String, Option<String>) {
        let (form, start) = (form(toml).unwrap(), url("http://a.test/v1/items?limit=2&x=%20"));
        let asked = form.first(&start);
        let after = form.after(&asked, &url("http://b.test/dir/page?q"), number, next).unwrap();
        (asked.query().unwrap().to_owned(), after.map(String::from))
    }

    #[test]
    fn each_form_has_its_requests() {
        let plain = "limit=2&x=%20".to_owned();
        for toml in ["link = \"next\"", "url = \"/next\""] {
            let (first, after) = requests(toml, 1, Some("../p2#part"));
            assert_eq!((first, after.as_deref()), (plain.clone(), Some("http://b.test/p2")));
            assert_eq!(requests(toml, 1, None).1, None);
        }
        let cursor = "cursor = \"/c\"\nparam = \"after\"";
        let (first, after) = requests(cursor, 1, Some("a b/+é"));
        assert_eq!(
            (first, after.as_deref()),
            (plain, Some("http://a.test/v1/items?limit=2&x=%20&after=a+b%2F%2B%C3%A9"))
        );
        assert_eq!(requests(&format!("{cursor}\nfirst = \"*\""), 1, Some("z")).0, "limit=2&x=%20&after=*");
        let (first, after) = requests("offset = \"offset\"\nstep = 50", 3, None);
        assert_eq!(
            (first.as_str(), after.as_deref()),
            ("limit=2&x=%20&offset=0", Some("http://a.test/v1/items?limit=2&x=%20&offset=150"))
        );
        let (first, after) = requests("page = \"p\"", 3, None);
        assert_eq!(
            (first.as_str(), after.as_deref()),
            ("limit=2&x=%20&p=1", Some("http://a.test/v1/items?limit=2&x=%20&p=4"))
        );
        assert_eq!(requests("page = \"p\"\nfirst = 0", 1, None).1.unwrap(), "http://a.test/v1/items?limit=2&x=%20&p=1");
    }

    #[test]
    fn a_parameter_replaces_those_of_its_name() {
        for (before, after) in [
            ("http://a.test/", "http://a.test/?a%5B0%5D=1+2"),
            ("http://a.test/?", "http://a.test/?a%5B0%5D=1+2"),
            ("http://a.test/?a%5b0%5d=9&b=%7e&a[0]=8&a=7", "http://a.test/?b=%7e&a=7&a%5B0%5D=1+2"),
        ] {
            assert_eq!(with_param(&url(before), "a[0]", "1 2").as_str(), after);
        }
    }

    #[test]
    fn values_that_end_a_walk_are_told_from_wrong_ones() {
        let (by_url, cursor) = (form("url = \"/n\"").unwrap(), form("cursor = \"/n\"\nparam = \"c\"").unwrap());
        for found in [None, Some("null"), Some("\"\""), Some("false")] {
            assert_eq!((by_url.read(found), cursor.read(found)), (Ok(None), Ok(None)));
        }
        assert_eq!(by_url.read(Some("\"/2\"")), Ok(Some("/2".to_owned())));
        assert_eq!(cursor.read(Some("0")), Ok(Some("0".to_owned())), "a cursor can be 0");
        for wrong in ["true", "[1]", "{}", "\"\\ud800\""] {
            assert!(by_url.read(Some(wrong)).is_err() && cursor.read(Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(by_url.read(Some("7")), Err("the page's value at `/n` is not a URL".to_owned()));
    }

    #[test]
    fn keys_that_do_not_fit_together_are_named_with_the_fix() {
        for (toml, said) in [
            ("", "write { link = \"next\" }"),
            ("step = 5", "does not say how to get to the next page"),
            ("link = \"next\"\npage = \"p\"", "both `link` and `page`"),
            ("link = \"next\"\nstep = 5", "`step`, which has no effect with `link`"),
            ("page = \"p\"\nparam = \"x\"", "`param`, which has no effect with `page`"),
            ("cursor = \"/c\"", "needs `param`"),
            ("offset = \"o\"", "needs `step`"),
            ("offset = \"o\"\nstep = 0", "needs `step`"),
            ("page = \"p\"\nfirst = \"1\"", "write for example first = 1"),
            ("url = \"next\"", "`next.url` is `next`, which is not a JSON Pointer"),
            ("url = \"/a/*\"", "`*` is allowed only in `since.from`"),
            ("cursor = \"/c\"\nparam = \"\"", "`next.param` is empty"),
            ("link = \"\"", "`next.link` is empty"),
        ] {
            let wrong = form(toml).unwrap_err();
            assert!(wrong.contains(said), "{toml}: {wrong}");
        }
    }
}
