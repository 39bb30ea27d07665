//! The end of a transaction: the message is complete, filters say what is to
//! become of it, and each recipient gets a status.

use std::sync::Arc;

use super::settle::Settlement;
use super::tell::RefusedAt;
use super::trace::{delivered_to, hops, missing_fields};
use super::transaction::refusal;
use super::{Intake, Mail, Refusal, SessionInfo, SessionKind, Transaction};
use crate::abuse::Load;
use crate::address::{Address, ForwardPath};
use crate::envelope::Envelope;
use crate::event::TraceId;
use crate::message::{Header, HeaderEnvelope, Message, Summary};
use crate::seams::{FilterSession, IncomingMail};
use crate::status::{Status, StatusClass};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The message's track.
    pub trace: TraceId,
    /// For each recipient that RCPT accepted, in that order, whether this
    /// server has taken charge of its copy. LMTP replies with each.
    pub outcomes: Vec<Status>,
    /// For each recipient, the addresses whose copies wait in the queue.
    /// Events tell what becomes of them; none means that all is settled.
    pub pending: Vec<Vec<Address>>,
}

impl Accepted {
    /// The one status that SMTP can give (RFC 5321 section 4.2.5).
    ///
    /// Success only when every copy is in safe hands: where the queue can tell
    /// the sender of a copy that was refused after others were taken, that
    /// copy is. Without a store nobody could, so the sender is told at once,
    /// a transient failure before a permanent one: twice is better than never.
    pub fn overall(&self) -> Status {
        let of = |class| {
            self.outcomes
                .iter()
                .find(|status| status.code.class == class)
                .cloned()
        };
        of(StatusClass::Transient)
            .or_else(|| of(StatusClass::Permanent))
            .or_else(|| of(StatusClass::Success))
            .unwrap_or_else(|| Status::permanent(5, 1, "no valid recipients"))
    }
}

impl Transaction {
    /// The message is complete. Success means: on stable storage, or in the
    /// hands of the host's code.
    ///
    /// # Errors
    /// What to reply when nothing at all was taken.
    pub async fn finish(mut self) -> Result<Accepted, Refusal> {
        let mail = match self.complete().await {
            Ok(mail) => mail,
            Err(refusal) => {
                self.tell_refused(RefusedAt::Content, &refusal.status, None);
                return Err(refusal);
            }
        };
        let load = Load {
            octets: mail.message.len(),
            ..Load::default()
        };
        if let Err(refusal) = self.intake.begins(&self.session, load) {
            self.tell_refused(RefusedAt::Content, &refusal.status, None);
            return Err(refusal);
        }
        let incoming = IncomingMail {
            envelope: &self.envelope,
            message: &mail.message,
            summary: &mail.summary,
        };
        let mut plan = self
            .intake
            .ask_message(&self.session.filter, incoming)
            .await;
        self.enforce_demands(&mail, &mut plan);
        let alongside = std::mem::take(&mut self.alongside);
        let done = Settlement::new(&self.intake, &self.session, &self.envelope, &mail)
            .alongside(alongside)
            .settle(&self.targets, plan)
            .await;
        self.tell_outcome(&done, &mail);
        done
    }

    /// The message as it stands once its last octet is here.
    async fn complete(&mut self) -> Result<Mail, Refusal> {
        if let Some(header) = self.head.finish() {
            let end = header.len();
            self.keep_header(header, end).await?;
        }
        let Some(writer) = self.writer.take() else {
            return Err(Status::permanent(5, 1, "no DATA command was given").into());
        };
        // A header longer than what is in memory is not of a loop's making.
        let looping = hops(writer.head()) > self.intake.parts.limits.hops;
        let delivered_to = delivered_to(writer.head());
        let (content, mut summary) = writer.finish().await.map_err(|error| refusal(&error))?;
        if looping {
            return Err(Status::permanent(4, 6, "the message is in a loop").into());
        }
        let added = self.added_fields(&summary);
        let given = HeaderEnvelope::parse(&Header::new(&added));
        summary.envelope.date = summary.envelope.date.or(given.date);
        summary.envelope.message_id = summary.envelope.message_id.or(given.message_id);
        Ok(Mail {
            trace: self.trace,
            reverse_path: self.envelope.reverse_path.clone(),
            summary: Arc::new(summary.with_prefix(added.len() as u64)),
            message: Message::new(content).with_prefix(added),
            received_at: self.received_at,
            delivered_to,
        })
    }

    fn added_fields(&self, summary: &Summary) -> Vec<u8> {
        match self.session.filter.door {
            SessionKind::Submission | SessionKind::Local => {
                let hostname = &self.intake.parts.hostname;
                missing_fields(summary, self.trace, hostname, self.received_at)
            }
            SessionKind::Mx | SessionKind::Lmtp => Vec::new(),
        }
    }
}

impl Intake {
    /// Mail from inside the process: the host's, or the server's own.
    ///
    /// # Errors
    /// Why none of it was taken.
    pub async fn submit(
        self: &Arc<Self>,
        envelope: Envelope,
        message: bytes::Bytes,
    ) -> Result<Accepted, Refusal> {
        let session = SessionInfo {
            filter: FilterSession::new(None).through(SessionKind::Local),
            with: "local",
            transcript: None,
        };
        let mut transaction = self
            .mail(session, envelope.reverse_path, envelope.params)
            .await?;
        for recipient in envelope.recipients {
            let path = ForwardPath::Address(recipient.address);
            transaction
                .rcpt(path, recipient.notify, recipient.original)
                .await?;
        }
        transaction.data().await?;
        transaction.write(message).await?;
        transaction.finish().await
    }
}
