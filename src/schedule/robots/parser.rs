//! Parses a robots.txt (RFC 9309) for one crawler, with the misspellings that Google's published parser accepts.
//!
//! In: the bytes of the file and the crawler's product token. Out: the crawler's [`Group`], which `pattern` matches.

use std::time::Duration;

use super::pattern::{Access, Pattern, escape, escape_bytes};

/// The bytes of a file that count (section 2.5).
const LONGEST_FILE: usize = 500 << 10;

/// The bytes of a line that count: eight times the longest URL that browsers took, less a terminating byte.
const LONGEST_LINE: usize = 2083 * 8 - 1;

/// The product token at the beginning of a name: letters, `-` and `_` (section 2.2.1).
pub(super) fn product_token(name: &str) -> &str {
    let end = name.find(|c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '_'));
    &name[..end.unwrap_or(name.len())]
}

/// The rules of one file for one crawler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::schedule) struct Group {
    /// The longest first, and of equally long ones those that allow: the first that matches decides (section 2.2.2).
    rules: Vec<Pattern>,
    /// The time between two requests.
    pub crawl_delay: Duration,
}

impl Group {
    /// A group of these rules, which may have any order.
    pub fn new(mut rules: Vec<Pattern>, crawl_delay: Duration) -> Self {
        rules.sort_by(|a, b| b.text().len().cmp(&a.text().len()).then(a.access().cmp(&b.access())));
        rules.dedup();
        Self { rules, crawl_delay }
    }

    /// The group of the crawler with this product token, or else the one for all.
    pub fn parse(file: &[u8], token: &str) -> Self {
        let mut reader = Reader { token, ..Reader::default() };
        for line in lines(file) {
            if let Some((key, value)) = key_and_value(line) {
                reader.read(key, value);
            }
        }
        let found = if reader.has_own_group { reader.own } else { reader.for_all };
        Self::new(found.rules, found.crawl_delay)
    }

    /// The rules.
    pub fn rules(&self) -> &[Pattern] {
        &self.rules
    }

    /// Whether a path, with its query, may be fetched.
    pub fn allows(&self, path: &str) -> bool {
        // Section 2.2.2: robots.txt itself is always allowed.
        if self.rules.is_empty() || path == "/robots.txt" {
            return true;
        }
        let (path, plain) = (escape(path), without_needless_escapes(path));
        let is_disallowed_as = |rule: &Pattern, plain: &str| rule.access() == Access::Disallow && rule.matches(plain);
        let decides =
            |rule: &&Pattern| rule.matches(&path) || plain.as_ref().is_some_and(|plain| is_disallowed_as(rule, plain));
        self.rules.iter().find(decides).is_none_or(|rule| rule.access() == Access::Allow)
    }
}

/// The path with its percent-encoded unreserved characters decoded, if it has any: servers treat both alike, so a path
/// that is disallowed in one form must not be fetched in the other (RFC 9309, section 2.2.2; RFC 3986, section 2.3).
fn without_needless_escapes(path: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let octet = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match octet.filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            Some(c) => {
                plain.extend([before]);
                plain.push(c);
                rest = &after[2..];
            }
            None => {
                plain.extend([before, "%"]);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    (plain.len() < path.len()).then(|| escape(&plain).into_owned())
}

/// The groups for one crawler that were read, and the state of the reader.
#[derive(Debug, Default)]
struct Reader<'a> {
    token: &'a str,
    own: Found,
    for_all: Found,
    /// Whether any group names the crawler, even one without rules.
    has_own_group: bool,
    /// Whether the current group is the crawler's own, and whether it is the one for all.
    in_own: bool,
    in_for_all: bool,
    /// Whether the current group has rules already: the next name begins another group.
    has_rules: bool,
}

#[derive(Debug, Default)]
struct Found {
    rules: Vec<Pattern>,
    crawl_delay: Duration,
}

impl Reader<'_> {
    fn read(&mut self, key: &[u8], value: &[u8]) {
        match Key::of(key) {
            Some(Key::UserAgent) => self.name(value),
            Some(Key::Rule(access)) => self.rule(access, value),
            Some(Key::CrawlDelay) => {
                if let Some(delay) = seconds(value) {
                    self.group().into_iter().for_each(|group| group.crawl_delay = group.crawl_delay.max(delay));
                }
            }
            // Section 2.2.4: other records do not end a group's list of names.
            None => {}
        }
    }

    fn name(&mut self, value: &[u8]) {
        if self.has_rules {
            (self.in_own, self.in_for_all, self.has_rules) = (false, false, false);
        }
        let value = String::from_utf8_lossy(value);
        match value.strip_prefix('*') {
            // `* and more words` also means all crawlers.
            Some(more) if more.is_empty() || more.starts_with(is_white) => {
                self.in_for_all = true;
            }
            _ if !self.token.is_empty() && product_token(&value).eq_ignore_ascii_case(self.token) => {
                (self.in_own, self.has_own_group) = (true, true);
            }
            _ => {}
        }
    }

    /// The group of the current line, if it is for the crawler.
    fn group(&mut self) -> Option<&mut Found> {
        match (self.in_own, self.in_for_all) {
            (true, _) => Some(&mut self.own),
            (false, true) => Some(&mut self.for_all),
            (false, false) => None,
        }
    }

    fn rule(&mut self, access: Access, value: &[u8]) {
        let Some(group) = self.group() else { return };
        // An empty path matches nothing.
        if !value.is_empty() {
            let pattern = escape_bytes(value);
            if access == Access::Allow {
                group.rules.extend(directory_of_index(&pattern).map(|dir| Pattern::new(access, dir)));
            }
            group.rules.push(Pattern::new(access, pattern));
        }
        self.has_rules = true;
    }
}

/// The pattern of the directory, if this one allows its index page: that also allows the directory.
fn directory_of_index(pattern: &str) -> Option<String> {
    let slash = pattern.rfind('/')?;
    pattern[slash..].starts_with("/index.htm").then(|| format!("{}$", &pattern[..=slash]))
}

/// The known keys, with their common misspellings.
enum Key {
    UserAgent,
    Rule(Access),
    CrawlDelay,
}

impl Key {
    fn of(key: &[u8]) -> Option<Self> {
        const DISALLOW: [&str; 6] = ["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"];
        let begins_with =
            |name: &&str| key.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        if ["user-agent", "useragent", "user agent"].iter().any(begins_with) {
            return Some(Self::UserAgent);
        }
        if begins_with(&"allow") {
            return Some(Self::Rule(Access::Allow));
        }
        if DISALLOW.iter().any(begins_with) {
            return Some(Self::Rule(Access::Disallow));
        }
        ["crawl-delay", "crawldelay", "crawl delay"].iter().any(begins_with).then_some(Self::CrawlDelay)
    }
}

/// The lines of a file that count. They end in LF, CR or both; a byte order mark is no part of the first.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends_line = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let end = match file.get(..LONGEST_FILE) {
        // A truncated rule would be another rule.
        Some(begin) if file.len() > LONGEST_FILE => begin.iter().rposition(ends_line).unwrap_or(0),
        _ => file.len(),
    };
    let file = &file[..end];
    let mark = file.iter().zip(b"\xef\xbb\xbf").take_while(|(byte, mark)| byte == mark).count();
    let lines = file[mark..].split(ends_line);
    lines.map(|line| &line[..line.len().min(LONGEST_LINE)])
}

/// The key and value of a line. The colon may be missing between just two words.
fn key_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| matches!(byte, b'#' | b'\0')).unwrap_or(line.len());
    let line = trim(&line[..end]);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (key, value) = match line.iter().position(|byte| *byte == b':') {
        Some(colon) => (trim(&line[..colon]), trim(&line[colon + 1..])),
        None => {
            let blank = line.iter().position(is_blank)?;
            (&line[..blank], trim(&line[blank..]))
        }
    };
    let has_colon = line.contains(&b':');
    (!key.is_empty() && (has_colon || !value.iter().any(is_blank))).then_some((key, value))
}

/// Removes the white space around a text.
fn trim(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !is_white(char::from(*byte));
    let start = text.iter().position(is_text).unwrap_or(text.len());
    let end = text.iter().rposition(is_text).map_or(start, |last| last + 1);
    &text[start..end]
}

/// A number of seconds, which may have a fraction.
fn seconds(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    // A longer delay than a duration can hold counts as the longest.
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u32::MAX.into())))
}

/// White space of ASCII, vertical tabs included.
fn is_white(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}
