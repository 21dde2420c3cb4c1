//! Standard Webhooks signatures: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64, with `v1,` before it.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::units::Secret;

/// The prefix of every secret.
const PREFIX: &str = "whsec_";

/// The length of a key in bytes according to the specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The keys that each message is signed with. Two keys let a receiver rotate secrets.
#[derive(Debug)]
pub(super) struct SigningKeys(Vec<Key>);

impl SigningKeys {
    /// Parses secrets separated by spaces.
    ///
    /// # Errors
    /// The problem of an invalid secret, as the predicate of a sentence, without the secret.
    pub fn read(secrets: &Secret<String>) -> Result<Self, &'static str> {
        let keys: Vec<Key> = secrets.expose().split_ascii_whitespace().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("is empty; write for example \"${file:hook-secret}\"") } else { Ok(Self(keys)) }
    }

    /// The value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let signature = |key: &Key| {
            let mut context = Context::with_key(key);
            context.update(head.as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Result<Key, &'static str> {
    let text = secret
        .strip_prefix(PREFIX)
        .ok_or("is no Standard Webhooks secret, which begins with `whsec_`; make one with: echo whsec_$(openssl rand -base64 32)")?;
    let bytes = STANDARD.decode(text).map_err(|_| "has a part after `whsec_` that is not base64")?;
    if LENGTHS.contains(&bytes.len()) {
        Ok(Key::new(HMAC_SHA256, &bytes))
    } else {
        Err("has a key that is not 24 to 64 bytes long (before base64)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &str) -> Result<SigningKeys, &'static str> {
        SigningKeys::read(&Secret::new(secrets.to_owned()))
    }

    /// The example of the reference libraries.
    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let keys = keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn several_secrets_sign_once_each() {
        let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB");
        let sign = |secrets: &str| keys(secrets).unwrap().sign("a", 1, b"b");
        assert_eq!(sign(&format!("{new} {old}\n")), format!("{} {}", sign(new), sign(old)));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        for (text, said) in
            [("", "empty"), ("c2VjcmV0", "whsec_"), ("whsec_*", "base64"), ("whsec_c2VjcmV0", "24 to 64 bytes")]
        {
            let refusal = keys(text).unwrap_err();
            assert!(refusal.contains(said) && (text.is_empty() || !refusal.contains(text)), "{text}: {refusal}");
        }
    }
}
