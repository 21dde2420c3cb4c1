//! Lenient access to JSON responses: absent fields are empty, or zero.

use serde_json::Value;

/// The text of a field; empty if absent.
pub(super) fn field(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A number, without its fraction.
pub(super) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_f64().map_or(0, |number| number as u64)
}

/// Names with numbers, the largest first; zeros are left out.
pub(super) fn names_and_numbers(object: &Value, show: impl Fn(u64) -> String) -> Option<String> {
    let mut all: Vec<_> =
        object.as_object()?.iter().map(|(name, n)| (name, n.as_f64().unwrap_or(0.0) as u64)).collect();
    all.retain(|(_, n)| *n > 0);
    all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let shown: Vec<_> = all.into_iter().map(|(name, n)| format!("{name} {}", show(n))).collect();
    (!shown.is_empty()).then(|| shown.join(" · "))
}

/// The time of day of a timestamp, in UTC.
pub(super) fn time_of_day(at: &Value) -> String {
    let text = at.as_str().unwrap_or_default();
    text.get(11..19).unwrap_or(text).to_owned()
}
