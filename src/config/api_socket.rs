//! Reads `api.socket` for `fetchd ctl`. Other errors in the configuration, and files that the operator may not read, do
//! not matter.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::expand::{Surroundings, expand};
use super::parse::parseable;

/// Reads `api.socket` from a configuration file.
///
/// # Errors
/// A sentence if the file cannot be read, or does not contain the key.
pub fn api_socket(file: &Path) -> Result<PathBuf, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {shown}: {error}; give the socket with --socket instead"))?;
    let (text, _) = parseable(&text);
    let (root, _) = DeTable::parse_recoverable(&text);
    let socket = root.get_ref().get("api").and_then(|api| api.get_ref().as_table()?.get("socket"));
    let Some(DeValue::String(socket)) = socket.map(toml::Spanned::get_ref) else {
        return Err(format!(
            "{shown} has no api.socket, so nothing listens there; add it and restart fetchd, or give --socket PATH"
        ));
    };
    let env = |name: &str| std::env::var(name).ok();
    let expanded = expand(socket, &Surroundings::of_flag(&env));
    expanded.map(|expanded| expanded.text.into()).map_err(|clause| format!("api.socket of {shown} {clause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> Result<PathBuf, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        api_socket(file.path())
    }

    #[test]
    fn the_socket_is_found_whatever_else_is_wrong() {
        for text in [
            "[api]\nsocket = 'a.sock'\n",
            "api.socket = 'a.sock'",
            "[fetch]\nno_such_key = 1\ntimeout = ${file:/no/such}\nheaders = { a = '${file:/no/such}' }\n[api]\nsocket = 'a.sock'\n[",
            "[sink.out.no_such_kind]\nkey\n[api]\nmetrics_listen = 5\nsocket = 'a.sock'",
        ] {
            assert_eq!(socket(text), Ok("a.sock".into()), "{text}");
        }
    }

    #[test]
    fn without_one_it_is_said_what_to_do() {
        for text in [
            "",
            "[api]\n",
            "[api]\nsocket = 5\n",
            "api = 5",
            "[api]\nsocket = '${file:a}'",
            "[api]\nsocket = '${NO_SUCH_}'",
        ] {
            let refused = socket(text).unwrap_err();
            assert!(refused.contains("api.socket"), "{text}: {refused}");
        }
        assert!(api_socket("/no/such/file".as_ref()).unwrap_err().contains("--socket"));
    }
}
