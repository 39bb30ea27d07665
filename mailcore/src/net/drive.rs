//! The one driver: runs any [`Machine`] over any stream. It moves octets,
//! waits, and hands questions to the [`Host`]; it knows no protocol.

use std::future::{pending, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::{Connection, Meter, Shutdown};
use crate::seams::{BoxStream, Clock};
use crate::time::Monotonic;
use crate::wire::{Input, Machine, Step, Tally};

/// Octets read at a time. They pass through the stack, so that a connection
/// which waits holds no buffer.
const READ_SIZE: usize = 16 * 1024;
/// How long a peer may take for a TLS handshake.
#[cfg(feature = "tls")]
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what a peer still sends is dropped after the last reply.
const LINGER: Duration = Duration::from_secs(1);
/// Octets that are dropped at most in that time.
const LINGER_OCTETS: usize = 4 * 1024 * 1024;

/// Answers a machine's questions: the half of a session that may await.
#[async_trait]
pub trait Host<M: Machine>: Send {
    /// The answer to `question`. Dropped when the connection breaks.
    async fn answer(&mut self, question: M::Question) -> M::Answer;

    /// The next notice; waits until there is one. Polled only while the machine
    /// waits for input, and must lose nothing when dropped.
    async fn notice(&mut self) -> M::Notice {
        pending().await
    }
}

/// How a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// The machine closed it.
    Closed,
    /// It broke.
    Broken(io::Error),
    /// The peer did not take what was sent in time.
    WriteTimeout,
    /// The TLS handshake failed.
    Handshake(io::Error),
}

/// Runs `machine` on `connection` until it ends.
pub async fn drive<M: Machine, H: Host<M>>(machine: M, host: H, connection: Connection) -> Ending {
    let mut driver = Driver {
        machine,
        host,
        stream: connection.stream,
        clock: connection.clock,
        shutdown: connection.shutdown,
        told_shutdown: false,
        input_ended: false,
        write_timeout: connection.write_timeout,
        meter: connection.meter,
        due: Monotonic::default(),
        told: Tally::default(),
        #[cfg(feature = "tls")]
        starttls: connection.starttls,
    };
    match driver.run().await {
        Ok(()) => Ending::Closed,
        Err(ending) => ending,
    }
}

struct Driver<M, H> {
    machine: M,
    host: H,
    stream: BoxStream,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    told_shutdown: bool,
    input_ended: bool,
    write_timeout: Duration,
    meter: Meter,
    /// When what passed is paid for: nothing passes before.
    due: Monotonic,
    /// What the limiter was told of.
    told: Tally,
    #[cfg(feature = "tls")]
    starttls: Option<super::TlsAcceptor>,
}

impl<M: Machine, H: Host<M>> Driver<M, H> {
    async fn run(&mut self) -> Result<(), Ending> {
        loop {
            self.keep_pace().await;
            let step = self.machine.step(self.clock.monotonic());
            if self.is_too_much() {
                self.machine.dismiss();
                if let Step::Read { .. } = step {
                    continue;
                }
            }
            match step {
                Step::Send(octets) => self.send(octets).await?,
                Step::Ask(question) => self.ask(question).await?,
                Step::Wait { until } => {
                    self.flush().await?;
                    self.clock.sleep_until(until).await;
                }
                Step::Read { until } => {
                    self.flush().await?;
                    self.read(until).await?;
                }
                Step::UpgradeTls => {
                    self.flush().await?;
                    self.upgrade().await?;
                }
                Step::Close => {
                    self.flush().await?;
                    // The peer may be gone already: there is nobody to tell.
                    let _ = bounded(self.write_limit(), self.stream.shutdown()).await;
                    self.linger().await;
                    return Ok(());
                }
            }
        }
    }

    /// Tells what the peer did since the last step.
    fn is_too_much(&mut self) -> bool {
        let tally = self.machine.tally();
        let more = tally.since(self.told);
        self.told = tally;
        more != Tally::default() && self.meter.is_too_much(more)
    }

    /// Waits where octets passed faster than they may. Meanwhile the peer's
    /// fill its system's buffers and ours, and no others.
    async fn keep_pace(&mut self) {
        if self.clock.monotonic() >= self.due {
            return;
        }
        tokio::select! {
            biased;
            () = self.clock.sleep_until(self.due) => {}
            () = self.shutdown.begun(), if !self.told_shutdown => {}
        }
    }

    async fn send(&mut self, octets: Bytes) -> Result<(), Ending> {
        let due = self.meter.sent_at(octets.len(), self.clock.monotonic());
        self.due = self.due.max(due);
        bounded(self.write_limit(), self.stream.write_all(&octets)).await
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        bounded(self.write_limit(), self.stream.flush()).await
    }

    /// Drops what the peer still sends. A socket that is closed over octets
    /// nobody read resets the connection, and the last reply may be lost. A
    /// shutdown does not wait for more than is here already.
    async fn linger(&mut self) {
        let until = self.clock.monotonic().after(LINGER);
        let clock = Arc::clone(&self.clock);
        let mut left = if self.input_ended { 0 } else { LINGER_OCTETS };
        let drop_input = async {
            while left > 0 {
                let mut dropped = Input::with_limit(READ_SIZE);
                match read_some(&mut self.stream, &mut dropped).await {
                    Ok(count) if count > 0 => left = left.saturating_sub(count),
                    _ => break,
                }
            }
        };
        tokio::select! {
            biased;
            () = drop_input => {}
            () = self.shutdown.begun() => {}
            () = clock.sleep_until(until) => {}
        }
    }

    fn write_limit(&self) -> (Arc<dyn Clock>, Duration) {
        (Arc::clone(&self.clock), self.write_timeout)
    }

    /// Waits for the answer and meanwhile takes what the peer sends, as far as
    /// there is room. A peer that ends its sending side still gets its answers;
    /// one that resets the connection does not, and the question is dropped.
    async fn ask(&mut self, question: M::Question) -> Result<(), Ending> {
        self.flush().await?;
        let answer = {
            let mut answer = std::pin::pin!(self.host.answer(question));
            loop {
                let input = self.machine.input();
                let readable = !self.input_ended && input.room() > 0;
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer,
                    count = read_some(&mut self.stream, input), if readable => {
                        let count = count.map_err(Ending::Broken)?;
                        self.due = self.due.max(self.meter.received_at(count, self.clock.monotonic()));
                        if count == 0 {
                            self.input_ended = true;
                            self.machine.end_of_input();
                        }
                    }
                }
            }
        };
        self.machine.answer(answer);
        Ok(())
    }

    async fn read(&mut self, until: Monotonic) -> Result<(), Ending> {
        if self.input_ended || self.machine.input().room() == 0 {
            // A machine that wants more than it has room for, or than there is,
            // would wait for ever.
            return Err(Ending::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        // Asked first: a peer that never pauses must not keep its session from
        // hearing of it.
        if !self.told_shutdown && self.shutdown.has_begun() {
            self.told_shutdown = true;
            self.machine.shutdown();
            return Ok(());
        }
        let (clock, told) = (Arc::clone(&self.clock), self.told_shutdown);
        tokio::select! {
            biased;
            count = read_some(&mut self.stream, self.machine.input()) => {
                let count = count.map_err(Ending::Broken)?;
                self.due = self.due.max(self.meter.received_at(count, self.clock.monotonic()));
                if count == 0 {
                    self.input_ended = true;
                    self.machine.end_of_input();
                }
            }
            notice = self.host.notice() => self.machine.notify(notice),
            () = self.shutdown.begun(), if !told => {
                self.told_shutdown = true;
                self.machine.shutdown();
            }
            () = async move { clock.sleep_until(until).await } => {}
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    async fn upgrade(&mut self) -> Result<(), Ending> {
        let Some(acceptor) = self.starttls.take() else {
            return Err(Ending::Broken(io::ErrorKind::Unsupported.into()));
        };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let until = self.clock.monotonic().after(HANDSHAKE_TIMEOUT);
        let (stream, info) = tokio::select! {
            biased;
            done = acceptor.accept(plain) => done.map_err(Ending::Handshake)?,
            () = self.clock.sleep_until(until) => return Err(Ending::Handshake(io::ErrorKind::TimedOut.into())),
        };
        self.stream = stream;
        self.machine.tls_established(info);
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    async fn upgrade(&mut self) -> Result<(), Ending> {
        Err(Ending::Broken(io::ErrorKind::Unsupported.into()))
    }
}

/// Runs a write under the write time-out. The timer is only made when the peer
/// does not take the octets at once.
async fn bounded(
    (clock, timeout): (Arc<dyn Clock>, Duration),
    write: impl Future<Output = io::Result<()>>,
) -> Result<(), Ending> {
    let deadline = async move {
        let until = clock.monotonic().after(timeout);
        clock.sleep_until(until).await;
    };
    tokio::select! {
        biased;
        done = write => done.map_err(Ending::Broken),
        () = deadline => Err(Ending::WriteTimeout),
    }
}

/// Reads into `input`, at most what it has room for; 0 at the end. Cancel-safe.
async fn read_some(stream: &mut BoxStream, input: &mut Input) -> io::Result<usize> {
    poll_fn(|cx| poll_read_some(stream, input, cx)).await
}

fn poll_read_some(
    stream: &mut BoxStream,
    input: &mut Input,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut storage = [const { MaybeUninit::<u8>::uninit() }; READ_SIZE];
    let room = input.room().min(READ_SIZE);
    let mut buffer = ReadBuf::uninit(storage.get_mut(..room).unwrap_or_default());
    match Pin::new(stream).poll_read(cx, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => {
            input.extend(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        }
    }
}

#[cfg(test)]
mod tests;
