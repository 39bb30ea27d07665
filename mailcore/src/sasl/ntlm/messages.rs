//! The three messages (MS-NLMP section 2.2.1). Numbers are little-endian.

use super::{CHALLENGE, utf16};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// MS-NLMP section 2.2.2.5.
mod flags {
    pub(super) const UNICODE: u32 = 0x0000_0001;
    pub(super) const OEM: u32 = 0x0000_0002;
    pub(super) const REQUEST_TARGET: u32 = 0x0000_0004;
    pub(super) const NTLM: u32 = 0x0000_0200;
    pub(super) const ALWAYS_SIGN: u32 = 0x0000_8000;
    pub(super) const TARGET_TYPE_SERVER: u32 = 0x0002_0000;
    pub(super) const EXTENDED_SESSION_SECURITY: u32 = 0x0008_0000;
    pub(super) const TARGET_INFO: u32 = 0x0080_0000;
}

/// Names of what TargetInfo holds (MS-NLMP section 2.2.2.1).
mod av {
    pub(super) const END: u16 = 0;
    pub(super) const NETBIOS_COMPUTER: u16 = 1;
    pub(super) const NETBIOS_DOMAIN: u16 = 2;
    pub(super) const DNS_COMPUTER: u16 = 3;
    pub(super) const DNS_DOMAIN: u16 = 4;
}

/// NEGOTIATE_MESSAGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Negotiate {
    flags: u32,
}

impl Negotiate {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let rest = message.strip_prefix(SIGNATURE)?;
        (number(rest, 0)? == 1).then_some(())?;
        let flags = number(rest, 4)?;
        (flags & (flags::UNICODE | flags::OEM) != 0).then_some(Self { flags })
    }
}

/// CHALLENGE_MESSAGE.
pub(super) fn challenge(negotiate: &Negotiate, challenge: [u8; CHALLENGE], host: &str) -> Vec<u8> {
    /// Octets before the payload, with a version that is not shown.
    const HEAD: u32 = 56;
    let wanted =
        flags::UNICODE | flags::OEM | flags::ALWAYS_SIGN | flags::EXTENDED_SESSION_SECURITY;
    let mut agreed = negotiate.flags & wanted;
    if agreed & flags::UNICODE != 0 {
        agreed &= !flags::OEM;
    }
    agreed |= flags::NTLM | flags::TARGET_INFO | flags::REQUEST_TARGET | flags::TARGET_TYPE_SERVER;
    // NetBIOS names are of 15 characters at most.
    let short: String = host.split('.').next().unwrap_or(host).to_ascii_uppercase();
    let short: String = short.chars().take(15).collect();
    let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
    let mut info = Vec::new();
    for (id, value) in [
        (av::NETBIOS_DOMAIN, short.as_str()),
        (av::NETBIOS_COMPUTER, &short),
        (av::DNS_DOMAIN, domain),
        (av::DNS_COMPUTER, host),
        (av::END, ""),
    ] {
        let value = utf16(value);
        info.extend_from_slice(&id.to_le_bytes());
        info.extend_from_slice(&length(&value).to_le_bytes());
        info.extend_from_slice(&value);
    }
    let target = match agreed & flags::UNICODE {
        0 => short.into_bytes(),
        _ => utf16(&short),
    };
    let mut message = SIGNATURE.to_vec();
    message.extend_from_slice(&2_u32.to_le_bytes());
    message.extend_from_slice(&place(&target, HEAD));
    message.extend_from_slice(&agreed.to_le_bytes());
    message.extend_from_slice(&challenge);
    message.extend_from_slice(&[0; 8]);
    let after = HEAD.saturating_add(u32::from(length(&target)));
    message.extend_from_slice(&place(&info, after));
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&target);
    message.extend_from_slice(&info);
    message
}

/// Where a value is: length, room, offset.
fn place(value: &[u8], offset: u32) -> [u8; 8] {
    let [low, high] = length(value).to_le_bytes();
    let [a, b, c, d] = offset.to_le_bytes();
    [low, high, low, high, a, b, c, d]
}

/// A host's name is far from this limit.
fn length(value: &[u8]) -> u16 {
    u16::try_from(value.len()).unwrap_or(u16::MAX)
}

/// AUTHENTICATE_MESSAGE, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authenticate {
    pub(super) user: String,
    pub(super) domain: String,
    /// `NTProofStr`.
    pub(super) proof: [u8; 16],
    /// `NTLMv2_CLIENT_CHALLENGE`: what the proof covers beside our challenge.
    pub(super) blob: Vec<u8>,
}

impl Authenticate {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let rest = message.strip_prefix(SIGNATURE)?;
        (number(rest, 0)? == 3).then_some(())?;
        let response = field(message, 20)?;
        let text = match number(message, 60)? & flags::UNICODE {
            0 => oem,
            _ => unicode,
        };
        let domain = text(field(message, 28)?)?;
        let user = text(field(message, 36)?)?;
        // Version 1 has 24 octets here, and no structure (section 2.2.2.6).
        let (proof, blob) = response.split_first_chunk::<16>()?;
        const LEAST: usize = 28;
        if blob.len() < LEAST || !blob.starts_with(&[1, 1, 0, 0, 0, 0, 0, 0]) {
            return None;
        }
        Some(Self {
            user,
            domain,
            proof: *proof,
            blob: blob.to_vec(),
        })
    }
}

/// The number at this offset.
fn number(message: &[u8], at: usize) -> Option<u32> {
    let octets = message.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(octets.try_into().ok()?))
}

/// The value that the fields at this offset tell the place of.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = number(message, at)? & 0xffff;
    let offset = usize::try_from(number(message, at.checked_add(4)?)?).ok()?;
    let end = offset.checked_add(usize::try_from(length).ok()?)?;
    message.get(offset..end)
}

fn unicode(octets: &[u8]) -> Option<String> {
    let (units, []) = octets.as_chunks::<2>() else {
        return None;
    };
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).ok()
}

/// A code page that only the client knows: ASCII is in all of them.
fn oem(octets: &[u8]) -> Option<String> {
    octets
        .is_ascii()
        .then(|| String::from_utf8_lossy(octets).into_owned())
}
