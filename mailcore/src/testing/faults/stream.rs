//! [`FaultyStream`]: a connection with something the matter.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{DialFault, FaultPlan};
use crate::seams::{BoxStream, Clock};

/// Octets of a line that are looked at for its command.
const LINE_START: usize = 128;

/// How the first record of TLS begins (RFC 8446 section 5.1): a handshake.
const HANDSHAKE: [u8; 2] = [0x16, 0x03];

type Nap = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One end of a connection, by one fault or none.
pub(super) struct FaultyStream {
    /// `None` once it is cut: the peer sees the end then.
    inner: Option<BoxStream>,
    plan: FaultPlan,
    /// Octets that may still be read.
    readable: Option<u64>,
    /// Octets that may still be written.
    writable: Option<u64>,
    /// Before each write.
    delay: Option<Duration>,
    /// Octets in one write.
    most: usize,
    nap: Option<Nap>,
    rested: bool,
    closes_at: Option<Vec<u8>>,
    /// Octets of TLS that may go out, until TLS begins.
    within_tls: Option<u64>,
    /// Lines that may come in after the end of the data, until that is sent.
    data_replies: Option<u64>,
    /// Lines that may still be read.
    lines: Option<u64>,
    /// The start of the line being sent.
    line: Vec<u8>,
}

impl fmt::Debug for FaultyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStream")
            .field("open", &self.inner.is_some())
            .finish_non_exhaustive()
    }
}

impl FaultyStream {
    pub(super) fn new(inner: BoxStream, fault: Option<DialFault>, plan: FaultPlan) -> Self {
        let mut stream = Self {
            inner: Some(inner),
            plan,
            readable: None,
            writable: None,
            delay: None,
            most: usize::MAX,
            nap: None,
            rested: false,
            closes_at: None,
            within_tls: None,
            data_replies: None,
            lines: None,
            line: Vec::new(),
        };
        match fault {
            Some(DialFault::CutAfterReceived(octets)) => stream.readable = Some(octets),
            Some(DialFault::CutAfterSent(octets)) => stream.writable = Some(octets),
            Some(DialFault::Slow(delay)) => stream.delay = Some(delay),
            Some(DialFault::Trickle(delay)) => {
                stream.delay = Some(delay);
                stream.most = 1;
            }
            Some(DialFault::ClosesAt(command)) => {
                stream.closes_at = Some(command.to_ascii_uppercase().into_bytes());
            }
            Some(DialFault::CutWithinTls(octets)) => stream.within_tls = Some(octets),
            Some(DialFault::CutAfterDataReplies(lines)) => stream.data_replies = Some(lines),
            _ => {}
        }
        stream
    }

    fn cut(&mut self) -> io::Error {
        self.inner = None;
        self.plan.stir();
        io::ErrorKind::ConnectionReset.into()
    }

    /// How many of these octets may go out now; none when the connection breaks
    /// first.
    fn allowed(&mut self, octets: &[u8]) -> usize {
        if octets.starts_with(&HANDSHAKE) && self.within_tls.is_some() {
            self.writable = self.within_tls.take();
        }
        let mut allowed = octets.len().min(self.most);
        if let Some(writable) = self.writable {
            allowed = allowed.min(usize::try_from(writable).unwrap_or(usize::MAX));
        }
        let Some(command) = &self.closes_at else {
            return allowed;
        };
        let (mut line, mut start) = (self.line.clone(), 0);
        for (at, octet) in octets[..allowed].iter().enumerate() {
            grow(&mut line, *octet);
            if line.starts_with(command) {
                return start;
            }
            if *octet == b'\n' {
                start = at + 1;
            }
        }
        allowed
    }

    /// Waits before a write; ready when it may go on.
    fn poll_rested(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(delay) = self.delay.filter(|_| !self.rested) else {
            return Poll::Ready(());
        };
        let nap = self.nap.get_or_insert_with(|| {
            let clock = self.plan.clock().clone();
            let until = clock.monotonic().after(delay);
            Box::pin(async move { clock.sleep_until(until).await })
        });
        ready!(nap.as_mut().poll(cx));
        self.nap = None;
        self.rested = true;
        Poll::Ready(())
    }

    fn sent(&mut self, octets: &[u8]) {
        self.plan.stir();
        self.rested = false;
        let count = octets.len() as u64;
        self.writable = self.writable.map(|left| left.saturating_sub(count));
        if self.closes_at.is_none() && self.data_replies.is_none() {
            return;
        }
        for octet in octets {
            if *octet == b'\n' && self.line == b".\r" {
                self.lines = self.data_replies.take();
            }
            grow(&mut self.line, *octet);
        }
    }
}

/// How many of the octets read may be seen, when so many lines may.
fn seen(lines: &mut Option<u64>, octets: &[u8]) -> usize {
    let Some(left) = lines else {
        return octets.len();
    };
    let ends = octets.iter().enumerate().filter(|(_, it)| **it == b'\n');
    for (at, _) in ends {
        *left -= 1;
        if *left == 0 {
            return at + 1;
        }
    }
    octets.len()
}

/// Follows the line being sent: its start in capitals, anew after each line end.
fn grow(line: &mut Vec<u8>, octet: u8) {
    if octet == b'\n' {
        line.clear();
    } else if line.len() < LINE_START {
        line.push(octet.to_ascii_uppercase());
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.readable == Some(0) || self.lines == Some(0) {
            return Poll::Ready(Err(self.cut()));
        }
        let left = self.readable.unwrap_or(u64::MAX);
        let room = buf
            .remaining()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(inner).poll_read(cx, &mut part))?;
        let count = seen(&mut self.lines, part.filled());
        buf.advance(count);
        self.plan.stir();
        self.readable = self.readable.map(|left| left.saturating_sub(count as u64));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rested(cx));
        let allowed = self.allowed(octets);
        if allowed == 0 && !octets.is_empty() {
            return Poll::Ready(Err(self.cut()));
        }
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let written = ready!(Pin::new(inner).poll_write(cx, &octets[..allowed]))?;
        self.sent(&octets[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_flush(cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
