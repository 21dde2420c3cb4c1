//! Error messages for certificates that fail verification: the problem, and the key that helps.

use jiff::Timestamp;
use rustls::CertificateError as Wrong;
use rustls::pki_types::UnixTime;

/// The most names of a certificate that a message lists.
const MOST_NAMES: usize = 5;

/// The message for a host's certificate that failed verification.
pub(super) fn explain(why: &Wrong, host: &str) -> String {
    let what = match why {
        Wrong::UnknownIssuer => {
            return "the server's certificate is of an unknown authority, or its intermediate certificates are missing; if you trust the authority, add it to tls.ca_file".to_owned();
        }
        Wrong::Expired => "has expired".to_owned(),
        Wrong::ExpiredContext { not_after, .. } => {
            format!(
                "expired on {}; its owner has to renew it, unless the clock of this machine is wrong",
                day(*not_after)
            )
        }
        Wrong::NotValidYet => "is not valid yet; is the clock of this machine right?".to_owned(),
        Wrong::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}; is the clock of this machine right?", day(*not_before))
        }
        Wrong::NotValidForName => format!("is for other names than {host}"),
        Wrong::NotValidForNameContext { presented, .. } => format!("is for {}, and not for {host}", names(presented)),
        Wrong::BadSignature => {
            "is not signed by the authority that it names; tls.ca_file may have an older one of it".to_owned()
        }
        Wrong::Revoked => "was revoked by its authority".to_owned(),
        Wrong::BadEncoding => "cannot be read".to_owned(),
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => OTHER_PURPOSE.to_owned(),
        Wrong::UnhandledCriticalExtension => "has a critical extension that is unknown here".to_owned(),
        other => of_webpki(&other.to_string()),
    };
    format!(
        "the server's certificate {what}; as a last resort, hosts.\"{host}\".insecure = true skips the check for this host"
    )
}

const OTHER_PURPOSE: &str = "is for another purpose than servers (its extended key usage lacks serverAuth)";

/// rustls passes on most errors of webpki as bare names (rustls 0.23, src/webpki/mod.rs, `pki_error`), and
/// rustls-platform-verifier adds `EkuError`.
fn of_webpki(name: &str) -> String {
    let sentence = if name.contains("CaUsedAsEndEntity") {
        "is that of an authority (CA:TRUE), which no server may show as its own; give the server one that the authority has signed, or make it with: openssl req -x509 -addext basicConstraints=critical,CA:FALSE"
    } else if name.contains("EkuError") {
        OTHER_PURPOSE
    } else if name.contains("EndEntityUsedAsCa") {
        "is signed by a certificate that is no authority's (it lacks CA:TRUE)"
    } else if name.contains("NameConstraintViolation") {
        "has a name that its authority may not vouch for"
    } else if name.contains("PathLenConstraintViolated") || name.contains("MaximumPathDepthExceeded") {
        "is too many certificates away from its authority"
    } else if name.contains("UnsupportedCertVersion") {
        "is of X.509 version 1 or 2; make one of version 3"
    } else if name.contains("UnsupportedSignatureAlgorithm") || name.contains("UnsupportedSignature") {
        "is signed by an algorithm that is no longer accepted, such as SHA-1"
    } else {
        return format!("is refused: {name}");
    };
    sentence.to_owned()
}

/// The first few names of a certificate.
fn names(presented: &[String]) -> String {
    // rustls writes them as `DnsName("a.test")` or `IpAddress(127.0.0.1)`.
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    let shown = presented.iter().take(MOST_NAMES).map(bare).collect::<Vec<_>>().join(", ");
    match presented.len() {
        0 => "no name at all".to_owned(),
        n if n > MOST_NAMES => format!("{shown} and {} more", n - MOST_NAMES),
        _ => shown,
    }
}

fn day(time: UnixTime) -> String {
    let at = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "an unknown day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}
