//! Removes the value that a deserialisation error points at, so that the rest of its table can be read.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// A removed value.
pub(super) struct Pruned<'i> {
    /// The key path of the value.
    pub path: Vec<String>,
    /// The span of its key.
    pub key: Range<usize>,
    /// The span of the value.
    pub at: Range<usize>,
    /// Whether the value was an element of an array.
    pub is_element: bool,
    /// The value.
    pub value: DeValue<'i>,
}

/// Removes the smallest entry or element around `span`; `None` if there is none.
pub(super) fn prune<'i>(value: &mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<Pruned<'i>> {
    match value.get_mut() {
        DeValue::Table(table) => {
            let (key, value) =
                table.iter_mut().find(|(key, value)| holds(&key.span(), span) || reaches(value, span))?;
            let (name, key_span) = (key.get_ref().to_string(), key.span());
            let deeper = if holds(&key_span, span) { None } else { prune(value, span) };
            if let Some(mut pruned) = deeper {
                pruned.path.insert(0, name);
                pruned.key = if pruned.is_element { key_span } else { pruned.key };
                return Some(pruned);
            }
            let value = table.remove(name.as_str())?;
            Some(Pruned {
                path: vec![name],
                key: key_span,
                at: value.span(),
                is_element: false,
                value: value.into_inner(),
            })
        }
        DeValue::Array(array) => {
            let index = array.iter().position(|item| reaches(item, span))?;
            let deeper = array.get_mut(index).and_then(|item| prune(item, span));
            deeper.or_else(|| {
                let value = take(array, index)?;
                let (key, at) = (value.span(), value.span());
                Some(Pruned { path: Vec::new(), key, at, is_element: true, value: value.into_inner() })
            })
        }
        _ => None,
    }
}

/// Removes an element.
fn take<'i>(array: &mut DeArray<'i>, index: usize) -> Option<Spanned<DeValue<'i>>> {
    let mut taken = None;
    for (place, value) in std::mem::replace(array, DeArray::new()).into_iter().enumerate() {
        if place == index {
            taken = Some(value);
        } else {
            array.push(value);
        }
    }
    taken
}

/// Whether the span is in this value. The span of a table with a header covers only the header, so its entries are
/// searched.
fn reaches(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let within = match value.get_ref() {
        DeValue::Table(table) => table.iter().any(|(key, value)| holds(&key.span(), span) || reaches(value, span)),
        DeValue::Array(array) => array.iter().any(|item| reaches(item, span)),
        _ => false,
    };
    within || holds(&value.span(), span)
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
