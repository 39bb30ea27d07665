//! The contract between a protocol session and whatever runs it.

use bytes::Bytes;

use super::{Input, Tally, TlsInfo};
use crate::time::Monotonic;

/// What a machine wants done next. Returned by [`Machine::step`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step<Q> {
    /// Write these octets, then step again.
    Send(Bytes),
    /// Find the answer, hand it to [`Machine::answer`], then step again. Until
    /// then the peer's octets only collect in [`Machine::input`].
    Ask(Q),
    /// Do nothing, not even read, until then; then step again (tarpit, AUTH
    /// failure delay).
    Wait {
        /// When to go on.
        until: Monotonic,
    },
    /// Everything sent so far is written; start the TLS handshake, then call
    /// [`Machine::tls_established`] and step again.
    UpgradeTls,
    /// Wait for octets, a notice, or the time, whichever comes first; then step
    /// again. When the time comes and the machine still has nothing, it says so
    /// itself and closes.
    Read {
        /// The idle time-out.
        until: Monotonic,
    },
    /// Flush and close. Final: a machine is not stepped again.
    Close,
}

/// A protocol session without IO: octets in, [`Step`]s out.
///
/// Laws, which the drivers and the transcript runner rely on:
/// - any split of the same input gives the same steps;
/// - after `Ask`, `step` is not called before `answer`; `input`, `notify` and
///   `shutdown` are legal at any time;
/// - buffered input is bounded by [`Input::room`], output by one `Step::Send`
///   of at most about 64 kB;
/// - nothing here blocks, awaits, reads a clock or panics.
pub trait Machine: Send {
    /// What only the host can know or do.
    type Question: Send;
    /// The host's answer.
    type Answer: Send;
    /// News that no one asked for: a mailbox changed, the account was closed.
    type Notice: Send;

    /// Where octets from the peer go. The runner reads at most
    /// [`Input::room`] octets into it.
    fn input(&mut self) -> &mut Input;

    /// Takes octets from the peer; a short form of `input().extend(..)` for
    /// tests and in-memory runs.
    fn receive(&mut self, octets: &[u8]) {
        self.input().extend(octets);
    }

    /// The peer will send no more. Complete commands already here are still
    /// answered; then the machine closes.
    fn end_of_input(&mut self);

    /// Takes the answer to the open question.
    fn answer(&mut self, answer: Self::Answer);

    /// Takes a notice; acted on at the next moment the protocol allows.
    fn notify(&mut self, notice: Self::Notice);

    /// The server is going down: finish what is open, say so (421, BYE), close.
    fn shutdown(&mut self);

    /// The peer has done too much, in this session or in others: as
    /// [`Machine::shutdown`].
    fn dismiss(&mut self) {
        self.shutdown();
    }

    /// What the peer has done so far. Only grows.
    fn tally(&self) -> Tally {
        Tally::default()
    }

    /// The handshake asked for by [`Step::UpgradeTls`] is done. Drops all
    /// plaintext still buffered and all state learnt in plaintext (RFC 3207
    /// section 4.2, RFC 9051 section 6.2.1).
    fn tls_established(&mut self, info: TlsInfo);

    /// What to do next at `now`.
    fn step(&mut self, now: Monotonic) -> Step<Self::Question>;
}
