//! [`Connection`]: runs a [`ClientSession`] over a stream, by the clock.
//!
//! What is said, and what becomes of what is heard, is the caller's to settle.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use mailcore::seams::{BoxStream, Clock};
use mailcore::wire::{Machine, Step};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::config::{ClientConfig, Security};
use super::error::ClientError;
use super::session::{Answer, ClientSession, Event, Question};
use super::tls::TlsSetup;

/// How long the last words of a server that stopped reading are awaited, and
/// how long a closing stream may take to flush.
const LAST_TIME: Duration = Duration::from_secs(2);
/// Octets read at a time.
const READ_SIZE: usize = 16 * 1024;

/// Where the octets of a message to append come from.
pub(super) type Source<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// What the driver found.
#[derive(Debug)]
pub(super) enum Found {
    Event(Event),
    /// Nothing is under way.
    Nothing,
}

/// A connection with its session.
pub(super) struct Connection {
    pub(super) session: ClientSession,
    stream: Option<BoxStream>,
    /// Octets that are being written: kept here, so that a caller who stops
    /// waiting loses none of them.
    unwritten: Bytes,
    clock: Arc<dyn Clock>,
    tls: TlsSetup,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Secures the connection, and hears the greeting.
    pub(super) async fn open(
        stream: BoxStream,
        config: ClientConfig,
        tls: TlsSetup,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let (session, stream) = if config.security == Security::Implicit {
            let wait = config.timeouts.handshake;
            let secured = within(clock.as_ref(), wait, tls.secure(stream)).await;
            let (stream, info) =
                secured.unwrap_or(Err(ClientError::TimedOut("the TLS handshake")))?;
            (ClientSession::within_tls(config, info), stream)
        } else {
            (ClientSession::new(config), stream)
        };
        let mut connection = Self {
            session,
            stream: Some(stream),
            unwritten: Bytes::new(),
            clock,
            tls,
        };
        loop {
            // What is told before anything was asked is nobody's.
            if let Found::Nothing = connection.next(None).await? {
                return Ok(connection);
            }
        }
    }

    /// Goes on until something happens. Nothing is lost when the future is
    /// dropped before, unless `source` was read for a message.
    pub(super) async fn next(
        &mut self,
        mut source: Option<Source<'_>>,
    ) -> Result<Found, ClientError> {
        loop {
            self.write().await;
            match self.session.step(self.clock.monotonic()) {
                Step::Send(octets) => self.unwritten = octets,
                Step::Ask(Question::Next) => return Ok(Found::Nothing),
                Step::Ask(Question::Event(event)) => {
                    self.session.answer(Answer::Go);
                    return Ok(Found::Event(event));
                }
                Step::Ask(Question::Content(_, left)) => {
                    let answer = content(&mut source, left).await;
                    self.session.answer(answer);
                }
                Step::UpgradeTls => self.upgrade().await,
                Step::Read { until } => {
                    let clock = Arc::clone(&self.clock);
                    tokio::select! {
                        () = self.read() => {}
                        () = clock.sleep_until(until) => {}
                    }
                }
                Step::Wait { until } => self.clock.sleep_until(until).await,
                Step::Close => {
                    self.close().await;
                    return Err(self.session.take_error().unwrap_or(ClientError::Closed));
                }
            }
        }
    }

    async fn read(&mut self) {
        let room = self.session.input().room().min(READ_SIZE);
        // A buffer of its own would make every future of the caller as large.
        let input = self.session.input().buffer_mut();
        input.reserve(room);
        let read = match &mut self.stream {
            Some(stream) if room > 0 => stream.read_buf(&mut input.limit(room)).await,
            _ => Ok(0),
        };
        match read {
            Ok(read) if read > 0 => self.session.receive(&[]),
            _ => self.session.end_of_input(),
        }
    }

    async fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let wait = self.session.config().timeouts.write;
        let Some(stream) = &mut self.stream else {
            self.unwritten.clear();
            return self.session.end_of_input();
        };
        let unwritten = &mut self.unwritten;
        let write = async {
            while unwritten.has_remaining() {
                if stream.write_buf(unwritten).await? == 0 {
                    return Err(std::io::ErrorKind::WriteZero.into());
                }
            }
            stream.flush().await
        };
        match within(self.clock.as_ref(), wait, write).await {
            Some(Ok(())) => {}
            // A server that closes in the middle said why, perhaps.
            Some(Err(_)) => {
                self.unwritten.clear();
                self.hear_last_words().await;
            }
            None => {
                self.unwritten.clear();
                let late = ClientError::TimedOut("what was sent to it");
                self.session.fail(late);
            }
        }
    }

    async fn hear_last_words(&mut self) {
        let clock = Arc::clone(&self.clock);
        let mut late = std::pin::pin!(clock.sleep_until(clock.monotonic().after(LAST_TIME)));
        while self.session.input().room() > 0 {
            let before = self.session.input().len();
            tokio::select! {
                () = self.read() => {}
                () = &mut late => break,
            }
            if self.session.input().len() == before {
                break;
            }
        }
        self.session.end_of_input();
    }

    async fn upgrade(&mut self) {
        let Some(stream) = self.stream.take() else {
            return self.session.end_of_input();
        };
        let wait = self.session.config().timeouts.handshake;
        match within(self.clock.as_ref(), wait, self.tls.secure(stream)).await {
            Some(Ok((stream, info))) => {
                self.stream = Some(stream);
                self.session.tls_established(info);
            }
            Some(Err(error)) => self.session.fail(error),
            None => {
                let late = ClientError::TimedOut("the TLS handshake");
                self.session.fail(late);
            }
        }
    }

    async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // Whether the end arrives is nobody's concern any more.
            let _ = within(self.clock.as_ref(), LAST_TIME, stream.shutdown()).await;
        }
    }
}

async fn content(source: &mut Option<Source<'_>>, left: u64) -> Answer {
    let Some(source) = source else {
        let text = "nobody brings it any more";
        return Answer::Unreadable(std::io::Error::other(text));
    };
    let room = usize::try_from(left).unwrap_or(READ_SIZE).min(READ_SIZE);
    let mut octets = vec![0; room];
    match source.read(&mut octets).await {
        Ok(0) => Answer::Unreadable(std::io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => {
            octets.truncate(read);
            Answer::Octets(octets.into())
        }
        Err(error) => Answer::Unreadable(error),
    }
}

/// `None` when `wait` passes first.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    wait: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = clock.sleep_until(clock.monotonic().after(wait)) => None,
    }
}
