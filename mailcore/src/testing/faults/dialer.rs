//! [`FaultyDialer`]: connections that are not made, or break, or crawl.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::Rules;
use super::stream::FaultyStream;
use crate::seams::{BoxStream, DialError, Dialer};

/// What can be wrong with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialFault {
    /// Nobody listens there.
    Refused,
    /// No route leads there.
    Unreachable,
    /// No answer, ever: the caller's patience ends it.
    Hangs,
    /// It breaks after the caller has got so many octets.
    CutAfterReceived(u64),
    /// It breaks after the caller has sent so many octets.
    CutAfterSent(u64),
    /// Each write takes so long.
    Slow(Duration),
    /// Each octet written takes so long.
    Trickle(Duration),
    /// It breaks before a line that begins so goes out; letter case does not
    /// matter.
    ClosesAt(String),
    /// It breaks after so many octets of TLS went out: within the handshake for
    /// a small number, within the session for a larger one. What goes in clear
    /// before is not counted, and a connection without TLS is good.
    CutWithinTls(u64),
    /// After the end of the data (a line that is `.`) so many lines of replies
    /// come in, and no more: of LMTP, with a reply for each recipient, a part.
    /// For connections in clear.
    CutAfterDataReplies(u64),
}

/// A [`Dialer`] by a [`FaultPlan`]. Its subjects are addresses without port.
#[derive(Debug)]
pub struct FaultyDialer {
    inner: Arc<dyn Dialer>,
    rules: Rules<DialFault>,
}

impl FaultyDialer {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Dialer>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "dial"),
        }
    }

    /// The `call`-th connection, counted from 1, meets this fault.
    pub fn at(&self, call: u64, fault: DialFault) -> &Self {
        self.rules.at(call, fault);
        self
    }

    /// Every connection to `ip` meets this fault, until [`FaultyDialer::heal`].
    pub fn on(&self, ip: IpAddr, fault: DialFault) -> &Self {
        self.rules.on(ip.to_string(), fault);
        self
    }

    /// Connections to `ip` are good again.
    pub fn heal(&self, ip: IpAddr) -> &Self {
        self.rules.heal(&ip.to_string());
        self
    }

    /// Once in so many connections meets one of these faults.
    pub fn sometimes(&self, once_in: u64, faults: &[DialFault]) -> &Self {
        self.rules.sometimes(once_in, faults);
        self
    }
}

#[async_trait]
impl Dialer for FaultyDialer {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let fault = self.rules.meet(&address.ip().to_string(), |_| true);
        let failed = |kind: io::ErrorKind| {
            let source = kind.into();
            Err(DialError::Io { address, source })
        };
        match fault {
            Some(DialFault::Refused) => failed(io::ErrorKind::ConnectionRefused),
            Some(DialFault::Unreachable) => failed(io::ErrorKind::HostUnreachable),
            Some(DialFault::Hangs) => std::future::pending().await,
            fault => {
                let inner = self.inner.connect(address).await?;
                let plan = self.rules.plan().clone();
                Ok(Box::new(FaultyStream::new(inner, fault, plan)))
            }
        }
    }
}
