//! Parses and checks the URL of a request.

use url::Url;

use super::mistaken_line::{advice, advice_for_more};
use super::redact::redact;
use super::{ErrorKind, Rejection};

/// Parses the URL of a line or of a JSON object.
pub(super) fn parse_url(text: &str) -> Result<Url, Rejection> {
    let mut url = read_url(text).map_err(|rejection| match (rejection.kind, advice(text)) {
        (ErrorKind::CredentialsInUrl, _) | (_, None) => rejection,
        (kind, Some(advice)) => Rejection::new(kind, advice),
    })?;
    url.set_fragment(None);
    Ok(url)
}

fn read_url(text: &str) -> Result<Url, Rejection> {
    // The URL parser silently drops tab, LF and CR, so they are checked first.
    if let Some(bad) = text.chars().find(|c| c.is_control()) {
        let message = format!("the URL has the control character U+{:04X}; percent-encode it", u32::from(bad));
        return Err(Rejection::new(ErrorKind::InvalidChar, message));
    }
    let url = Url::parse(text).map_err(|error| Rejection::new(ErrorKind::InvalidUrl, explain(text, error)))?;
    match check_url(&url) {
        Err(rejection) if rejection.kind == ErrorKind::SchemeNotAllowed && looks_bare(text) => {
            Err(Rejection::new(ErrorKind::InvalidUrl, did_you_mean(text)))
        }
        Ok(()) => match advice_for_more(text) {
            Some(advice) => Err(Rejection::new(ErrorKind::InvalidUrl, advice)),
            None => Ok(url),
        },
        Err(rejection) => Err(rejection),
    }
}

/// Checks a URL of a line or a redirect before it is requested.
///
/// # Errors
/// `scheme_not_allowed`, `credentials_in_url` or `invalid_url`.
pub fn check_url(url: &Url) -> Result<(), Rejection> {
    // The longest `Uri` of hyper.
    const MAX_URL: usize = 65_534;
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("the scheme `{}` is not http or https", url.scheme());
        return Err(Rejection::new(ErrorKind::SchemeNotAllowed, message));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = "the URL carries a user name or password; send an authorization header instead";
        return Err(Rejection::new(ErrorKind::CredentialsInUrl, message));
    }
    if url.as_str().len() > MAX_URL {
        return Err(Rejection::new(ErrorKind::InvalidUrl, format!("the URL is longer than {MAX_URL} bytes")));
    }
    if url.host_str().is_none_or(|host| host.trim_end_matches('.').is_empty()) {
        return Err(Rejection::new(ErrorKind::InvalidUrl, "the URL has no host"));
    }
    Ok(())
}

fn explain(text: &str, error: url::ParseError) -> String {
    match error {
        url::ParseError::RelativeUrlWithoutBase => did_you_mean(text),
        other => format!("not a URL: {other}"),
    }
}

/// Whether the text is like `example.com/a` or `localhost:8080/a` (whose "scheme" is a host name).
fn looks_bare(text: &str) -> bool {
    let Some((head, rest)) = text.split_once(':') else { return true };
    let port = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (head.contains('.') || head == "localhost") && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// The message for a text that is not an absolute URL. Without a dot or a port it is hardly a host name.
fn did_you_mean(text: &str) -> String {
    if !text.contains(['.', ':']) && !text.starts_with("localhost") {
        return "not an absolute URL; it must begin with http:// or https://".to_owned();
    }
    let shown: String = redact(text).chars().take(200).collect();
    format!("not an absolute URL; did you mean https://{}?", shown.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_is_asked_whether_https_was_meant() {
        for line in ["example.com/x", "localhost:8080/x", "example.com:80", "//example.com/x"] {
            let rejection = parse_url(line).unwrap_err();
            assert_eq!(rejection.kind, ErrorKind::InvalidUrl, "{line}");
            let want = format!("did you mean https://{}?", line.trim_start_matches('/'));
            assert!(rejection.message.contains(&want), "{}", rejection.message);
        }
        let word = parse_url("word").unwrap_err().message;
        assert!(word.contains("begin with http://") && !word.contains("did you mean"), "{word}");
    }

    #[test]
    fn a_usual_mistake_keeps_its_kind_and_has_its_advice_instead() {
        for (line, kind) in [
            ("h\0t\0", ErrorKind::InvalidChar),
            ("C:\\a", ErrorKind::SchemeNotAllowed),
            ("url: https://a.test/", ErrorKind::SchemeNotAllowed),
            ("# a", ErrorKind::InvalidUrl),
        ] {
            let Rejection { kind: its_kind, message } = parse_url(line).unwrap_err();
            assert_eq!((its_kind, Some(message.as_str())), (kind, advice(line)), "{line}");
        }
    }
}
