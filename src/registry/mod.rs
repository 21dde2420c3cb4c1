//! The registry of kinds: one row for each kind of source and sink, with its name, keys, and table parser.
//!
//! A row is made only from the kind's configuration struct ([`crate::source::KINDS`], [`crate::sink::KINDS`]). All
//! other properties of a kind are in the trait of sources or sinks.

mod schema;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use serde_json::Value;
use toml::de::{Error, ValueDeserializer};

pub use schema::{Key, keys_of};

/// The configuration of a source or sink, which can be shown, and compared on a reload.
pub trait Component: Any + fmt::Debug + Send + Sync {
    /// Its serialised keys and values, with secrets as `***`.
    fn table(&self) -> Value;

    /// Whether the other is of the same kind and has the same values, secrets included.
    fn is_same(&self, other: &dyn Any) -> bool;

    /// `self`, for [`Component::is_same`].
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + fmt::Debug + PartialEq + Serialize + Send + Sync> Component for T {
    fn table(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A row of the registry: one kind of the components `C`.
pub struct Kind<C: ?Sized> {
    /// Its name, as in `[sink.results.jsonl]`.
    pub name: &'static str,
    read: fn(ValueDeserializer<'_>) -> Result<Arc<C>, Error>,
    keys: fn() -> Vec<Key>,
}

impl<C: ?Sized> Kind<C> {
    /// A row for the configuration struct `T`; `read` parses its table.
    pub const fn new<T: DeserializeOwned>(
        name: &'static str,
        read: fn(ValueDeserializer<'_>) -> Result<Arc<C>, Error>,
    ) -> Self {
        Self { name, read, keys: keys_of::<T> }
    }

    /// Reads the kind's table.
    ///
    /// # Errors
    /// The first invalid value.
    pub fn read(&self, table: ValueDeserializer<'_>) -> Result<Arc<C>, Error> {
        (self.read)(table)
    }

    /// The keys of the kind's table.
    pub fn keys(&self) -> Vec<Key> {
        (self.keys)()
    }
}

// A derive would require the same traits of `C`.
impl<C: ?Sized> Clone for Kind<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ?Sized> Copy for Kind<C> {}

impl<C: ?Sized> fmt::Debug for Kind<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A component with its name in the configuration.
pub struct Named<C: ?Sized> {
    /// Absent for a component without a name in the configuration.
    pub name: Option<String>,
    /// The name of its kind.
    pub kind: &'static str,
    /// The component.
    pub component: Arc<C>,
}

impl<C: ?Sized> Named<C> {
    /// A component without a name in the configuration.
    pub fn unnamed(kind: &'static str, component: Arc<C>) -> Self {
        Self { name: None, kind, component }
    }

    /// Its name in the checkpoint; empty if it has none.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

impl<C: ?Sized> Clone for Named<C> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), kind: self.kind, component: Arc::clone(&self.component) }
    }
}

impl<C: Component + ?Sized> fmt::Debug for Named<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.name, self.component)
    }
}

impl<C: Component + ?Sized> PartialEq for Named<C> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.component.is_same(other.component.as_any())
    }
}

impl<C: Component + ?Sized> Serialize for Named<C> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Of<'a>(&'a str, Value);
        impl Serialize for Of<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry(self.0, &self.1)?;
                map.end()
            }
        }
        let mut named = to.serialize_struct("Named", 2)?;
        named.serialize_field("name", &self.name)?;
        named.serialize_field("component", &Of(self.kind, self.component.table()))?;
        named.end()
    }
}
