//! What DNS has of a key, and a key's record as zone files have it.

use mailcore::address::Domain;
use mailcore::seams::{DnsError, Resolver};

use crate::sender_auth::dkim::{DkimProblem, PublicKey};

/// Octets of one string of a TXT record (RFC 1035 section 3.3.14).
const STRING: usize = 255;

/// What DNS has where a key's record should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// The key.
    Right,
    /// Nothing.
    Missing,
    /// Something else, in its own words: receivers may take either.
    Different(String),
    /// Not known: DNS did not answer.
    Unknown(DnsError),
}

/// Looks for a key's record in DNS: `record` under `name`.
pub async fn key_published(resolver: &dyn Resolver, name: &str, record: &str) -> Published {
    let Ok(name) = Domain::for_lookup(name) else {
        return Published::Missing;
    };
    let found = match resolver.txt(&name).await {
        Ok(found) => found.records,
        Err(DnsError::NotFound { .. }) => return Published::Missing,
        Err(error) => return Published::Unknown(error),
    };
    let wanted = PublicKey::parse(record.as_bytes());
    // Of several, receivers take any (RFC 6376 section 3.6.2.2): all must be
    // right.
    let other = found.iter().find(|txt| !is_same(txt, &wanted));
    match other {
        None if found.is_empty() => Published::Missing,
        None => Published::Right,
        Some(other) => Published::Different(String::from_utf8_lossy(other).into_owned()),
    }
}

/// However it is written, it must be the same key, usable for mail.
fn is_same(txt: &[u8], wanted: &Result<PublicKey, DkimProblem>) -> bool {
    let found = PublicKey::parse(txt);
    matches!((found, wanted), (Ok(found), Ok(wanted)) if found.is_same_key(wanted))
}

/// A text as the data of a TXT record in a zone file: quoted strings of 255
/// octets at most, which readers put together.
pub fn zone_text(text: &str) -> String {
    let mut strings = Vec::new();
    let mut string = String::new();
    let mut length = 0;
    for letter in text.chars() {
        if length + letter.len_utf8() > STRING {
            strings.push(std::mem::take(&mut string));
            length = 0;
        }
        length += letter.len_utf8();
        if matches!(letter, '"' | '\\') {
            string.push('\\');
        }
        string.push(letter);
    }
    strings.push(string);
    let quoted: Vec<String> = strings.iter().map(|it| format!("\"{it}\"")).collect();
    quoted.join(" ")
}
