//! [`Network`]: addresses that share a prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// `address "/" prefix`, or an address alone (RFC 4632 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not an IP address, or a prefix that is too long for it.
    #[error("write a network as 192.0.2.0/24 or 2001:db8::/32, a host without the slash")]
    Syntax,
    /// Bits are set behind the prefix, so that one of the two is wrong.
    #[error("the address has bits set behind the prefix; the network would be {0}")]
    HostBits(Network),
}

impl Network {
    /// The network that `address` is in at `prefix` bits; `None` when it has
    /// not that many.
    pub fn of(address: IpAddr, prefix: u8) -> Option<Self> {
        if prefix > width(address) {
            return None;
        }
        Some(Self {
            address: masked(address, prefix),
            prefix,
        })
    }

    /// The network of one address. IPv4 in IPv6 is IPv4 (RFC 4291 section
    /// 2.5.5.2), since that is how a socket for both shows it.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: width(address),
        }
    }

    /// How many bits its addresses share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// True when `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix.into()));
            Ipv4Addr::from_bits(v4.to_bits() & mask.unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix.into()));
            Ipv6Addr::from_bits(v6.to_bits() & mask.unwrap_or(0)).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            let address = text.parse().map_err(|_| NetworkError::Syntax)?;
            return Ok(Self::host(address));
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let prefix = prefix.parse().map_err(|_| NetworkError::Syntax)?;
        let network = Self::of(address, prefix).ok_or(NetworkError::Syntax)?;
        if network.address != address {
            return Err(NetworkError::HostBits(network));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_without_host_bits() {
        for good in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0"] {
            assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
        }
        assert_eq!(
            "192.0.2.7".parse::<Network>().unwrap().to_string(),
            "192.0.2.7/32"
        );
        for bad in ["", "192.0.2.0/33", "192.0.2", "x/8", "192.0.2.0/", "::/129"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError::Syntax), "{bad}");
        }
        assert!(matches!(
            "192.0.2.7/24".parse::<Network>(),
            Err(NetworkError::HostBits(network)) if network.to_string() == "192.0.2.0/24"
        ));
    }

    #[test]
    fn ipv4_in_ipv6_is_ipv4() {
        let network: Network = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(!network.contains("::192.0.2.9".parse().unwrap()));
    }
}
