//! Hexadecimal digits for the digests in records and in the journal.

use std::fmt::Write;

/// Two lower-case digits for each byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The SHA-256 with these digits, of either case; `None` if the text is invalid.
pub fn sha256_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_is_read_as_it_was_written(digest: [u8; 32]) {
            let text = to_hex(&digest);
            prop_assert_eq!(sha256_of_hex(&text), Some(digest));
            prop_assert_eq!(sha256_of_hex(&text.to_uppercase()), Some(digest));
        }

        #[test]
        fn other_text_is_no_digest(text in "[0-9a-f]{0,63}|[0-9a-f]{65,70}|[0-9a-f]{31}[g+ é][0-9a-f]{32}") {
            prop_assert_eq!(sha256_of_hex(&text), None);
        }
    }
}
