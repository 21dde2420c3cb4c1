//! Finds the target of a redirect (RFC 9110, section 15.4), which the schedule follows without waiting for its body.

use url::Url;

use super::Head;

/// The longest Location that is followed, because lines keep the URLs of their redirects.
pub(super) const LONGEST_LOCATION: usize = 8192;

/// The redirect in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// The response is not a redirect.
    None,
    /// A redirect to this URL.
    To(Box<Url>),
    /// A redirect without a usable target, for this reason.
    Unusable(String),
}

impl Redirect {
    /// Reads the redirect in the response to a request for this URL.
    pub fn of(head: &Head, from: &Url) -> Self {
        if !matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Self::None;
        }
        let Some(location) = head.location.as_deref() else {
            return Self::Unusable("it has no Location".to_owned());
        };
        if location.len() > LONGEST_LOCATION {
            return Self::Unusable(format!("its Location is longer than {LONGEST_LOCATION} bytes"));
        }
        match from.join(location) {
            Ok(mut target) => {
                target.set_fragment(None);
                Self::To(Box::new(target))
            }
            Err(error) => Self::Unusable(format!("its Location `{}` is not a URL: {error}", cut(location))),
        }
    }
}

impl Head {
    /// Sets the Location from its bytes; bytes that are invalid in a URL are percent-encoded, as in other clients.
    pub fn set_location(&mut self, bytes: &[u8]) {
        // One more byte shows that it is too long.
        let bytes = &bytes[..bytes.len().min(LONGEST_LOCATION + 1)];
        let encoded = bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, byte| {
            match byte.is_ascii() {
                true => text.push(char::from(*byte)),
                false => text.extend(percent_encoding(*byte)),
            }
            text
        });
        self.location = Some(encoded.into());
    }
}

fn percent_encoding(byte: u8) -> [char; 3] {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    ['%', digit(byte >> 4), digit(byte & 0x0f)]
}

/// The start of a text for a message.
fn cut(text: &str) -> &str {
    const MOST: usize = 200;
    text.get(..MOST).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn redirect(location: Option<&[u8]>) -> Redirect {
        let mut head = Head::new(StatusCode::FOUND);
        if let Some(location) = location {
            head.set_location(location);
        }
        Redirect::of(&head, &Url::parse("https://a.test/dir/page?q#part").unwrap())
    }

    #[test]
    fn a_location_is_resolved_against_the_url_that_was_requested_and_has_no_fragment() {
        for (location, target) in [
            (b"https://b.test/x#y".as_slice(), "https://b.test/x"),
            (b"//b.test", "https://b.test/"),
            (b"/x y", "https://a.test/x%20y"),
            (b"x", "https://a.test/dir/x"),
            (b"?r", "https://a.test/dir/page?r"),
            (b"", "https://a.test/dir/page?q"),
            (b"/caf\xc3\xa9", "https://a.test/caf%C3%A9"),
            (b"/caf\xe9?\xff", "https://a.test/caf%E9?%FF"),
            (b"http://b\xc3\xbccher.test/", "http://xn--bcher-kva.test/"),
        ] {
            let expected = Redirect::To(Box::new(Url::parse(target).unwrap()));
            assert_eq!(redirect(Some(location)), expected, "{}", location.escape_ascii());
        }
    }

    #[test]
    fn a_location_that_leads_nowhere_says_why() {
        let why = |location| match redirect(location) {
            Redirect::Unusable(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(None).contains("no Location"));
        assert!(why(Some(b"http://[")).contains("`http://[` is not a URL: invalid IPv6 address"));
        assert!(why(Some(b"http://\xe9.test/")).contains("`http://%E9.test/`"));
        assert!(why(Some(&[b'a'; LONGEST_LOCATION + 1])).contains("longer than 8192 bytes"));
        assert!(matches!(redirect(Some(&[b'a'; LONGEST_LOCATION])), Redirect::To(_)));
    }

    #[test]
    fn other_responses_are_no_redirects_whatever_their_location() {
        for status in [200, 201, 300, 304, 305, 306, 309, 404] {
            let mut head = Head::new(StatusCode::from_u16(status).unwrap());
            head.set_location(b"/");
            assert_eq!(Redirect::of(&head, &Url::parse("http://a.test/").unwrap()), Redirect::None, "{status}");
        }
    }
}
