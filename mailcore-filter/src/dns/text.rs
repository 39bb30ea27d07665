//! What lists say, made fit for a reply.

/// Octets kept of what a list says about a listing.
const MAX_TEXT: usize = 200;

/// Printable ASCII on one line, cut where it is long: whoever runs the list
/// writes this, and it goes into replies and logs. `None` when nothing is left.
pub(super) fn clean(text: &[u8]) -> Option<String> {
    let words = text
        .split(|octet| !octet.is_ascii_graphic())
        .filter(|word| !word.is_empty());
    let mut cleaned = String::new();
    for word in words {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.extend(word.iter().map(|octet| char::from(*octet)));
        if cleaned.len() >= MAX_TEXT {
            break;
        }
    }
    cleaned.truncate(MAX_TEXT);
    let cleaned = cleaned.trim_end();
    (!cleaned.is_empty()).then(|| cleaned.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_list_says_becomes_one_line() {
        for (text, want) in [
            (
                "https://x.test/?ip=192.0.2.1",
                Some("https://x.test/?ip=192.0.2.1"),
            ),
            ("a\r\n250 OK\tb", Some("a 250 OK b")),
            ("  \u{0}\u{7f} ", None),
            ("", None),
            ("gelöscht", Some("gel scht")),
        ] {
            assert_eq!(clean(text.as_bytes()).as_deref(), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_list_says_fits_a_reply(text: Vec<u8>) {
            if let Some(cleaned) = clean(&text) {
                prop_assert!(cleaned.len() <= MAX_TEXT);
                prop_assert!(cleaned.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            }
        }
    }
}
