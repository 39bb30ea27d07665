//! The PROXY protocol, versions 1 and 2, as HAProxy defines it: what a proxy
//! says of the client before the client's own octets.
//!
//! The parser is pure, and asks for no octet that could be the client's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Octets of a line of version 1 with its CRLF.
const MAX_LINE: usize = 107;
/// Octets behind the fixed part of version 2: addresses and TLVs.
const MAX_PAYLOAD: usize = 4 * 1024;
/// The shortest line: `PROXY UNKNOWN` and its CRLF.
const MIN_LINE: usize = 15;
/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of version 2 before the addresses.
const FIXED: usize = 16;

/// For whom a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    /// For itself, or it does not say: the connection's own addresses count.
    Itself,
    /// For a client.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address it connected to.
        destination: SocketAddr,
    },
}

/// How far a header has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// At least so many octets more belong to it.
    Need(usize),
    /// It is whole.
    Done(ProxyHeader),
}

/// Why what came is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "this is no PROXY header; make the proxy send one, or take the proxy key from the listener"
)]
pub(super) struct NotAHeader;

impl ProxyHeader {
    /// Parses what came so far.
    pub(super) fn parse(octets: &[u8]) -> Result<Parsed, NotAHeader> {
        match octets.first() {
            None => Ok(Parsed::Need(MIN_LINE)),
            Some(b'\r') => binary(octets),
            Some(_) => line(octets),
        }
    }

    /// Reads a header off a stream, and not one octet more.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
    ) -> std::io::Result<ProxyHeader> {
        let mut octets = Vec::with_capacity(MAX_LINE);
        loop {
            match Self::parse(&octets) {
                Ok(Parsed::Done(header)) => return Ok(header),
                Ok(Parsed::Need(more)) => {
                    let have = octets.len();
                    octets.resize(have + more, 0);
                    let room = octets.get_mut(have..).unwrap_or_default();
                    stream.read_exact(room).await?;
                }
                Err(error) => {
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
                }
            }
        }
    }
}

/// `PROXY TCP4 source destination port port CRLF`.
fn line(octets: &[u8]) -> Result<Parsed, NotAHeader> {
    let tag = b"PROXY ";
    let begins = tag.iter().zip(octets).all(|(want, got)| want == got);
    if !begins || octets.len() > MAX_LINE {
        return Err(NotAHeader);
    }
    let Some(text) = octets.strip_suffix(b"\r\n") else {
        let least = if octets.last() == Some(&b'\r') { 1 } else { 2 };
        let more = MIN_LINE.saturating_sub(octets.len()).max(least);
        return Ok(Parsed::Need(more));
    };
    let text = std::str::from_utf8(text).map_err(|_| NotAHeader)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().ok_or(NotAHeader)?;
    if family == "UNKNOWN" {
        return Ok(Parsed::Done(ProxyHeader::Itself));
    }
    let mut address = || -> Result<IpAddr, NotAHeader> {
        let word = words.next().ok_or(NotAHeader)?;
        let address = match family {
            "TCP4" => word.parse().map(IpAddr::V4).ok(),
            "TCP6" => word.parse().map(IpAddr::V6).ok(),
            _ => None,
        };
        address.ok_or(NotAHeader)
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || words.next().and_then(decimal).ok_or(NotAHeader);
    let (source_port, destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return Err(NotAHeader);
    }
    Ok(Parsed::Done(ProxyHeader::Client {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    }))
}

fn decimal(word: &str) -> Option<u16> {
    let digits = word.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// Version 2: signature, version and command, family, length, addresses, TLVs.
/// The TLVs are passed over.
fn binary(octets: &[u8]) -> Result<Parsed, NotAHeader> {
    let begins = SIGNATURE.iter().zip(octets).all(|(want, got)| want == got);
    if !begins {
        return Err(NotAHeader);
    }
    let Some((fixed, payload)) = octets.split_at_checked(FIXED) else {
        return Ok(Parsed::Need(FIXED - octets.len()));
    };
    let [.., command, family, high, low] = fixed else {
        return Err(NotAHeader);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_PAYLOAD || payload.len() > length {
        return Err(NotAHeader);
    }
    if payload.len() < length {
        return Ok(Parsed::Need(length - payload.len()));
    }
    let header = match (command, family) {
        // Of its own: a health check.
        (0x20, _) => ProxyHeader::Itself,
        (0x21, 0x11) => client::<4>(payload, |octets| Ipv4Addr::from(octets).into())?,
        (0x21, 0x21) => client::<16>(payload, |octets| Ipv6Addr::from(octets).into())?,
        // No stream over IP: nothing is said that counts here.
        (0x21, _) => ProxyHeader::Itself,
        _ => return Err(NotAHeader),
    };
    Ok(Parsed::Done(header))
}

fn client<const N: usize>(
    payload: &[u8],
    address: impl Fn([u8; N]) -> IpAddr,
) -> Result<ProxyHeader, NotAHeader> {
    let (source, rest) = payload.split_first_chunk::<N>().ok_or(NotAHeader)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(NotAHeader)?;
    let (source_port, rest) = rest.split_first_chunk::<2>().ok_or(NotAHeader)?;
    let (destination_port, _) = rest.split_first_chunk::<2>().ok_or(NotAHeader)?;
    Ok(ProxyHeader::Client {
        source: SocketAddr::new(address(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(address(*destination), u16::from_be_bytes(*destination_port)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads as the listener does: never more than is asked for.
    fn read(octets: &[u8]) -> Option<(ProxyHeader, Vec<u8>)> {
        let mut taken = 0;
        loop {
            match ProxyHeader::parse(&octets[..taken]).ok()? {
                Parsed::Done(header) => return Some((header, octets[taken..].to_vec())),
                Parsed::Need(more) => {
                    taken = Some(taken + more).filter(|it| *it <= octets.len())?
                }
            }
        }
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut octets = SIGNATURE.to_vec();
        octets.extend([command, family]);
        octets.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        octets.extend(payload);
        octets
    }

    #[test]
    fn a_line_names_the_client_and_leaves_what_follows() {
        let (header, rest) =
            read(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\nEHLO x\r\n").unwrap();
        let want = ProxyHeader::Client {
            source: "192.0.2.1:56324".parse().unwrap(),
            destination: "198.51.100.2:25".parse().unwrap(),
        };
        assert_eq!((header, rest), (want, b"EHLO x\r\n".to_vec()));
        let unknown = read(b"PROXY UNKNOWN\r\nA").unwrap();
        assert_eq!(unknown, (ProxyHeader::Itself, b"A".to_vec()));
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        assert_eq!(long.len(), MAX_LINE);
        assert!(read(long.as_bytes()).is_some());
        for bad in [
            "EHLO x.test and more than a line\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
            "PROXY TCP4 2001:db8::1 198.51.100.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 70000 25\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 25 x\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 25\r\n",
            &format!("PROXY UNKNOWN {}\r\n", "f".repeat(92)),
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_binary_form_names_the_client_whatever_tlvs_follow() {
        let mut payload = vec![192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 0, 25];
        payload.extend([0x04, 0, 3, 1, 2, 3]);
        let mut octets = v2(0x21, 0x11, &payload);
        octets.extend(b"EHLO");
        let (header, rest) = read(&octets).unwrap();
        let want = ProxyHeader::Client {
            source: "192.0.2.1:56324".parse().unwrap(),
            destination: "198.51.100.2:25".parse().unwrap(),
        };
        assert_eq!((header, rest), (want, b"EHLO".to_vec()));
        let mut six = vec![0; 36];
        (six[15], six[31], six[35]) = (1, 2, 25);
        let (header, _) = read(&v2(0x21, 0x21, &six)).unwrap();
        assert!(
            matches!(header, ProxyHeader::Client { source, .. } if source.to_string() == "[::1]:0")
        );
        assert_eq!(read(&v2(0x20, 0, &[])).unwrap().0, ProxyHeader::Itself);
        assert_eq!(
            read(&v2(0x21, 0x31, &[0; 216])).unwrap().0,
            ProxyHeader::Itself
        );
        assert_eq!(read(&v2(0x21, 0x11, &[0; 11])), None);
        assert_eq!(read(&v2(0x22, 0x11, &[0; 12])), None);
        assert_eq!(read(&v2(0x11, 0x11, &[0; 12])), None);
        assert_eq!(read(&v2(0x21, 0x11, &[0; MAX_PAYLOAD + 1])), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_header_or_none(octets: Vec<u8>, line in "PROXY (TCP[46]|UNKNOWN)[ 0-9a-f:.]{0,110}(\r\n)?") {
            let _ = read(&octets);
            let _ = read(line.as_bytes());
            let mut signed = SIGNATURE.to_vec();
            signed.extend(octets);
            let _ = read(&signed);
        }
    }
}
