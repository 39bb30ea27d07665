//! Values that several responses share: flags, sets of numbers, dates.

use mailcore::mailbox::{Flags, Keyword, SystemFlag, Uid, UidSet};
use mailcore::message::DateTime;

use super::reader::{Reader, Value};

/// Values read of one list: keywords, parameters, labels. A response of two-octet
/// values would otherwise take up many times its own size.
pub(in crate::client) const MAX_VALUES: usize = 1_000;

/// Flags that are no property of a stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    pub(super) recent: bool,
    pub(super) new_keywords: bool,
}

/// Reads a list of flags. Keywords that are no atoms, and system flags that no
/// RFC names, are left out: nobody could store them.
pub(super) fn flags(value: Value<'_>) -> (Flags, Marks) {
    let (mut flags, mut marks) = (Flags::NONE, Marks::default());
    let inner = match value {
        Value::List(inner) => inner,
        // One flag without its parentheses.
        Value::Atom(atom) => atom,
        _ => return (flags, marks),
    };
    let each = Reader::new(inner, 1).values().take(MAX_VALUES);
    for flag in each.filter_map(Value::text) {
        match SystemFlag::parse(&flag) {
            Some(system) => flags.insert(system),
            None if flag.eq_ignore_ascii_case("\\Recent") => marks.recent = true,
            None if flag == "\\*" => marks.new_keywords = true,
            None => Keyword::new(&flag)
                .into_iter()
                .for_each(|keyword| flags.insert_keyword(keyword)),
        }
    }
    (flags, marks)
}

/// The ranges of a set, in its own order. `*` has no place in a response.
pub(super) fn pairs(text: &[u8]) -> Option<Vec<(u32, u32)>> {
    let text = std::str::from_utf8(text).ok()?;
    let range = |range: &str| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    let commas = text.split(',').filter(|range| !range.is_empty());
    commas.map(range).collect()
}

/// A set of UIDs; one of sequence numbers is read as such, too.
pub(super) fn uid_set(text: &[u8]) -> Option<UidSet> {
    let ranges = pairs(text)?.into_iter();
    let ranges = ranges.filter_map(|(a, b)| Some((Uid::new(a)?, Uid::new(b)?)));
    Some(UidSet::from_ranges(ranges))
}

/// A date as RFC 9051 writes it, or as mail headers do, which some servers
/// hand through.
pub(super) fn date(value: Value<'_>) -> Option<DateTime> {
    let octets = value.octets()?;
    let octets = octets.trim_ascii();
    // One digit where two should be, the space before it lost.
    let padded = match octets {
        [_, b'-', ..] => [b" ", octets].concat(),
        _ => octets.to_vec(),
    };
    DateTime::parse_imap(&padded).or_else(|| DateTime::parse(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &[u8]) -> Value<'_> {
        Reader::new(text, 3).value().unwrap()
    }

    #[test]
    fn flags_are_read_with_or_without_quotes_and_parentheses() {
        let (read, marks) = flags(one(b"(\\seen \"$Forwarded\" \\Recent NIL \\* \\Odd)"));
        assert_eq!(format!("{read:?}"), r#"{"\\Seen", "$Forwarded"}"#);
        assert!(marks.recent && marks.new_keywords);
        assert!(flags(one(b"\\Deleted")).0.contains(SystemFlag::Deleted));
        assert_eq!(flags(one(b"NIL")).0, Flags::NONE);
    }

    #[test]
    fn dates_are_read_in_the_forms_servers_write() {
        for text in [
            &b"\" 7-Jul-1996 02:44:25 -0700\""[..],
            b"\"07-Jul-1996 02:44:25 -0700\"",
            b"\"7-Jul-1996 02:44:25 -0700\"",
            b"\"Sun, 7 Jul 1996 02:44:25 -0700\"",
        ] {
            let read = date(one(text)).unwrap();
            assert_eq!(read.to_imap(), " 7-Jul-1996 02:44:25 -0700");
        }
        assert_eq!(date(one(b"NIL")), None);
        assert_eq!(date(one(b"\"never\"")), None);
    }
}
