//! One-time codes: HOTP (RFC 4226) by time (RFC 6238), and how a second factor
//! is kept. Knows no accounts.

use hmac::{Hmac, KeyInit, Mac};
use mailcore::account::Secret;
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Octets of a secret: SHA-1's length (RFC 4226 section 4, R6).
pub(super) const SECRET: usize = 20;
/// Seconds that a code is for (RFC 6238 section 5.2).
pub(super) const PERIOD: u64 = 30;
/// Digits of a code.
pub(super) const DIGITS: u32 = 6;
/// Codes before and after the present one that are taken, for clocks that
/// differ (RFC 6238 section 6).
const SKEW: u64 = 1;
/// Octets kept of a recovery code.
const RECOVERY: usize = 16;
/// What that hash is for.
const CONTEXT: &str = "mailcore 2026-11 directory recovery code";
/// The layout written.
const LAYOUT: u8 = 1;
/// Octets before the recovery codes.
const HEAD: usize = 2 + SECRET + 8;

/// A second factor as it is kept, encrypted.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) is_on: bool,
    secret: Secret,
    /// The number of the last code that was taken: none up to it is taken
    /// again.
    last: u64,
    recovery: Vec<[u8; RECOVERY]>,
}

impl Record {
    pub(super) fn new(secret: Secret, recovery_codes: &[Secret], is_on: bool) -> Self {
        let recovery = recovery_codes
            .iter()
            .map(|code| recovery_hash(&secret, code.expose()))
            .collect();
        Self {
            is_on,
            secret,
            last: 0,
            recovery,
        }
    }

    pub(super) fn recovery_codes(&self) -> usize {
        self.recovery.len()
    }

    /// The record after a code of this moment was used up; `None` when it is
    /// wrong.
    pub(super) fn take(&self, code: &[u8], seconds: u64) -> Option<Self> {
        let mut after = self.clone();
        after.is_on = true;
        let step = seconds / PERIOD;
        let window = step.saturating_sub(SKEW)..=step.saturating_add(SKEW);
        // All are compared, so that time tells nothing of which it was.
        let found = window.fold(None, |found, step| {
            let right = hotp(self.secret.expose(), step, DIGITS);
            match bool::from(right.as_bytes().ct_eq(code)) & (step > self.last) {
                true => Some(step),
                false => found,
            }
        });
        if let Some(step) = found {
            after.last = step;
            return Some(after);
        }
        let tried = recovery_hash(&self.secret, code);
        after.recovery.retain(|it| !bool::from(it.ct_eq(&tried)));
        (after.recovery.len() < self.recovery.len()).then_some(after)
    }

    pub(super) fn encode(&self) -> Secret {
        let mut octets = vec![LAYOUT, u8::from(self.is_on)];
        octets.extend_from_slice(self.secret.expose());
        octets.extend_from_slice(&self.last.to_be_bytes());
        octets.extend(self.recovery.iter().flatten());
        Secret::new(octets)
    }

    pub(super) fn decode(octets: &Secret) -> Option<Self> {
        let (head, recovery) = octets.expose().split_at_checked(HEAD)?;
        let (&[LAYOUT, is_on], rest) = head.split_first_chunk::<2>()? else {
            return None;
        };
        let (secret, last) = rest.split_first_chunk::<SECRET>()?;
        let (recovery, rest) = recovery.as_chunks::<RECOVERY>();
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            is_on: is_on == 1,
            secret: Secret::new(*secret),
            last: u64::from_be_bytes(last.try_into().ok()?),
            recovery: recovery.to_vec(),
        })
    }
}

/// `HOTP(K, C)`, with leading zeros (RFC 4226 section 5.3).
fn hotp(secret: &[u8], counter: u64, digits: u32) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(&counter.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest.last().map_or(0, |it| it & 0xf));
    let chunk = digest.get(at..).and_then(|it| it.first_chunk::<4>());
    let number = chunk.map_or(0, |it| u32::from_be_bytes(*it) & 0x7fff_ffff);
    let width = digits as usize;
    format!("{:0width$}", number % 10_u32.pow(digits))
}

/// Of a recovery code, however it was typed.
fn recovery_hash(secret: &Secret, code: &[u8]) -> [u8; RECOVERY] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(secret.expose());
    for octet in code.iter().filter(|it| it.is_ascii_alphanumeric()) {
        hasher.update(&[octet.to_ascii_lowercase()]);
    }
    let mut out = [0; RECOVERY];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Base32 without padding (RFC 4648 section 6).
pub(super) fn base32(octets: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut put = |five: u32| {
        let letter = LETTERS.get(five as usize % 32).copied();
        text.extend(letter.map(char::from));
    };
    for octet in octets {
        bits = bits << 8 | u32::from(*octet);
        count += 8;
        while count >= 5 {
            count -= 5;
            put(bits >> count & 31);
        }
    }
    if count > 0 {
        put(bits << (5 - count) & 31);
    }
    text
}

/// The URI that devices read
/// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>).
pub(super) fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let (issuer, account) = (escaped(issuer), escaped(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&\
         digits={DIGITS}&period={PERIOD}"
    )
}

/// With all but unreserved characters as `%XX` (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet));
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8; SECRET] = b"12345678901234567890";

    #[test]
    fn rfc4226_appendix_d() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, right) in (0..).zip(codes) {
            assert_eq!(hotp(RFC, counter, 6), right);
        }
    }

    #[test]
    fn rfc6238_appendix_b() {
        for (seconds, right) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(hotp(RFC, seconds / PERIOD, 8), right);
        }
    }

    #[test]
    fn a_code_is_taken_once_and_about_its_time() {
        let record = Record::new(Secret::new(*RFC), &[], true);
        let at = 1_111_111_111;
        let now = b"050471";
        let after = record.take(now, at).unwrap();
        assert!(after.take(now, at).is_none(), "used");
        assert!(
            after.take(b"081804", at).is_none(),
            "older than the last one"
        );
        for (seconds, taken) in [
            (at - 60, false),
            (at - 30, true),
            (at + 30, true),
            (at + 60, false),
        ] {
            assert_eq!(record.take(now, seconds).is_some(), taken, "{seconds}");
        }
        assert!(record.take(b"", at).is_none() && record.take(b"50471", at).is_none());
        assert!(record.take(now, u64::MAX).is_none());
    }

    #[test]
    fn a_recovery_code_works_once() {
        let codes = ["abcde-fghjk", "mnpqr-stuvw"].map(Secret::new);
        let record = Record::new(Secret::new(*RFC), &codes, false);
        let kept = Record::decode(&record.encode()).unwrap();
        assert!(kept == record && !kept.is_on);
        let after = kept.take(b"ABCDE FGHJK", 0).unwrap();
        assert!(after.is_on && after.recovery_codes() == 1);
        assert!(after.take(b"abcde-fghjk", 0).is_none());
        assert!(Record::decode(&Secret::new(*b"\x01")).is_none());
    }

    #[test]
    fn devices_read_what_is_shown() {
        // RFC 4648 section 10.
        for (octets, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(octets.as_bytes()), text);
        }
        assert_eq!(
            uri("x.test", "ann@x.test", "ABC"),
            "otpauth://totp/x.test:ann%40x.test?secret=ABC&issuer=x.test&algorithm=SHA1&digits=6&\
             period=30"
        );
    }
}
