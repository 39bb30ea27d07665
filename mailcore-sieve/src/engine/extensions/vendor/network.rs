//! Networks and patterns of addresses.

use std::net::IpAddr;

/// What an address is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    /// The first bits of an address, and how many they are.
    Prefix(IpAddr, u32),
    /// `10.*.0.?`: `*` is anything, `?` one character, `#` digits.
    Pattern(Box<str>),
}

impl Network {
    /// `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.7`, `10.*.*.*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains(['*', '?', '#']) {
            let fits = |c: char| c.is_ascii_hexdigit() || "*?#.:".contains(c);
            return (text.len() <= 64 && text.chars().all(fits))
                .then(|| Self::Pattern(text.to_ascii_lowercase().into()));
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self::Prefix(address, bits))
    }

    /// Whether the address is of it.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Self::Prefix(network, bits) => match (network, ip) {
                (IpAddr::V4(network), IpAddr::V4(ip)) => {
                    let shift = 32_u32.saturating_sub(*bits);
                    let part = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
                    part(network.to_bits()) == part(ip.to_bits())
                }
                (IpAddr::V6(network), IpAddr::V6(ip)) => {
                    let shift = 128_u32.saturating_sub(*bits);
                    let part = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
                    part(network.to_bits()) == part(ip.to_bits())
                }
                _ => false,
            },
            Self::Pattern(pattern) => matches(pattern.as_bytes(), ip.to_string().as_bytes()),
        }
    }
}

/// Goes through pattern and text once for each star, keeping all places of the
/// pattern that may be reached: its length by the text's at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut at = vec![false; pattern.len() + 1];
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    skip_stars(pattern, &mut at);
    for octet in text {
        let mut next = vec![false; pattern.len() + 1];
        for (place, mark) in pattern.iter().enumerate() {
            if at.get(place) != Some(&true) {
                continue;
            }
            let (stays, goes_on) = match mark {
                b'*' => (true, false),
                b'?' => (false, true),
                b'#' => (octet.is_ascii_digit(), octet.is_ascii_digit()),
                mark => (false, mark == octet),
            };
            if let Some(here) = next.get_mut(place).filter(|_| stays) {
                *here = true;
            }
            if let Some(after) = next.get_mut(place + 1).filter(|_| goes_on) {
                *after = true;
            }
        }
        skip_stars(pattern, &mut next);
        at = next;
    }
    at.last() == Some(&true)
}

/// A star may stand for nothing.
fn skip_stars(pattern: &[u8], at: &mut [bool]) {
    for (place, mark) in pattern.iter().enumerate() {
        if *mark == b'*'
            && at.get(place) == Some(&true)
            && let Some(after) = at.get_mut(place + 1)
        {
            *after = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_patterns_hold_their_addresses() {
        for (network, ip, wanted) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
            ("10.*.*.*", "10.200.3.4", true),
            ("10.*.*.*", "110.200.3.4", false),
            ("10.*", "10.200.3.4", true),
            ("192.0.2.?", "192.0.2.7", true),
            ("192.0.2.?", "192.0.2.70", false),
            ("192.0.#.7", "192.0.255.7", true),
            ("192.0.#.7", "192.0.2.77", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(
                network.contains(ip.parse().unwrap()),
                wanted,
                "{network:?} {ip}"
            );
        }
        for wrong in [
            "10.0.0.0/33",
            "host",
            "10.0.0",
            "",
            "10.0.0.0/",
            "::/129",
            "a.example.*",
        ] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
