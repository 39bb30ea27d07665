//! One message on its way in: MAIL, RCPT, DATA.

use std::sync::Arc;

use bytes::Bytes;

use super::head::{Head, Piece, too_long};
use super::recipients::{MAX_EXPANSION, Target};
use super::tell::RefusedAt;
use super::trace::Reception;
use super::{Intake, Refusal, SessionInfo};
use crate::abuse::Load;
use crate::address::{Address, ForwardPath, ReversePath};
use crate::batch::StateChange;
use crate::envelope::{Envelope, MailParams, Notify, OriginalRecipient, Recipient};
use crate::event::TraceId;
use crate::message::ContentWriter;
use crate::seams::{Demands, StoreError};
use crate::status::Status;
use crate::time::Timestamp;

/// Octets of the fields that may be put into a submitted header.
const ADDED_ROOM: u64 = 1_024;

/// A mail transaction. Dropping it forgets it; what was staged is swept.
#[derive(Debug)]
pub struct Transaction {
    pub(super) intake: Arc<Intake>,
    pub(super) session: SessionInfo,
    pub(super) trace: TraceId,
    pub(super) envelope: Envelope,
    /// For each recipient of the envelope, where its mail goes.
    pub(super) targets: Vec<Vec<Target>>,
    /// For each recipient, what is demanded of its mail.
    pub(super) demands: Vec<Demands>,
    /// Octets of our own trace field in the message.
    pub(super) trace_len: u64,
    /// How many targets there are in all.
    pub(super) copies: usize,
    pub(super) writer: Option<ContentWriter>,
    /// What of the header waits for its end.
    pub(super) head: Head,
    pub(super) received_at: Timestamp,
    /// That it is refused was told.
    pub(super) refusal_told: bool,
    /// Put into the batch with the message.
    pub(super) alongside: Vec<StateChange>,
}

impl Intake {
    /// MAIL: begins a transaction.
    ///
    /// # Errors
    /// What to reply.
    pub async fn mail(
        self: &Arc<Self>,
        session: SessionInfo,
        reverse_path: ReversePath,
        params: MailParams,
    ) -> Result<Transaction, Refusal> {
        let commit = self.parts.commit.as_ref();
        // RFC 1870 section 6.1: refused before the content is sent for nothing.
        // No event is raised: it would be written to the disk that is full.
        if commit.is_some_and(|it| !it.has_room(params.size.unwrap_or(0))) {
            return Err(no_space().into());
        }
        self.own_mail(session, reverse_path, params).await
    }

    /// As [`Intake::mail`], also where space runs low: for small mail of the
    /// server's own, which may tell of just that.
    pub(crate) async fn own_mail(
        self: &Arc<Self>,
        session: SessionInfo,
        reverse_path: ReversePath,
        params: MailParams,
    ) -> Result<Transaction, Refusal> {
        let mut session = session;
        session.filter.memory = session.filter.memory.for_message();
        let allowed = self.may_send(&session, &reverse_path, &params).await;
        if let Err(refusal) = allowed {
            self.tell_sender_refused(&session, &reverse_path, &refusal);
            return Err(refusal);
        }
        let now = self.parts.clock.now();
        Ok(Transaction {
            intake: Arc::clone(self),
            session,
            trace: TraceId(self.parts.entropy.id(now)),
            envelope: Envelope {
                params,
                ..Envelope::from_sender(reverse_path)
            },
            targets: Vec::new(),
            demands: Vec::new(),
            trace_len: 0,
            copies: 0,
            writer: None,
            head: Head::default(),
            received_at: now,
            refusal_told: false,
            alongside: Vec::new(),
        })
    }

    async fn may_send(
        &self,
        session: &SessionInfo,
        reverse_path: &ReversePath,
        params: &MailParams,
    ) -> Result<(), Refusal> {
        let limit = self.max_message_size();
        if params.size.is_some_and(|size| size > limit) {
            return Err(too_large(limit).into());
        }
        let load = Load {
            messages: 1,
            octets: params.size.unwrap_or(0),
            ..Load::default()
        };
        self.may_come(session, load)?;
        self.check_shields(session, reverse_path).await?;
        self.check_sender(session, reverse_path).await?;
        self.ask_mail(&session.filter, reverse_path).await
    }

    /// A user sends as itself (RFC 6409 section 6.1).
    async fn check_sender(
        &self,
        session: &SessionInfo,
        reverse_path: &ReversePath,
    ) -> Result<(), Refusal> {
        let (Some(identity), Some(directory), Some(sender)) = (
            &session.filter.identity,
            &self.parts.directory,
            reverse_path.address(),
        ) else {
            return Ok(());
        };
        match directory.may_send_as(&identity.account, sender).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Status::permanent(7, 1, "this sender address is not yours").into()),
            Err(error) => {
                tracing::warn!(%error, "can't check the sender");
                Err(Status::transient(4, 3, "the directory does not answer; try again").into())
            }
        }
    }
}

impl Transaction {
    /// The message's track through the server.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// What was asked for so far.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Changes the state in one commit with the message, when it is taken.
    pub(crate) fn alongside(&mut self, changes: Vec<StateChange>) {
        self.alongside = changes;
    }

    /// Holds the answer to the `nth` recipient of a session back, where the
    /// operator wants it so.
    pub async fn hold_back(&mut self, nth: u32) {
        let filter = &self.session.filter;
        self.intake
            .hold_back(filter, |tarpit| tarpit.wait(nth))
            .await;
    }

    /// RCPT: names a recipient.
    ///
    /// # Errors
    /// What to reply; the transaction goes on without that recipient.
    pub async fn rcpt(
        &mut self,
        forward_path: ForwardPath,
        notify: Notify,
        original: Option<OriginalRecipient>,
    ) -> Result<(), Refusal> {
        let address = forward_path.to_address(&self.intake.parts.hostname);
        let (targets, demands) = match self.lead(&address).await {
            Ok(led) => led,
            Err(refusal) => {
                self.tell_recipient_refused(&address, &refusal.status);
                return Err(self.intake.one_more_unknown(&self.session, refusal));
            }
        };
        self.copies = self.copies.saturating_add(targets.len());
        self.targets.push(targets);
        self.demands.push(demands);
        self.envelope.recipients.push(Recipient {
            address,
            notify,
            original,
        });
        Ok(())
    }

    /// Where mail for `address` goes, when it may be sent there.
    async fn lead(&mut self, address: &Address) -> Result<(Vec<Target>, Demands), Refusal> {
        let relay = self.intake.relay(&self.session).await?;
        let sender = &self.envelope.reverse_path;
        let writer = self.intake.writer(&self.session);
        let targets = self
            .intake
            .targets((sender, writer), address, relay)
            .await?;
        let copies = self.copies.saturating_add(targets.len());
        if copies > MAX_EXPANSION {
            let why = "too many recipients; send to the rest in a message of their own";
            return Err(Status::transient(5, 3, why).into());
        }
        let demands = self.intake.demands(address, &targets).await?;
        self.intake
            .ask_host(&self.session, sender, address, (&targets, &demands))
            .await?;
        self.intake
            .ask_rcpt(&self.session.filter, sender, address)
            .await?;
        Intake::check_demands(&demands, self.envelope.params.size)?;
        Ok((targets, demands))
    }

    /// DATA: the message follows.
    ///
    /// # Errors
    /// What to reply instead of 354.
    pub async fn data(&mut self) -> Result<(), Refusal> {
        if let Err(refusal) = self.may_begin().await {
            self.tell_refused(RefusedAt::Data, &refusal.status, None);
            return Err(refusal);
        }
        let parts = &self.intake.parts;
        let received = Reception {
            session: &self.session,
            hostname: &parts.hostname,
            trace: self.trace,
            only_recipient: self.only_recipient(),
            priority: self.envelope.params.priority,
            now: self.received_at,
        }
        .received();
        // What this server adds does not count against the sender's size.
        self.trace_len = received.len() as u64;
        let limit = parts
            .limits
            .message_size
            .saturating_add(self.trace_len + ADDED_ROOM);
        let mut writer = ContentWriter::new(parts.commit.clone(), limit);
        writer
            .write(received.into())
            .await
            .map_err(|error| refusal(&error))?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Counts the message and its recipients, however it ends: whoever sends
    /// too much is not to do so by hanging up.
    async fn may_begin(&mut self) -> Result<(), Refusal> {
        let intake = &self.intake;
        let load = Load {
            messages: 1,
            recipients: self.envelope.recipients.len() as u64,
            octets: 0,
        };
        intake.begins(&self.session, load)?;
        intake
            .ask_data(&self.session.filter, &self.envelope)
            .await?;
        Ok(())
    }

    fn only_recipient(&self) -> Option<&Address> {
        match self.envelope.recipients.as_slice() {
            [only] => Some(&only.address),
            _ => None,
        }
    }

    /// Takes the next octets of the message, dots undone.
    ///
    /// # Errors
    /// What to reply once all has arrived; the transaction is of no more use.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), Refusal> {
        let limit = self.intake.policy.header_size;
        let written = match self.head.take(octets, limit) {
            Piece::Held => Ok(()),
            Piece::Body(octets) => self.keep(octets).await,
            Piece::Header(octets, end) => self.keep_header(octets, end).await,
            Piece::TooLong => Err(too_long(limit)),
        };
        if let Err(refusal) = &written {
            // A message with a hole in it must never be finished.
            self.writer = None;
            self.tell_refused(RefusedAt::Content, &refusal.status, None);
        }
        written
    }

    /// Keeps a header that ends at `end`, as it may be, and what follows it.
    pub(super) async fn keep_header(&mut self, octets: Bytes, end: usize) -> Result<(), Refusal> {
        let header = octets.get(..end).unwrap_or(&octets);
        match self.admit_header(header).await? {
            None => self.keep(octets).await,
            Some(edited) => {
                self.keep(edited.into()).await?;
                self.keep(octets.slice(end.min(octets.len())..)).await
            }
        }
    }

    async fn keep(&mut self, octets: Bytes) -> Result<(), Refusal> {
        let Some(writer) = &mut self.writer else {
            return Err(Status::permanent(5, 1, "no DATA command was given").into());
        };
        writer.write(octets).await.map_err(|error| refusal(&error))
    }
}

fn too_large(limit: u64) -> Status {
    Status::permanent(3, 4, format!("the message is larger than {limit} octets"))
}

fn no_space() -> Status {
    Status::transient(3, 1, "no space to keep the message; try again later")
}

/// What a peer is told of a store that failed. The cause goes to the log.
pub(super) fn refusal(error: &StoreError) -> Refusal {
    status(error).into()
}

/// As [`refusal`], the status alone.
pub(super) fn status(error: &StoreError) -> Status {
    match error {
        StoreError::TooLarge { limit } => too_large(*limit),
        StoreError::OverQuota => Status::permanent(2, 2, "the mailbox is full"),
        StoreError::NoSuchMailbox | StoreError::NoSuchAccount => {
            Status::permanent(2, 1, "the mailbox is not there")
        }
        StoreError::DiskFull => {
            tracing::error!("the store's disk is full");
            no_space()
        }
        other => {
            tracing::error!(error = %other, "the store failed");
            Status::transient(3, 0, "the message can't be kept now; try again later")
        }
    }
}
