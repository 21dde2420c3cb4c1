//! Flags that override keys, and the parser of `-H`.

use crate::config::refuse_file_in_flag;
use crate::diagnostics::Report;
use crate::item::parse_header;

/// Overrides keys by flags, and records the flags in the report.
pub(super) struct Flags<'a>(pub &'a mut Report);

impl Flags<'_> {
    pub fn set<T>(&mut self, flag: &'static str, key: &str, value: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *value = given;
            self.0.given_by(key, flag);
        }
    }

    pub fn set_some<T>(&mut self, flag: &'static str, key: &str, value: &mut Option<T>, given: Option<T>) {
        self.set(flag, key, value, given.map(Some));
    }
}

/// Parses `K: V`. Messages do not show the value because it may be a token.
pub(super) fn read_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| "a header of -H has no colon; write for example -H 'accept: application/json'".to_owned())?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
    parse_header(&name, &value)?;
    refuse_file_in_flag(&name, &value)?;
    Ok((name, value))
}
