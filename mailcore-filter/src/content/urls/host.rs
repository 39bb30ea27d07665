//! The host of a URL as a browser reads it: [`UrlHost`] (WHATWG URL section 3.5,
//! RFC 3986 section 3.2.2, RFC 5891).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Trick, Tricks};

/// Octets of a host that are looked at: a name in DNS has 253, and each may be
/// written as three.
const MAX_HOST: usize = 1024;

/// Whom a URL leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UrlHost {
    /// A name in DNS: lower case, A-labels, no final dot.
    Name(String),
    /// An address, in whatever of its forms it was written.
    Ip(IpAddr),
}

impl UrlHost {
    /// Reads a host, noting what it does to be taken for another.
    pub(super) fn parse(text: &str, tricks: &mut Tricks) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_HOST {
            return None;
        }
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.split_once(']')?.0;
            let ip: Ipv6Addr = literal.split('%').next()?.parse().ok()?;
            return Some(Self::Ip(IpAddr::V6(ip).to_canonical()));
        }
        let text = decode(text, tricks)?;
        let name = ascii(&text, tricks)?;
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Some(ip) = ipv4(name, tricks)? {
            return Some(Self::Ip(ip.into()));
        }
        is_name(name).then(|| Self::Name(name.to_owned()))
    }

    /// The name, when it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// The address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Ip(ip) => Some(*ip),
        }
    }

    /// The part of a name that somebody registered: one label below a public
    /// suffix. The name itself where it is such a suffix or is under none known.
    pub fn organization(&self) -> Option<&str> {
        let name = self.name()?;
        Some(psl::domain_str(name).unwrap_or(name))
    }

    /// The last label of a name.
    pub fn top_level(&self) -> Option<&str> {
        self.name()?.rsplit('.').next()
    }
}

impl fmt::Display for UrlHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Percent-encoding undone.
fn decode<'a>(text: &'a str, tricks: &mut Tricks) -> Option<Cow<'a, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    tricks.note(Trick::EncodedHost);
    let octets = super::percent_decode(text);
    String::from_utf8(octets).ok().map(Cow::Owned)
}

/// A-labels in lower case.
fn ascii<'a>(text: &'a str, tricks: &mut Tricks) -> Option<Cow<'a, str>> {
    if text.is_ascii() {
        if text.starts_with("xn--") || text.contains(".xn--") {
            tricks.note(Trick::International);
        }
        return Some(match text.bytes().any(|it| it.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        });
    }
    // Other full stops than the ASCII one separate labels, too, and letters that
    // only look otherwise are folded (RFC 5891, UTS 46).
    if text.contains(['\u{3002}', '\u{ff0e}', '\u{ff61}']) {
        tricks.note(Trick::OddDots);
    }
    let name = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL).ok()?;
    if name.contains("xn--") {
        tricks.note(Trick::International);
    } else {
        tricks.note(Trick::OddLetters);
    }
    Some(Cow::Owned(name.into_owned()))
}

/// The IPv4 address that a host is, when its last label is a number: one to four
/// numbers, each decimal, octal or hexadecimal, the last filling what is left.
/// The outer none is a host that is neither.
#[expect(
    clippy::option_option,
    reason = "an address, no address, or no host at all"
)]
fn ipv4(name: &str, tricks: &mut Tricks) -> Option<Option<Ipv4Addr>> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|it| it.is_ascii_digit()) || number(last).is_some();
    if last.is_empty() || !is_number {
        return Some(None);
    }
    let mut parts = [0_u64; 4];
    let mut count = 0;
    for part in name.split('.') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let last = *parts.get(count.checked_sub(1)?)?;
    let mut value = 0_u64;
    for part in parts.get(..count - 1)? {
        value = value << 8 | (*part <= 255).then_some(*part)?;
    }
    let bits = 8 * (5 - count);
    if last >> bits != 0 {
        return None;
    }
    let ip = Ipv4Addr::from_bits(u32::try_from(value << bits | last).ok()?);
    if name != ip.to_string() {
        tricks.note(Trick::OddAddress);
    }
    Some(Some(ip))
}

fn number(text: &str) -> Option<u64> {
    let (digits, base) = match text.as_bytes() {
        [b'0', b'x', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        [] => return None,
        _ => (text, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    let sound = digits.bytes().all(|it| char::from(it).is_digit(base));
    sound
        .then(|| u64::from_str_radix(digits, base).ok())
        .flatten()
}

/// A name that DNS can be asked for; underscores are found in real ones.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_are_read_as_browsers_read_them() {
        for (text, want, tricks) in [
            ("Example.COM", "example.com", vec![]),
            ("example.com.", "example.com", vec![]),
            ("192.0.2.1", "192.0.2.1", vec![]),
            ("3221225985", "192.0.2.1", vec![Trick::OddAddress]),
            ("0xc0000201", "192.0.2.1", vec![Trick::OddAddress]),
            ("0300.0.0x2.1", "192.0.2.1", vec![Trick::OddAddress]),
            ("192.513", "192.0.2.1", vec![Trick::OddAddress]),
            ("%65xample.com", "example.com", vec![Trick::EncodedHost]),
            (
                "example\u{3002}com",
                "example.com",
                vec![Trick::OddDots, Trick::OddLetters],
            ),
            ("\u{ff45}xample.com", "example.com", vec![Trick::OddLetters]),
            (
                "b\u{fc}cher.example",
                "xn--bcher-kva.example",
                vec![Trick::International],
            ),
            ("[2001:db8::1]", "[2001:db8::1]", vec![]),
            ("[::ffff:192.0.2.1]", "192.0.2.1", vec![]),
        ] {
            let mut noted = Tricks::default();
            let host = UrlHost::parse(text, &mut noted).unwrap();
            assert_eq!(host.to_string(), want, "{text}");
            assert_eq!(noted.iter().collect::<Vec<_>>(), tricks, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        for text in [
            "",
            "localhost",
            "a..b",
            ".",
            "256.256.256.256",
            "1.2.3.4.5",
            "a b.test",
            "[::1",
            "[x]",
            "%ff.test",
            "192.0.2.1.1",
            "0xg.0x",
            "-",
        ] {
            let host = UrlHost::parse(text, &mut Tricks::default());
            assert_eq!(
                host.filter(|it| it.name() != Some("0xg.0x")),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn organizations_are_below_public_suffixes() {
        for (host, want) in [
            ("www.shop.example.co.uk", "example.co.uk"),
            ("example.com", "example.com"),
            ("co.uk", "co.uk"),
            ("a.b.github.io", "b.github.io"),
        ] {
            let host = UrlHost::parse(host, &mut Tricks::default()).unwrap();
            assert_eq!(host.organization(), Some(want));
        }
    }

    proptest! {
        #[test]
        fn an_address_is_read_from_each_of_its_forms(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = ip.octets();
            for text in [
                ip.to_string(), bits.to_string(), format!("0x{bits:x}"), format!("0{bits:o}"),
                format!("{a}.{}", bits & 0xff_ffff), format!("0x{a:X}.0{b:o}.{}", bits & 0xffff),
                format!("{a}.{b}.{c}.0x{d:x}."),
            ] {
                let host = UrlHost::parse(&text, &mut Tricks::default());
                prop_assert_eq!(host, Some(UrlHost::Ip(ip.into())), "{}", text);
            }
        }
    }
}
