//! [`MacAddress`], and where it is known: the neighbour table of this machine.
//!
//! Only hosts of the same link have an entry there, and whoever shares the link
//! can take another's address: this tells machines of a house apart and keeps no
//! stranger out that an address would not.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::seams::Clock;
use crate::time::Monotonic;

/// How long the table is believed.
const FRESH: Duration = Duration::from_secs(5);
/// Octets of it that are read.
const MOST: u64 = 4 * 1_024 * 1_024;
/// An entry that is complete (`ATF_COM` of `if_arp.h`).
const COMPLETE: u32 = 0x2;

/// A link-layer address of 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2);
            let part = part.ok_or(MacAddressError)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| MacAddressError)?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(MacAddressError),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A text is no link-layer address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write six octets in hexadecimal: 00:53:00:12:34:56")]
pub struct MacAddressError;

/// Knows the link-layer addresses of neighbours.
#[async_trait]
pub trait Neighbours: fmt::Debug + Send + Sync {
    /// The one of this address; `None` for hosts behind a router, and where it
    /// can't be told.
    async fn mac(&self, address: IpAddr) -> Option<MacAddress>;
}

/// The neighbours that Linux tells of in `/proc/net/arp`: those of IPv4.
#[derive(Debug)]
pub struct ArpTable {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    read: Mutex<Option<(Monotonic, Arc<Known>)>>,
}

type Known = HashMap<IpAddr, MacAddress>;

impl ArpTable {
    /// The table of this machine.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::at("/proc/net/arp", clock)
    }

    /// A file of the same form.
    pub fn at(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            path: path.into(),
            clock,
            read: Mutex::default(),
        }
    }

    fn fresh(&self) -> Option<Arc<Known>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, known) = read.as_ref()?;
        (self.clock.monotonic() < at.after(FRESH)).then(|| Arc::clone(known))
    }

    async fn known(&self) -> Arc<Known> {
        if let Some(known) = self.fresh() {
            return known;
        }
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || read(&path)).await;
        let known = match text.map_err(std::io::Error::other).flatten() {
            Ok(text) => parse(&text),
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "can't read the neighbour table");
                Known::default()
            }
        };
        let known = Arc::new(known);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = Some((self.clock.monotonic(), Arc::clone(&known)));
        known
    }
}

fn read(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Address, hardware type, flags, link-layer address, mask, device; a line of
/// names before them.
fn parse(text: &str) -> Known {
    let entry = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        let flags = words.nth(1)?.strip_prefix("0x")?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let mac = words.next()?.parse().ok()?;
        (flags & COMPLETE != 0).then_some((address, mac))
    };
    text.lines().skip(1).filter_map(entry).collect()
}

#[async_trait]
impl Neighbours for ArpTable {
    async fn mac(&self, address: IpAddr) -> Option<MacAddress> {
        let address = address.to_canonical();
        self.known().await.get(&address).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::VirtualClock;

    const TABLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         00:53:00:12:34:56     *        eth0
192.0.2.2        0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.3        0x1         0x6         00:53:00:AB:cd:ef     *        eth0
nonsense
";

    #[tokio::test]
    async fn complete_entries_are_known_and_read_anew_after_a_while() {
        let folder = std::env::temp_dir().join(format!("mailcore-arp-{}", std::process::id()));
        std::fs::write(&folder, TABLE).unwrap();
        let clock = VirtualClock::new();
        let table = ArpTable::at(&folder, Arc::new(clock.clone()));
        let mac = async |address: &str| {
            let mac = table.mac(address.parse().unwrap()).await;
            mac.map(|mac| mac.to_string())
        };
        assert_eq!(mac("192.0.2.1").await.as_deref(), Some("00:53:00:12:34:56"));
        assert_eq!(
            mac("::ffff:192.0.2.3").await.as_deref(),
            Some("00:53:00:ab:cd:ef")
        );
        assert_eq!(mac("192.0.2.2").await, None, "incomplete");
        assert_eq!(mac("192.0.2.9").await, None);
        std::fs::remove_file(&folder).unwrap();
        assert!(mac("192.0.2.1").await.is_some(), "still believed");
        clock.advance(FRESH);
        assert_eq!(mac("192.0.2.1").await, None);
    }

    #[test]
    fn a_link_layer_address_is_six_octets() {
        for good in ["00:53:00:12:34:56", "00-53-00-12-34-56"] {
            let mac: MacAddress = good.parse().unwrap();
            assert_eq!(mac.to_string(), "00:53:00:12:34:56");
        }
        for bad in [
            "",
            "00:53:00:12:34",
            "00:53:00:12:34:56:78",
            "0:5:0:1:3:5",
            "00:53:00:12:34:5x",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
