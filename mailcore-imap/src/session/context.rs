//! [`Context`]: what a command sees of its session.

use std::net::IpAddr;
use std::sync::Arc;

use mailcore::sasl::{Mechanism, Offer, Privacy, Surroundings};
use mailcore::seams::{Abilities, ProofKind};
use mailcore::time::Monotonic;
use mailcore::wire::{Input, TlsInfo};

use super::announce;
use super::config::{Config, Literals, PlaintextLogin};
use super::limit::Limited;
use super::notify::Notify;
use super::output::Output;
use super::revision::Revision;
use super::state::{Naming, State};
use crate::codec::TextForm;
use crate::codec::framer::{FrameLimits, Framer, Synchronising};
use crate::types::{Enabled, Extension, FetchItem, ResponseCode, Tag};

/// Octets of input kept while a command runs: one line of the greatest length
/// and its CRLF.
const INPUT_AFTER_LOGIN: usize = FrameLimits::AFTER_LOGIN.line + 2;
/// As above, before login.
const INPUT_BEFORE_LOGIN: usize = FrameLimits::BEFORE_LOGIN.line + 2;

/// Octets of a literal that LITERAL- lets come unasked for.
const MAX_UNASKED: u64 = 4096;

/// The connection's security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In clear, without STARTTLS on offer.
    Plain,
    /// In clear; STARTTLS is on offer.
    PlainWithStartTls,
    /// TLS is in force, or both ends are within the process.
    Tls,
}

/// What a session needs to know of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from; `None` within the process.
    pub address: Option<IpAddr>,
    /// How it comes.
    pub transport: Transport,
}

/// The parts of a session that commands work on.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) abilities: Abilities,
    pub(crate) peer: Peer,
    /// The mechanisms that users log in by.
    pub(crate) offer: Offer,
    /// What the handshake settled, where it is known.
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) state: State,
    /// Failed logins on this connection.
    pub(crate) failed_logins: u32,
    pub(crate) input: Input,
    pub(crate) framer: Framer,
    pub(crate) out: Output,
    /// What the client turned on.
    pub(crate) enabled: Enabled,
    /// What the client asked to hear of.
    pub(crate) notify: Option<Box<Notify>>,
    /// The client was told to compress.
    pub(crate) is_compressed: bool,
    /// The tag of the command in progress.
    pub(crate) tag: Option<Tag>,
    /// The command in progress left messages alone.
    pub(crate) limited: Option<Limited>,
    /// The moment of this step.
    pub(crate) now: Monotonic,
}

impl Context {
    /// A session's parts at the greeting.
    pub(crate) fn new(config: Arc<Config>, abilities: Abilities, peer: Peer) -> Self {
        Self {
            config,
            abilities,
            peer,
            offer: Offer::for_proofs(&[ProofKind::Password]),
            tls: None,
            state: State::NotAuthenticated,
            failed_logins: 0,
            input: Input::with_limit(INPUT_BEFORE_LOGIN),
            framer: Framer::new(FrameLimits::BEFORE_LOGIN),
            out: Output::default(),
            enabled: Enabled::default(),
            notify: None,
            is_compressed: false,
            tag: None,
            limited: None,
            now: Monotonic::default(),
        }
    }

    /// Lets longer commands in, once someone is known.
    pub(crate) fn widen_limits(&mut self) {
        self.input.set_limit(INPUT_AFTER_LOGIN);
        self.framer.set_limits(FrameLimits::AFTER_LOGIN);
    }

    /// Makes everything but the transport as it was at the greeting
    /// (RFC 8437 section 4.1), and but the failed logins: whoever has one account
    /// must not get more guesses at others than the rest.
    pub(crate) fn unauthenticate(&mut self) {
        self.state = State::NotAuthenticated;
        self.enabled = Enabled::default();
        self.notify = None;
        self.out.texts = self.texts();
        self.input.set_limit(INPUT_BEFORE_LOGIN);
        self.framer.set_limits(FrameLimits::BEFORE_LOGIN);
    }

    /// What a change of flags is told with: the UID as well, unless the response
    /// begins with it.
    pub(crate) fn change_items(&self) -> &'static [FetchItem] {
        let knows_modseq = self.enabled.has(Extension::CondStore);
        match (knows_modseq, self.naming()) {
            (false, Naming::Numbers) => &[FetchItem::Uid, FetchItem::Flags],
            (false, Naming::Uids) => &[FetchItem::Flags],
            (true, Naming::Numbers) => &[FetchItem::Uid, FetchItem::Flags, FetchItem::ModSeq],
            (true, Naming::Uids) => &[FetchItem::Flags, FetchItem::ModSeq],
        }
    }

    /// How messages are named in responses.
    pub(crate) fn naming(&self) -> Naming {
        match self.enabled.has(Extension::UidOnly) {
            false => Naming::Numbers,
            true => Naming::Uids,
        }
    }

    /// What a command that changes flags on its way tells of them: the numbers
    /// that name the message only to one who knows ModSeq (RFC 7162 section
    /// 3.2.4).
    pub(crate) fn told_with_change(&self) -> &'static [FetchItem] {
        match self.enabled.has(Extension::CondStore) {
            false => &[FetchItem::Flags],
            true => self.change_items(),
        }
    }

    /// Turns `extension` on, if it is announced; true when it was off. Who
    /// begins to know ModSeq is told that of the selected mailbox (RFC 7162
    /// section 3.1).
    pub(crate) fn enable(&mut self, extension: Extension) -> bool {
        let knew_modseq = self.enabled.has(Extension::CondStore);
        if !announce::is_announced(extension.capability(), self) {
            return false;
        }
        let newly = self.enabled.insert(extension);
        self.out.texts = self.texts();
        let (naming, revision) = (self.naming(), self.revision());
        if let Some(selected) = self.state.selected() {
            selected.naming = naming;
            if !revision.tells_recent() {
                selected.view.forget_recent();
            }
        }
        if !knew_modseq
            && self.enabled.has(Extension::CondStore)
            && let Some(selected) = self.state.selected()
        {
            let code = ResponseCode::HighestModSeq(selected.known_until());
            self.out.untagged_ok(&code, "Highest ModSeq");
        }
        newly
    }

    /// Takes note that the client knows ModSeq: some commands say so without
    /// ENABLE (RFC 7162 section 3.1). False when the store keeps none.
    pub(crate) fn enable_condstore(&mut self) -> bool {
        self.enable(Extension::CondStore);
        self.enabled.has(Extension::CondStore)
    }

    /// True when losses are told by their UIDs.
    pub(crate) fn tells_vanished(&self) -> bool {
        self.enabled.has(Extension::QResync) || self.enabled.has(Extension::UidOnly)
    }

    /// How texts beyond ASCII are told and read.
    pub(crate) fn texts(&self) -> TextForm {
        match self.enabled.has(Extension::Utf8Accept) {
            true => TextForm::Utf8,
            false => self.revision().texts(),
        }
    }

    /// The revision that is spoken.
    pub(crate) fn revision(&self) -> Revision {
        Revision::of(self.enabled)
    }

    /// True when a literal came unasked for that should have waited for leave
    /// (RFC 7888 section 5).
    pub(crate) fn must_synchronise(&self, length: u64, sync: Synchronising) -> bool {
        sync == Synchronising::No && self.config.literals == Literals::Minus && length > MAX_UNASKED
    }

    /// True when STARTTLS may be given. Below a compression that began before it,
    /// which takes an UNAUTHENTICATE, it would only hide that the first octets
    /// of the stream were sent in clear.
    pub(crate) fn may_start_tls(&self) -> bool {
        self.peer.transport == Transport::PlainWithStartTls && !self.is_compressed
    }

    /// True when a password may be sent over this connection.
    pub(crate) fn takes_passwords(&self) -> bool {
        self.offer.takes_passwords(self.surroundings())
    }

    /// The mechanisms that may be used on this connection.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.offer.announced(self.surroundings())
    }

    /// What an exchange sees of this connection.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        let in_clear = self.config.plaintext_login == PlaintextLogin::Anywhere;
        Surroundings {
            peer: self.peer.address,
            protocol: "imap",
            tls: self.tls.as_ref(),
            privacy: match self.peer.transport {
                Transport::Tls => Privacy::Private,
                _ if in_clear => Privacy::Private,
                _ => Privacy::Exposed,
            },
        }
    }

    /// What this server can do in this state (RFC 9051 section 6.1.1).
    pub(crate) fn capabilities(&self) -> Vec<String> {
        announce::capabilities(self)
    }
}
