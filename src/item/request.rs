//! Parses a line into a request: a bare URL, a JSON object, or a fetchd record, of which `input` is used.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use super::line::{Echo, EchoInput};
use super::mistaken_line::advice_for_bytes;
use super::redact::{redact, redact_json};
use super::target::parse_url;
use super::{ErrorKind, Rejection, ResponseRules, StoredResponse, compact};
use crate::units::{Size, Span, Speed};

/// An HTTP request of a line.
#[derive(Clone, Debug)]
pub struct Request {
    /// Any method except CONNECT and TRACE.
    pub method: Method,
    /// An http or https URL with a host, without credentials and fragment.
    pub url: Url,
    /// The other keys of the line. Boxed, because thousands of lines wait and most have none.
    pub extra: Option<Box<Extra>>,
}

/// The keys of a line's request besides method and URL.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The line's own headers.
    pub headers: HeaderMap,
    /// The line's body.
    pub body: Option<Bytes>,
    /// The line's limits of the response.
    pub response: ResponseRules,
    /// The response to revalidate, if the line is a record.
    pub stored: Option<Box<StoredResponse>>,
}

/// Parses one line. It always returns the echo for the record.
pub fn parse(line: &[u8]) -> (Echo, Result<Request, Rejection>) {
    let Ok(text) = std::str::from_utf8(line) else {
        return (Echo::cut(line, line.len() as u64), Err(Rejection::new(ErrorKind::NotUtf8, advice_for_bytes(line))));
    };
    if text.starts_with('{') { parse_object(text) } else { parse_bare(text) }
}

fn parse_bare(text: &str) -> (Echo, Result<Request, Rejection>) {
    match parse_url(text) {
        Ok(url) => {
            let request = Request { method: Method::GET, url, extra: None };
            (Echo::text(text), Ok(request))
        }
        Err(rejection) => (Echo::text(&redact(text)), Err(rejection)),
    }
}

/// The keys of a JSON line. `input` makes it a fetchd record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    body_base64: Option<&'a RawValue>,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    min_speed: Option<&'a RawValue>,
    #[serde(borrow)]
    max_body: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

/// The keys of a fetchd record that contain its line.
#[derive(Deserialize)]
struct Recorded<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    input_bytes: Option<u64>,
}

fn parse_object(text: &str) -> (Echo, Result<Request, Rejection>) {
    // The key `input` identifies a record; the search saves every other line a second parse.
    if memchr::memmem::find(text.as_bytes(), b"\"input\"").is_some()
        && let Ok(record) = serde_json::from_str::<Recorded<'_>>(text)
    {
        return parse_recorded(&record);
    }
    parse_line_object(text)
}

fn parse_recorded(record: &Recorded<'_>) -> (Echo, Result<Request, Rejection>) {
    let raw = record.input.get();
    if record.input_bytes.is_some() {
        let head = serde_json::from_str::<String>(raw).unwrap_or_default();
        let message = "the record's `input` was cut, so its line cannot be repeated";
        let echo = Echo::cut(head.as_bytes(), record.input_bytes.unwrap_or_default());
        return (echo, Err(Rejection::new(ErrorKind::NotRepeatable, message)));
    }
    match serde_json::from_str::<String>(raw) {
        Ok(line) if line.starts_with('{') => parse_line_object(&line),
        Ok(line) => parse_bare(&line),
        Err(_) if raw.starts_with('{') => parse_line_object(raw),
        Err(_) => {
            let message = "the record's `input` is neither a line nor an object";
            (Echo::text(&redact_json(raw)), Err(Rejection::new(ErrorKind::InvalidRequest, message)))
        }
    }
}

fn parse_line_object(text: &str) -> (Echo, Result<Request, Rejection>) {
    let Some(raw) = compact(text) else {
        let message = match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => "the JSON is nested deeper than 126 levels or escapes half a surrogate pair".to_owned(),
            Err(error) => format!("the line starts with `{{` but is not JSON: {error}"),
        };
        return (Echo::text(&redact_json(text)), Err(Rejection::new(ErrorKind::InvalidJson, message)));
    };
    let object = match serde_json::from_str::<Object<'_>>(raw.get()) {
        Ok(object) => object,
        Err(error) => {
            let rejection = Rejection::new(ErrorKind::InvalidRequest, without_place(&error));
            return (Echo { input: EchoInput::without_password(&raw), id: None, meta: None }, Err(rejection));
        }
    };
    let (id, meta) = (object.id.map(ToOwned::to_owned), object.meta.map(ToOwned::to_owned));
    let request = request_of(&object);
    let input = match &request {
        Ok(_) => None,
        Err(_) => Some(EchoInput::without_password(&raw)),
    };
    (Echo { input: input.unwrap_or(EchoInput::Object(raw)), id, meta }, request)
}

fn request_of(object: &Object<'_>) -> Result<Request, Rejection> {
    let invalid = |message: String| Rejection::new(ErrorKind::InvalidRequest, message);
    let url = object.url.ok_or_else(|| invalid("the JSON line has no `url`".into()))?;
    let url: String = serde_json::from_str(url.get()).map_err(|_| invalid("`url` is not a string".into()))?;
    let url = parse_url(&url)?;
    let method = method_of(object.method).map_err(invalid)?;
    let mut headers = headers_of(object.headers).map_err(invalid)?;
    let body = body_of(object).map_err(invalid)?;
    if object.json.is_some() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    let response = response_rules(object).map_err(invalid)?;
    let says_more = !headers.is_empty() || body.is_some() || response != ResponseRules::default();
    let extra = says_more.then(|| Box::new(Extra { headers, body, response, stored: None }));
    Ok(Request { method, url, extra })
}

fn response_rules(object: &Object<'_>) -> Result<ResponseRules, String> {
    let timeout: Option<Span> = value_of("timeout", object.timeout)?;
    let min_speed: Option<Speed> = value_of("min_speed", object.min_speed)?;
    let max_body: Option<Size> = value_of("max_body", object.max_body)?;
    if timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        return Err("`timeout` is zero, so nothing could be fetched; write for example \"30s\"".to_owned());
    }
    Ok(ResponseRules {
        timeout: timeout.map(|timeout| timeout.0),
        min_speed: min_speed.map(|speed| speed.0),
        max_body: max_body.map(|size| size.0),
    })
}

/// The value of a key; an error names the key.
fn value_of<T: DeserializeOwned>(key: &str, raw: Option<&RawValue>) -> Result<Option<T>, String> {
    let value = raw.map(|raw| serde_json::from_str(raw.get())).transpose();
    value.map_err(|error| format!("`{key}`: {}", without_place(&error)))
}

fn method_of(raw: Option<&RawValue>) -> Result<Method, String> {
    let name: Option<String> = value_of("method", raw)?;
    name.as_deref().map_or(Ok(Method::GET), parse_method)
}

/// Parses a method. Standard methods may be in lower case.
///
/// # Errors
/// A message if the method is invalid or not allowed.
pub fn parse_method(name: &str) -> Result<Method, String> {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    let known = KNOWN.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name));
    match known.map_or_else(|| Method::from_bytes(name.as_bytes()), Ok) {
        Ok(Method::CONNECT | Method::TRACE) => Err(format!("the method {name} is not allowed")),
        Ok(method) => Ok(method),
        Err(_) => Err(format!("`{}` is not an HTTP method", name.escape_debug())),
    }
}

fn headers_of(raw: Option<&RawValue>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let Some(raw) = raw else { return Ok(headers) };
    let pairs: std::collections::BTreeMap<String, String> = serde_json::from_str(raw.get())
        .map_err(|_| "`headers` is not an object whose values are strings".to_owned())?;
    for (name, value) in pairs {
        let (name, value) = parse_header(&name, &value)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Whether a header, in any case, is a credential, which may be sent only to its own host.
pub fn is_credential(name: &str) -> bool {
    const CREDENTIALS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"];
    CREDENTIALS.iter().any(|credential| credential.eq_ignore_ascii_case(name))
}

/// Parses a header of a user; headers that frame the message or control the connection are rejected.
///
/// # Errors
/// A message that names the header.
pub fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    const REFUSED: [&str; 8] =
        ["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"];
    let shown = name.escape_debug();
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{shown}` is not a header name"))?;
    if REFUSED.contains(&parsed.as_str()) || parsed.as_str().starts_with("proxy-") {
        return Err(format!("the header `{shown}` is set by fetchd and cannot be given"));
    }
    let value = HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
        .map_err(|_| format!("the value of the header `{shown}` has a control character"))?;
    Ok((parsed, value))
}

fn body_of(object: &Object<'_>) -> Result<Option<Bytes>, String> {
    use base64::Engine;
    match (object.body, object.body_base64, object.json) {
        (None, None, None) => Ok(None),
        (Some(body), None, None) => {
            let text: String = serde_json::from_str(body.get()).map_err(|_| "`body` is not a string; use `json`")?;
            Ok(Some(text.into()))
        }
        (None, Some(raw), None) => {
            let text: String = value_of("body_base64", Some(raw))?.unwrap_or_default();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.map(|bytes| Some(bytes.into())).map_err(|_| "`body_base64` is not base64".to_owned())
        }
        (None, None, Some(json)) => Ok(Some(json.get().to_owned().into())),
        _ => Err("only one of `body`, `body_base64` and `json` can be given".to_owned()),
    }
}

/// serde_json's message without "at line 1 column n", which does not help for a single line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(line: &str) -> Option<ErrorKind> {
        parse(line.as_bytes()).1.err().map(|rejection| rejection.kind)
    }

    fn shown(line: &str) -> String {
        match parse(line.as_bytes()).0.input {
            EchoInput::Text(text) => text.into(),
            EchoInput::Cut(cut) => cut.head.into(),
            EchoInput::Object(raw) => raw.get().to_owned(),
        }
    }

    #[test]
    fn bare_urls_have_the_kind_of_their_error() {
        assert_eq!(kind_of("http://example.com/a b#c"), None);
        assert_eq!(kind_of("http://example.com/%zz"), None);
        assert_eq!(kind_of("http://h/a\tb"), Some(ErrorKind::InvalidChar));
        assert_eq!(kind_of("http://h/\u{0}"), Some(ErrorKind::InvalidChar));
        assert_eq!(kind_of("ftp://h/"), Some(ErrorKind::SchemeNotAllowed));
        assert_eq!(kind_of("http://u:p@h/"), Some(ErrorKind::CredentialsInUrl));
        assert_eq!(kind_of("http://a%2Fb/"), Some(ErrorKind::InvalidUrl));
        assert_eq!(kind_of("http://a%00b/"), Some(ErrorKind::InvalidUrl));
        assert_eq!(kind_of("http://./"), Some(ErrorKind::InvalidUrl));
        assert_eq!(kind_of(&format!("http://h/{}", "x".repeat(70_000))), Some(ErrorKind::InvalidUrl));
    }

    #[test]
    fn a_json_line_is_read_with_all_its_keys() {
        let line = r#"{"url":"http://h/","method":"POST","headers":{"X-A":"1"},"json":{"k": 1.0},"id":7,"meta":[1]}"#;
        let (echo, request) = parse(line.as_bytes());
        let request = request.unwrap();
        assert_eq!(request.method, Method::POST);
        let extra = request.extra.unwrap();
        assert_eq!(extra.headers["x-a"], "1");
        assert_eq!(extra.headers["content-type"], "application/json");
        assert_eq!(extra.body.unwrap(), r#"{"k":1.0}"#);
        assert_eq!(echo.id.unwrap().get(), "7");
        assert_eq!(echo.meta.unwrap().get(), "[1]");
    }

    #[test]
    fn wrong_json_lines_have_the_kind_of_their_error() {
        for (line, kind) in [
            (r#"{"url":"http://h/","colour":1}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","url":"http://i/"}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","method":"TRACE"}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","method":"G T"}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","headers":{"host":"x"}}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","headers":{"Proxy-Authorization":"x"}}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","headers":{"a":"x\ny"}}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","body":"a","json":1}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/","body":1}"#, ErrorKind::InvalidRequest),
            (r#"{"url":1}"#, ErrorKind::InvalidRequest),
            (r#"{"id":1}"#, ErrorKind::InvalidRequest),
            (r#"{"url":"http://h/""#, ErrorKind::InvalidJson),
            (r#"{"url":"example.com"}"#, ErrorKind::InvalidUrl),
            (r#"{"url":"http://h/\n"}"#, ErrorKind::InvalidChar),
        ] {
            assert_eq!(kind_of(line), Some(kind), "{line}");
        }
    }

    #[test]
    fn a_record_is_its_line_again_and_never_nests() {
        let bare = r#"{"seq":4,"input":"http://h/a","outcome":"failed","error":{"kind":"reset","message":"x"}}"#;
        assert_eq!((kind_of(bare), shown(bare)), (None, "http://h/a".to_owned()));
        let object = r#"{"seq":4,"input":{"url":"http://h/a","id":1},"outcome":"failed"}"#;
        assert_eq!((kind_of(object), shown(object)), (None, r#"{"url":"http://h/a","id":1}"#.to_owned()));
        let cut = r#"{"seq":4,"input":"http://h/aaa","input_bytes":2000000,"outcome":"rejected"}"#;
        assert_eq!(kind_of(cut), Some(ErrorKind::NotRepeatable));
        assert_eq!(
            kind_of(r#"{"input":["http://h/",null,null,null,null,null,null,null]}"#),
            Some(ErrorKind::InvalidRequest)
        );
        let nested = r#"{"input":{"input":"http://h/"}}"#;
        assert_eq!(kind_of(nested), Some(ErrorKind::InvalidRequest));
    }
}
