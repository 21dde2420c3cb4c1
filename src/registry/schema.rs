//! Finds the names of a configuration struct's keys, and which values are a [`Secret`](crate::units::Secret). Its
//! deserialiser offers the struct one key after the other, so that no separate list has to be maintained.

use std::cell::Cell;

use serde::de::value::{Error, MapAccessDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::units::SECRET;

/// A key of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether its value is secret.
    pub is_secret: bool,
}

/// The keys of the struct `T`, in the order of its fields.
pub fn keys_of<T: DeserializeOwned>() -> Vec<Key> {
    let names = Cell::new(&[][..]);
    let _ = T::deserialize(Table { names: &names, offer: None });
    let key = |name: &&'static str| {
        let is_secret = Cell::new(false);
        // An error does not matter, only whether a secret was requested.
        let _ = T::deserialize(Table { names: &names, offer: Some((name, &is_secret)) });
        Key { name, is_secret: is_secret.get() }
    };
    names.get().iter().map(key).collect()
}

/// A deserialiser of a table with no key, or with the offered one.
struct Table<'a> {
    names: &'a Cell<&'static [&'static str]>,
    offer: Option<(&'static str, &'a Cell<bool>)>,
}

impl<'de> Deserializer<'de> for Table<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names.set(fields);
        visitor.visit_map(Entry(self.offer))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The offered entry, or an element of a list.
struct Entry<'a>(Option<(&'static str, &'a Cell<bool>)>);

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.0.map(|(name, _)| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (_, is_secret) = self.0.take().ok_or_else(|| Error::custom("no entry"))?;
        seed.deserialize(Probe(is_secret))
    }
}

impl<'de> SeqAccess<'de> for Entry<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|(_, is_secret)| seed.deserialize(Probe(is_secret))).transpose()
    }
}

/// A deserialiser of a value that notes whether a secret is requested at any depth.
struct Probe<'a>(&'a Cell<bool>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.0.set(self.0.get() || name == SECRET);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        MapAccessDeserializer::new(Entry(Some(("key", self.0)))).deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Entry(Some(("", self.0))))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::units::{Secret, Size};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Sample {
        required: String,
        token: Secret<String>,
        size: Option<Size>,
        #[serde(default)]
        headers: BTreeMap<String, Secret<String>>,
        key: Option<Secret<String>>,
        tokens: Vec<Secret<String>>,
        plain: Vec<u16>,
    }

    #[test]
    fn keys_are_found_with_secrets_at_any_depth() {
        let keys: Vec<_> = keys_of::<Sample>().into_iter().map(|key| (key.name, key.is_secret)).collect();
        let want = [
            ("required", false),
            ("token", true),
            ("size", false),
            ("headers", true),
            ("key", true),
            ("tokens", true),
            ("plain", false),
        ];
        assert_eq!(keys, want);
    }

    #[test]
    fn a_secret_is_read_as_its_value_and_shown_as_stars() {
        let secret: Secret<String> = serde_json::from_str("\"s3cret\"").unwrap();
        assert_eq!(secret.expose(), "s3cret");
        let shown = format!("{secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert_eq!(shown, "*** \"***\"");
    }
}
