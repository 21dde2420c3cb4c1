//! Extracts values from the JSON of a page in one pass, without building other values. Items are only counted.
//!
//! If an object has a key twice, the last one counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::moment::Moment;
use super::pointer::{Pointer, Step};

/// The pointers to the values that a walk needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointers {
    /// The items.
    pub items: Option<Pointer>,
    /// Whether there are more pages.
    pub more: Option<Pointer>,
    /// The next page: a URL or a cursor.
    pub next: Option<Pointer>,
    /// The times of the items.
    pub times: Option<Pointer>,
}

impl Pointers {
    /// Whether no value of a page is needed.
    pub fn are_none(&self) -> bool {
        self.all().next().is_none()
    }

    fn all(&self) -> impl Iterator<Item = (Wanted, &[Step])> {
        let all = [
            (Wanted::Items, &self.items),
            (Wanted::More, &self.more),
            (Wanted::Next, &self.next),
            (Wanted::Time, &self.times),
        ];
        all.into_iter().filter_map(|(wanted, pointer)| Some((wanted, pointer.as_ref()?.steps())))
    }
}

/// The kinds of values that a walk needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Items,
    More,
    Next,
    Time,
}

/// The extracted values; `None` if the page has no value there.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// The items.
    pub items: Option<Items>,
    /// The JSON text at `more`.
    pub more: Option<&'a str>,
    /// The JSON text at `next`.
    pub next: Option<&'a str>,
    /// The newest of the times. Values that are not times are skipped.
    pub newest: Option<Moment>,
}

/// The value at `items`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    /// A list or an object with this many items; `null` has none.
    Of(u64),
    /// A value that cannot have items.
    Scalar,
}

/// Extracts the values of a page.
///
/// # Errors
/// When the page is not JSON.
pub(super) fn extract<'a>(page: &'a [u8], pointers: &Pointers) -> serde_json::Result<Found<'a>> {
    let mut found = Found::default();
    let mut reader = serde_json::Deserializer::from_slice(page);
    Place { wanted: pointers.all().collect(), found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// A value of the page, and the steps from it to the needed values.
struct Place<'p, 'f, 'a> {
    wanted: Vec<(Wanted, &'p [Step])>,
    found: &'f mut Found<'a>,
}

impl<'p, 'a> Place<'p, '_, 'a> {
    /// Whether this value itself is needed as `what`.
    fn is_wanted(&self, what: Wanted) -> bool {
        self.wanted.iter().any(|(wanted, steps)| *wanted == what && steps.is_empty())
    }

    /// The value one step down.
    fn below(&mut self, leads_there: impl Fn(&Step) -> bool) -> Place<'p, '_, 'a> {
        let one_down = |(wanted, steps): &(Wanted, &'p [Step])| {
            let (first, rest) = steps.split_first()?;
            leads_there(first).then_some((*wanted, rest))
        };
        Place { wanted: self.wanted.iter().filter_map(one_down).collect(), found: self.found }
    }

    fn note(&mut self, what: Wanted, text: &'a str) {
        match what {
            Wanted::Next => self.found.next = Some(text),
            Wanted::More => self.found.more = Some(text),
            Wanted::Time => {
                let Some(time) = scalar(text).and_then(|text| text.parse::<Moment>().ok()) else { return };
                let before = self.found.newest.take();
                self.found.newest = Some(before.map_or(time.clone(), |before| before.newer(time)));
            }
            Wanted::Items => {}
        }
    }
}

impl<'a> DeserializeSeed<'a> for Place<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(mut self, from: D) -> Result<(), D::Error> {
        if self.wanted.is_empty() {
            return from.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        let texts = [Wanted::Next, Wanted::More, Wanted::Time];
        let here: Vec<_> = texts.into_iter().filter(|what| self.is_wanted(*what)).collect();
        if here.is_empty() {
            return from.deserialize_any(self);
        }
        let text = <&RawValue as serde::Deserialize>::deserialize(from)?.get();
        here.into_iter().for_each(|what| self.note(what, text));
        self.wanted.retain(|(what, steps)| !steps.is_empty() || *what == Wanted::Items);
        self.deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(D::Error::custom)
    }
}

impl<'a> Visitor<'a> for Place<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut keys = 0;
        while let Some(key) = map.next_key::<String>()? {
            keys += 1;
            map.next_value_seed(self.below(|step| step.leads_to(&key)))?;
        }
        self.items(Items::Of(keys))
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut elements = 0;
        while list.next_element_seed(self.below(|step| step.leads_to_element(elements)))?.is_some() {
            elements += 1;
        }
        self.items(Items::Of(elements))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.items(Items::Of(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.items(Items::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.items(Items::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.items(Items::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.items(Items::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.items(Items::Scalar)
    }
}

impl Place<'_, '_, '_> {
    fn items<E>(self, items: Items) -> Result<(), E> {
        if self.is_wanted(Wanted::Items) {
            self.found.items = Some(items);
        }
        Ok(())
    }
}

/// The text of a JSON string or number; `None` for other values.
pub(super) fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).ok(),
        Some(b'-' | b'0'..=b'9') => Some(json.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pointers(items: &str, more: &str, next: &str, times: &str) -> Pointers {
        let one = |text: &str| Pointer::to_one(text).ok();
        Pointers { items: one(items), more: one(more), next: one(next), times: Pointer::to_each(times).ok() }
    }

    #[test]
    fn all_values_are_found_in_one_pass() {
        let page = json!({ "data": [{ "at": 5 }, { "at": "7" }, { "at": null }, {}], "meta": { "next": "c/\"1", "more": true } });
        let text = page.to_string();
        let found = extract(text.as_bytes(), &pointers("/data", "/meta/more", "/meta/next", "/data/*/at")).unwrap();
        assert_eq!((found.items, found.more), (Some(Items::Of(4)), Some("true")));
        assert_eq!(found.next.and_then(scalar).as_deref(), Some("c/\"1"));
        assert_eq!(found.newest, "7".parse().ok());
    }

    #[test]
    fn items_are_a_list_an_object_or_null() {
        let count = |text: &str, at: &str| extract(text.as_bytes(), &pointers(at, "?", "?", "?")).unwrap().items;
        for (text, at, items) in [
            ("[1,2]", "", Some(Items::Of(2))),
            ("{\"a\":{\"b\":1}}", "/a", Some(Items::Of(1))),
            ("{\"a\":null}", "/a", Some(Items::Of(0))),
            ("{\"a\":{}}", "/a", Some(Items::Of(0))),
            ("{\"a\":\"x\"}", "/a", Some(Items::Scalar)),
            ("{\"a\":0}", "/a", Some(Items::Scalar)),
            ("{\"a\":[[],[1]]}", "/a/1", Some(Items::Of(1))),
            ("{\"a\":[[],[1]]}", "/a/01", None),
            ("{\"a/b\":{\"~\":[1]}}", "/a~1b/~0", Some(Items::Of(1))),
            ("{\"a\":[]}", "/b", None),
            ("[]", "/0", None),
            ("7", "/a", None),
        ] {
            assert_eq!(count(text, at), items, "{text} {at}");
        }
    }

    #[test]
    fn a_value_within_another_is_found_as_well() {
        let text = r#"{"next":{"href":"/2","times":[3,9]}}"#;
        let found = extract(text.as_bytes(), &pointers("/next/times", "/next", "/next/href", "/next/times/*")).unwrap();
        assert_eq!((found.items, found.next), (Some(Items::Of(2)), Some("\"/2\"")));
        assert!(found.more.unwrap().starts_with('{'));
        assert_eq!(found.newest, "9".parse().ok());
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"c":123456789012345678901234567890.10}"#;
        let found = extract(text.as_bytes(), &pointers("?", "?", "/c", "?")).unwrap();
        assert_eq!(found.next.and_then(scalar).as_deref(), Some("123456789012345678901234567890.10"));
    }

    #[test]
    fn invalid_json_and_bytes_after_its_end_are_refused() {
        for text in ["", "{", "<html>", "[] []", "{\"a\":1}x", "{\"a\":nul}"] {
            assert!(extract(text.as_bytes(), &pointers("/a", "?", "?", "?")).is_err(), "{text}");
        }
    }

    /// JSON whose keys often match [`any_pointer`].
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0u32..50).prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
            (1_700_000_000u32..1_700_000_100).prop_map(|n| Value::from(n.to_string())),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ab/~01]", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn any_pointer() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof!["[ab01]", Just("~0".to_owned()), Just("~1".to_owned())], 0..4)
            .prop_map(|tokens| tokens.iter().map(|token| format!("/{token}")).collect())
    }

    /// All values of a pointer with `*`.
    fn each<'a>(value: &'a Value, steps: &[Step]) -> Vec<&'a Value> {
        let Some((first, rest)) = steps.split_first() else { return vec![value] };
        let below: Vec<&Value> = match value {
            Value::Object(map) => map.iter().filter(|(key, _)| first.leads_to(key)).map(|(_, value)| value).collect(),
            Value::Array(list) => {
                (0..).zip(list).filter(|(n, _)| first.leads_to_element(*n)).map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        };
        below.into_iter().flat_map(|value| each(value, rest)).collect()
    }

    proptest! {
        #[test]
        fn extraction_agrees_with_a_parsed_value(
            page in any_json(), items in any_pointer(), more in any_pointer(), next in any_pointer(), times in any_pointer(),
            star in 0usize..3,
        ) {
            let mut steps: Vec<_> = times.split('/').skip(1).collect();
            if star < steps.len() {
                steps[star] = "*";
            }
            let times: String = steps.iter().map(|step| format!("/{step}")).collect();
            let pointers = pointers(&items, &more, &next, &times);
            let text = serde_json::to_string_pretty(&page).unwrap();
            let found = extract(text.as_bytes(), &pointers).unwrap();
            let count = page.pointer(&items).map(|value| match value {
                Value::Array(list) => Items::Of(list.len() as u64),
                Value::Object(map) => Items::Of(map.len() as u64),
                Value::Null => Items::Of(0),
                _ => Items::Scalar,
            });
            prop_assert_eq!(found.items, count);
            let parsed = |text: Option<&str>| text.map(|text| serde_json::from_str::<Value>(text).unwrap());
            prop_assert_eq!(parsed(found.more), page.pointer(&more).cloned());
            prop_assert_eq!(parsed(found.next), page.pointer(&next).cloned());
            let moments = each(&page, pointers.times.as_ref().unwrap().steps()).into_iter().filter_map(|value| match value {
                Value::String(text) => text.parse::<Moment>().ok(),
                Value::Number(number) => number.to_string().parse().ok(),
                _ => None,
            });
            let newest = moments.reduce(Moment::newer);
            prop_assert_eq!(found.newest, newest);
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = extract(&bytes, &pointers("/a", "/b", "", "/*"));
        }
    }
}
