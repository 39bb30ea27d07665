//! [`Connection`]: runs a [`Session`] over a stream, by the clock.
//!
//! Where to connect and what becomes of a failure is decided elsewhere.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::seams::{BoxStream, Clock};
use mailcore::transcript::Transcript;
use mailcore::wire::{Machine, Step, TlsInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::config::{SessionConfig, TlsPolicy};
use super::error::{SessionError, TlsFault};
use super::session::{Answer, Question, Session};
use super::source::Source;
use super::transaction::{Transaction, TransactionResult};
use crate::extension::Extensions;

/// How long the last words of a peer that stopped reading are awaited.
const LAST_WORDS_TIME: Duration = Duration::from_secs(2);
/// How long a closing stream may take to flush.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Octets read at a time; replies are short.
const READ_SIZE: usize = 4 * 1024;

/// How connections are secured.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsConfigs {
    #[cfg(feature = "tls")]
    pub(super) opportunistic: Option<Arc<rustls::ClientConfig>>,
    #[cfg(feature = "tls")]
    pub(super) verified: Option<Arc<rustls::ClientConfig>>,
    /// What is asked of each host, by its domain's policies.
    #[cfg(feature = "tls")]
    pub(super) policies: Option<Arc<super::tls_policy::TlsPolicies>>,
    /// For the host at hand: how its certificate is judged, and the name asked
    /// for.
    #[cfg(feature = "tls")]
    pub(super) host: Option<(Arc<rustls::ClientConfig>, Domain)>,
}

impl TlsConfigs {
    /// The policy that can be kept: without a configuration, opportunistic TLS
    /// is none.
    pub(super) fn possible(&self, policy: TlsPolicy) -> TlsPolicy {
        #[cfg(feature = "tls")]
        let opportunistic = self.opportunistic.is_some();
        #[cfg(not(feature = "tls"))]
        let opportunistic = false;
        match policy {
            TlsPolicy::Opportunistic if !opportunistic => TlsPolicy::Never,
            other => other,
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        policy: TlsPolicy,
        host: &Domain,
        stream: BoxStream,
    ) -> Result<(BoxStream, TlsInfo), SessionError> {
        let general = if policy.is_verified() {
            self.verified.clone()
        } else {
            self.opportunistic.clone()
        };
        let (config, name) = match (&self.host, general) {
            (Some((config, name)), _) => (config.clone(), name),
            (None, Some(config)) => (config, host),
            (None, None) => return Err(no_tls()),
        };
        super::tls::connect(config, name, stream)
            .await
            .map_err(SessionError::TlsFailed)
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(
        &self,
        _: TlsPolicy,
        _: &Domain,
        _: BoxStream,
    ) -> Result<(BoxStream, TlsInfo), SessionError> {
        Err(no_tls())
    }
}

fn no_tls() -> SessionError {
    SessionError::TlsFailed(TlsFault::handshake(
        "this server is not set up for TLS to other hosts",
    ))
}

/// A connection with its session.
pub(super) struct Connection {
    session: Session,
    /// None while a handshake has it, and after one that failed.
    stream: Option<BoxStream>,
    clock: Arc<dyn Clock>,
    tls: TlsConfigs,
    policy: TlsPolicy,
    /// Whom we called.
    pub(super) host: Domain,
    /// Transactions run so far.
    pub(super) messages: u32,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("host", &self.host)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Greets, secures and logs in.
    pub(super) async fn open(
        stream: BoxStream,
        host: Domain,
        config: SessionConfig,
        tls: TlsConfigs,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SessionError> {
        let policy = config.tls;
        let (session, stream) = if policy == TlsPolicy::Implicit {
            let wait = config.timeouts.handshake;
            let secured = tls.secure(policy, &host, stream);
            let (stream, info) = within(clock.as_ref(), wait, secured)
                .await
                .unwrap_or(Err(SessionError::TimedOut("the TLS handshake")))?;
            (Session::within_tls(config, info), stream)
        } else {
            (Session::new(config), stream)
        };
        let mut connection = Self {
            session,
            stream: Some(stream),
            clock,
            tls,
            policy,
            host,
            messages: 0,
        };
        connection.run(None).await;
        match connection.session.error() {
            None => Ok(connection),
            Some(error) => Err(error.clone()),
        }
    }

    /// Runs one transaction.
    pub(super) async fn transact(
        &mut self,
        transaction: Transaction,
        mut source: Source<'_>,
    ) -> TransactionResult {
        self.messages = self.messages.saturating_add(1);
        let unsent = transaction.all_unsent(&super::transaction::unreadable());
        self.session
            .answer(Answer::Transaction(Box::new(transaction)));
        self.run(Some(&mut source)).await;
        self.session.take_result().unwrap_or(unsent)
    }

    /// Asks for the transaction's recipients, and sends nothing.
    pub(super) async fn check(&mut self, transaction: Transaction) -> TransactionResult {
        self.messages = self.messages.saturating_add(1);
        let unsent = transaction.all_unsent(&super::transaction::unreadable());
        self.session.answer(Answer::Check(Box::new(transaction)));
        self.run(None).await;
        self.session.take_result().unwrap_or(unsent)
    }

    /// True while the session can take another transaction.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some() && self.session.error().is_none()
    }

    /// What the host offers.
    pub(super) fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }

    /// True when the host takes no more messages over it (RFC 9422 section 4.1).
    pub(super) fn is_spent(&self) -> bool {
        let limit = self.extensions().limit("MAILMAX");
        limit.is_some_and(|limit| limit > 0 && u64::from(self.messages) >= limit)
    }

    /// Writes what is said from here on into `transcript`.
    pub(super) fn record(&mut self, transcript: Transcript) {
        self.session.record(transcript);
    }

    /// True when the peer was silent since the last transaction: a 421 or an
    /// end of file would be here by now.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let mut octets = [0];
        std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut octets);
            let read = std::pin::Pin::new(&mut *stream).poll_read(context, &mut buffer);
            std::task::Poll::Ready(read.is_pending())
        })
        .await
    }

    /// Ends it after this message: it was made under a weaker policy than its
    /// hop has, for a message that asked for that.
    #[cfg(feature = "tls")]
    pub(super) fn keep_for_no_other(&mut self) {
        self.messages = u32::MAX;
    }

    /// The TLS in use.
    pub(super) fn tls(&self) -> Option<&TlsInfo> {
        self.session.tls()
    }

    /// Says goodbye.
    pub(super) async fn quit(mut self) {
        if self.is_open() {
            self.session.answer(Answer::Quit);
            self.run(None).await;
        }
    }

    /// Steps until the session is ready for a transaction or closed.
    async fn run(&mut self, mut source: Option<&mut Source<'_>>) {
        loop {
            match self.session.step(self.clock.monotonic()) {
                Step::Send(octets) => self.write(&octets).await,
                Step::Ask(Question::Next) => return,
                Step::Ask(Question::Content) => {
                    let answer = match &mut source {
                        Some(source) => source.next().await,
                        None => Answer::Unreadable,
                    };
                    self.session.answer(answer);
                }
                Step::UpgradeTls => self.upgrade().await,
                Step::Read { until } => {
                    let clock = self.clock.clone();
                    tokio::select! {
                        () = self.read() => {}
                        () = clock.sleep_until(until) => {}
                    }
                }
                Step::Wait { until } => self.clock.sleep_until(until).await,
                Step::Close => return self.close().await,
            }
        }
    }

    async fn read(&mut self) {
        let mut octets = [0; READ_SIZE];
        let room = self.session.input().room().min(READ_SIZE);
        let read = match (&mut self.stream, octets.get_mut(..room)) {
            (Some(stream), Some(buffer)) if room > 0 => stream.read(buffer).await.unwrap_or(0),
            _ => 0,
        };
        match octets.get(..read) {
            Some(octets) if read > 0 => self.session.receive(octets),
            _ => self.session.end_of_input(),
        }
    }

    async fn write(&mut self, octets: &[u8]) {
        let wait = self.session.write_timeout();
        let Some(stream) = &mut self.stream else {
            return self.session.end_of_input();
        };
        let write = async {
            stream.write_all(octets).await?;
            stream.flush().await
        };
        match within(self.clock.as_ref(), wait, write).await {
            Some(Ok(())) => {}
            // A host that refuses in the middle closes: its reply is here.
            Some(Err(_)) => self.hear_last_words().await,
            None => self
                .session
                .fail(SessionError::TimedOut("what was sent to it")),
        }
    }

    async fn hear_last_words(&mut self) {
        let clock = self.clock.clone();
        let until = clock.monotonic().after(LAST_WORDS_TIME);
        let mut late = std::pin::pin!(clock.sleep_until(until));
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
        let wait = self.session.handshake_timeout();
        let secure = self.tls.secure(self.policy, &self.host, stream);
        match within(self.clock.as_ref(), wait, secure).await {
            Some(Ok((stream, info))) => {
                self.stream = Some(stream);
                self.session.tls_established(info);
            }
            Some(Err(error)) => self.session.fail(error),
            None => self
                .session
                .fail(SessionError::TlsFailed(TlsFault::lost("no answer in time"))),
        }
    }

    async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // Whether the end arrives is nobody's concern any more.
            let _ = within(self.clock.as_ref(), CLOSE_TIME, stream.shutdown()).await;
        }
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
