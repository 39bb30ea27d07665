//! Macro strings (RFC 7208 section 7): names with places for what is known of
//! the message.

use std::fmt;
use std::net::IpAddr;

use super::record::RecordError;

/// The longest domain name, in octets (RFC 7208 section 7.3).
const MAX_DOMAIN: usize = 253;

/// A string with macros, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString {
    text: String,
    parts: Vec<Part>,
}

/// What a macro string is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A name: `macro-string` that ends like one.
    DomainSpec,
    /// A modifier nobody knows here: read for its syntax alone.
    Anything,
    /// Text for people, with macros of its own.
    Explanation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Macro(Macro),
}

/// `%{…}`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// A capital letter: the value is escaped for URLs.
    escaped: bool,
    /// Parts kept, counted from the right.
    keep: Option<usize>,
    reversed: bool,
    delimiters: Vec<char>,
}

/// What is put in place of a macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Ip,
    ValidatedName,
    Version,
    Helo,
    ReadableIp,
    Receiver,
    Time,
}

impl Letter {
    fn of(c: char, place: Use) -> Option<Self> {
        let letter = match c.to_ascii_lowercase() {
            's' => Self::Sender,
            'l' => Self::LocalPart,
            'o' => Self::SenderDomain,
            'd' => Self::Domain,
            'i' => Self::Ip,
            'p' => Self::ValidatedName,
            'v' => Self::Version,
            'h' => Self::Helo,
            // RFC 7208 section 7.2: only in the text of an explanation.
            'c' if place == Use::Explanation => Self::ReadableIp,
            'r' if place == Use::Explanation => Self::Receiver,
            't' if place == Use::Explanation => Self::Time,
            _ => return None,
        };
        Some(letter)
    }
}

/// What is known when a macro string is expanded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) local_part: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) helo: &'a str,
    pub(super) ip: IpAddr,
    /// `unknown` when it was not found or not looked for.
    pub(super) validated_name: &'a str,
    pub(super) receiver: &'a str,
    /// Seconds of the epoch.
    pub(super) time: i64,
}

impl MacroString {
    /// Reads a macro string.
    pub(super) fn parse(text: &str, place: Use) -> Result<Self, RecordError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '%' => match rest.next() {
                    Some('%') => literal.push('%'),
                    Some('_') => literal.push(' '),
                    Some('-') => literal.push_str("%20"),
                    Some('{') => {
                        let (inside, after) = (rest.as_str().split_once('}'))
                            .ok_or_else(|| RecordError::Macro(text.into()))?;
                        let found = Macro::parse(inside, place)
                            .ok_or_else(|| RecordError::Macro(text.into()))?;
                        if !literal.is_empty() {
                            parts.push(Part::Literal(std::mem::take(&mut literal)));
                        }
                        parts.push(Part::Macro(found));
                        rest = after.chars();
                    }
                    _ => return Err(RecordError::Macro(text.into())),
                },
                '\x21'..='\x7e' => literal.push(c),
                ' ' if place == Use::Explanation => literal.push(c),
                _ => return Err(RecordError::Character(c)),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let string = Self {
            text: text.to_owned(),
            parts,
        };
        if place == Use::DomainSpec && !string.ends_like_a_name() {
            return Err(RecordError::DomainSpec(text.into()));
        }
        Ok(string)
    }

    /// `domain-end`: a macro, or a dot and a label that is not a number.
    fn ends_like_a_name(&self) -> bool {
        // `%%` and its like are macros, too, by the grammar.
        if ["%%", "%_", "%-"].iter().any(|it| self.text.ends_with(it)) {
            return true;
        }
        match self.parts.last() {
            Some(Part::Macro(_)) => true,
            Some(Part::Literal(literal)) => {
                let literal = literal.strip_suffix('.').unwrap_or(literal);
                let label = literal.rsplit_once('.').map(|(_, label)| label);
                label.is_some_and(is_top_label)
            }
            None => false,
        }
    }

    /// True when expanding it takes the validated name of the client.
    pub(super) fn takes_validated_name(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Macro(it) if it.letter == Letter::ValidatedName))
    }

    /// The text with values in place of macros, its first `most` octets and a
    /// little more: a record of 64 kB may stand for megabytes.
    pub(super) fn expand(&self, values: &Values<'_>, most: usize) -> String {
        let mut out = String::new();
        for part in &self.parts {
            if out.len() >= most {
                break;
            }
            part.expand(values, &mut out);
        }
        out
    }

    /// The text with values in place of macros, cut on the left to the length of
    /// a name. It grows from its end, and no further than a name does.
    pub(super) fn expand_name(&self, values: &Values<'_>) -> String {
        let mut pieces = Vec::new();
        let mut length = 0;
        for part in self.parts.iter().rev() {
            // One more for the dot that a name may end with.
            if length > MAX_DOMAIN + 1 {
                break;
            }
            let mut piece = String::new();
            part.expand(values, &mut piece);
            length += piece.len();
            pieces.push(piece);
        }
        pieces.reverse();
        let expanded = pieces.concat();
        let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
        while name.len() > MAX_DOMAIN {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                // One label, too long: it names nothing.
                None => break,
            }
        }
        name.to_owned()
    }
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `toplabel`: letters, digits and hyphens, not all of them digits.
fn is_top_label(label: &str) -> bool {
    !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && label.chars().any(|c| !c.is_ascii_digit())
}

impl Part {
    fn expand(&self, values: &Values<'_>, out: &mut String) {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Macro(it) => it.expand(values, out),
        }
    }
}

impl Macro {
    /// Reads what is between the braces.
    fn parse(inside: &str, place: Use) -> Option<Self> {
        let mut chars = inside.chars();
        let c = chars.next()?;
        let letter = Letter::of(c, place)?;
        let rest = chars.as_str();
        let end = (rest.find(|c: char| !c.is_ascii_digit())).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at_checked(end)?;
        let keep = match digits {
            "" => None,
            // More parts than a number holds are all of them.
            digits => match digits.parse().unwrap_or(usize::MAX) {
                0 => return None,
                count => Some(count),
            },
        };
        let (reversed, rest) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !rest.chars().all(|c| ".-+,/_=".contains(c)) {
            return None;
        }
        Some(Self {
            letter,
            escaped: c.is_ascii_uppercase(),
            keep,
            reversed,
            // Each once, however often a record has it.
            delimiters: ".-+,/_=".chars().filter(|it| rest.contains(*it)).collect(),
        })
    }

    fn expand(&self, values: &Values<'_>, out: &mut String) {
        let value = match self.letter {
            Letter::Sender => format!("{}@{}", values.local_part, values.sender_domain),
            Letter::LocalPart => values.local_part.to_owned(),
            Letter::SenderDomain => values.sender_domain.to_owned(),
            Letter::Domain => values.domain.to_owned(),
            Letter::Ip => dotted(values.ip),
            Letter::ValidatedName => values.validated_name.to_owned(),
            Letter::Version if values.ip.is_ipv4() => "in-addr".to_owned(),
            Letter::Version => "ip6".to_owned(),
            Letter::Helo => values.helo.to_owned(),
            Letter::ReadableIp => values.ip.to_string(),
            Letter::Receiver => values.receiver.to_owned(),
            Letter::Time => values.time.to_string(),
        };
        let value = self.transform(value);
        if self.escaped {
            escape(&value, out);
        } else {
            out.push_str(&value);
        }
    }

    /// Splits, reverses, keeps the right-hand parts and joins by dots.
    fn transform(&self, value: String) -> String {
        if self.keep.is_none() && !self.reversed && self.delimiters.is_empty() {
            return value;
        }
        let mut parts: Vec<&str> = match self.delimiters.as_slice() {
            [] => value.split('.').collect(),
            delimiters => value.split(delimiters).collect(),
        };
        if self.reversed {
            parts.reverse();
        }
        let drop = parts.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
        parts.get(drop..).unwrap_or_default().join(".")
    }
}

/// All that RFC 3986 section 2.3 does not call unreserved, by its octets.
fn escape(value: &str, out: &mut String) {
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
}

/// An address as labels: `192.0.2.1`, or each half octet of an IPv6 one.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let digits = format!("{:032x}", ip.to_bits());
            let mut out = String::with_capacity(63);
            for digit in digits.chars() {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push(digit);
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expand(text: &str, ip: &str) -> String {
        let values = Values {
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            helo: "helo.example.org",
            ip: ip.parse().unwrap(),
            validated_name: "mx.example.org",
            receiver: "here.example.net",
            time: 7,
        };
        let string = MacroString::parse(text, Use::Explanation).unwrap();
        string.expand(&values, usize::MAX)
    }

    /// RFC 7208 section 7.4.
    #[test]
    fn the_examples_of_the_rfc_expand_as_it_says() {
        let examples = [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
            ),
            (
                "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
                "3.2.0.192.in-addr.strong.lp._spf.example.com",
            ),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
            (
                "%{p} %{h} %{c} %{r} %{t}",
                "mx.example.org helo.example.org 192.0.2.3 here.example.net 7",
            ),
            ("%{S}%%%_%-", "strong-bad%40email.example.com% %20"),
        ];
        for (text, expanded) in examples {
            assert_eq!(expand(text, "192.0.2.3"), expanded, "{text}");
        }
        assert_eq!(
            expand("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn what_is_no_macro_string_is_refused() {
        for text in [
            "%", "%(d)", "%{", "%{x}", "%{d0}", "%{d-r}", "%{d2x}", "a%b", "%{}",
        ] {
            assert!(
                MacroString::parse(text, Use::Explanation).is_err(),
                "{text}"
            );
        }
        for text in ["a b", "a\tb", "é", "%{c}", "%{r}", "%{t}"] {
            assert!(MacroString::parse(text, Use::Anything).is_err(), "{text}");
        }
        for text in [
            "",
            "com",
            "example.123",
            "example.",
            "example.-com",
            "%{d}com",
            "a.b/24",
        ] {
            assert!(MacroString::parse(text, Use::DomainSpec).is_err(), "{text}");
        }
        for text in ["a.com", "a.com.", "%{d}", "x.%{d2}", "_spf.a-1", "a.%%"] {
            assert!(MacroString::parse(text, Use::DomainSpec).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_loses_labels_on_the_left() {
        let long = "%{d}.".repeat(20) + "example.com";
        let values = Values {
            local_part: "",
            sender_domain: "",
            domain: "email.example.com",
            helo: "",
            ip: IpAddr::from([192, 0, 2, 1]),
            validated_name: "unknown",
            receiver: "",
            time: 0,
        };
        let string = MacroString::parse(&long, Use::DomainSpec).unwrap();
        let name = string.expand_name(&values);
        assert!(
            name.len() <= MAX_DOMAIN && name.len() > MAX_DOMAIN - 20,
            "{name}"
        );
        assert!(
            string
                .expand(&values, usize::MAX)
                .ends_with(&format!(".{name}"))
        );
    }

    #[test]
    fn a_record_that_stands_for_megabytes_makes_none() {
        let values = Values {
            local_part: &"a.".repeat(32),
            sender_domain: "email.example.com",
            domain: "email.example.com",
            helo: "",
            ip: IpAddr::from([192, 0, 2, 1]),
            validated_name: "unknown",
            receiver: "",
            time: 0,
        };
        let string = MacroString::parse(&"%{S}.".repeat(13_000), Use::Explanation).unwrap();
        assert!(string.expand(&values, 400).len() < 400 + 3 * 82);
        let name = string.expand_name(&values);
        assert!(name.len() <= MAX_DOMAIN && name.ends_with(".%40email.example.com"));
    }

    proptest! {
        #[test]
        fn a_name_is_the_end_of_the_whole_text(
            parts in proptest::collection::vec("[a-z]{1,90}|%\\{[dslSI]r?\\}|\\.", 1..40),
        ) {
            let values = Values {
                local_part: "strong-bad",
                sender_domain: "email.example.com",
                domain: "example.com",
                helo: "helo.example.org",
                ip: IpAddr::from([192, 0, 2, 1]),
                validated_name: "unknown",
                receiver: "",
                time: 0,
            };
            let string = MacroString::parse(&parts.concat(), Use::Explanation).unwrap();
            let whole = string.expand(&values, usize::MAX);
            let whole = whole.strip_suffix('.').unwrap_or(&whole);
            let mut name = whole;
            while let Some((_, rest)) = name.split_once('.').filter(|_| name.len() > MAX_DOMAIN) {
                name = rest;
            }
            let found = string.expand_name(&values);
            // Of a label that is too long for any name its end will do.
            prop_assert!(found == name || (found.len() > MAX_DOMAIN && name.ends_with(&found)));
        }
    }
}
