//! The identity of a line as bytes that sort by (source, file, seq).

/// The identity of a line. Absent names are empty: no source and no file has an empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The name of the source.
    pub source: String,
    /// The path, if the source reads several files or is durable.
    pub file: String,
    /// The number of the line.
    pub seq: u64,
    /// The id of the durable state that numbers the line.
    pub state_id: String,
}

impl LineKey {
    /// Encodes the key.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.source.len() + self.file.len() + self.state_id.len() + 16);
        put(&mut bytes, &self.source);
        put(&mut bytes, &self.file);
        bytes.extend(self.seq.to_be_bytes());
        put(&mut bytes, &self.state_id);
        bytes
    }

    /// Decodes a key; `None` if the bytes are no key.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (source, rest) = take(bytes)?;
        let (file, rest) = take(rest)?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (state_id, rest) = take(rest)?;
        rest.is_empty().then_some(Self { source, file, seq: u64::from_be_bytes(*seq), state_id })
    }
}

/// Appends a text, terminated by two zeros; a zero inside is followed by 255. So a text sorts before texts that it is a
/// prefix of.
fn put(bytes: &mut Vec<u8>, text: &str) {
    for part in text.split_inclusive('\0') {
        bytes.extend_from_slice(part.as_bytes());
        if part.ends_with('\0') {
            bytes.push(255);
        }
    }
    bytes.extend([0, 0]);
}

fn take(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (mut text, mut rest) = (Vec::new(), bytes);
    loop {
        let zero = memchr::memchr(0, rest)?;
        text.extend_from_slice(&rest[..zero]);
        let end = *rest.get(zero + 1)?;
        rest = &rest[zero + 2..];
        if end == 0 {
            return Some((String::from_utf8(text).ok()?, rest));
        }
        text.push(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = LineKey> {
        let text = || prop::collection::vec(prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', 'é', '\u{ff}']), 0..4);
        (text(), text(), prop_oneof![0u64..3, any::<u64>()], text()).prop_map(|(source, file, seq, state_id)| LineKey {
            source: source.into_iter().collect(),
            file: file.into_iter().collect(),
            seq,
            state_id: state_id.into_iter().collect(),
        })
    }

    proptest! {
        #[test]
        fn the_order_of_the_bytes_is_that_of_the_lines(a in any_key(), b in any_key()) {
            prop_assert_eq!(a.encode().cmp(&b.encode()), a.cmp(&b));
            prop_assert_eq!(LineKey::decode(&a.encode()), Some(a));
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_none() {
        let key = LineKey { seq: 7, ..LineKey::default() }.encode();
        assert!((0..key.len()).all(|end| LineKey::decode(&key[..end]).is_none()));
        assert_eq!(LineKey::decode(&[key.as_slice(), &[0]].concat()), None);
    }
}
