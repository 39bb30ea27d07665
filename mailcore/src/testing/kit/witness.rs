//! Seams with somebody looking on: a [`Commit`] and [`Filter`]s that work as
//! before, while what goes by them is written down.

use std::sync::Arc;

use async_trait::async_trait;

use super::ledger::Ledger;
use super::mail::{CapturedMail, FilterVerdict, Place};
use crate::address::{Address, ReversePath};
use crate::batch::{Append, Batch, Receipt};
use crate::envelope::Envelope;
use crate::event::TraceId;
use crate::message::{Header, Message};
use crate::plan::{Disposition, Plan, RecipientPlan};
use crate::seams::{
    Appended, Commit, CommitError, Filter, FilterSession, IncomingMail, Stage, StoreError, Verdict,
};
use crate::time::Timestamp;

/// The most octets of a header that are read for a trace field.
const HEAD: u64 = 4 * 1024;

/// A store whose deliveries are seen.
#[derive(Debug)]
pub(super) struct SeenCommit {
    pub(super) inner: Arc<dyn Commit>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) clock: Arc<dyn crate::seams::Clock>,
}

#[async_trait]
impl Commit for SeenCommit {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let (events, appends) = (batch.events.clone(), batch.appends.clone());
        let receipt = self.inner.commit(batch).await?;
        events.iter().for_each(|event| self.ledger.note(event));
        for (append, filed) in appends.into_iter().zip(&receipt.appends) {
            if let Ok(filed) = filed {
                self.see(append, filed).await;
            }
        }
        Ok(receipt)
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.inner.stage().await
    }

    fn has_room(&self, octets: u64) -> bool {
        self.inner.has_room(octets)
    }
}

impl SeenCommit {
    async fn see(&self, append: Append, filed: &Appended) {
        let message = &append.message.message;
        // Who can't read it back learns so from the store itself.
        let Ok(octets) = message.read_all(u64::MAX).await else {
            return;
        };
        let own = || Address::parse(append.account.as_str()).ok();
        let mail = CapturedMail {
            place: Place::Mailbox {
                account: append.account.clone(),
                mailbox: append.mailbox.clone(),
                uid: filed.uid,
            },
            reverse_path: return_path(&octets),
            recipients: append.recipient.clone().or_else(own).into_iter().collect(),
            ..captured(octets, append.trace, self.clock.now())
        };
        self.ledger.add(mail.read());
    }
}

/// A message of which only the octets are known.
pub(super) fn captured(octets: bytes::Bytes, trace: TraceId, at: Timestamp) -> CapturedMail {
    CapturedMail {
        place: Place::Elsewhere,
        reverse_path: ReversePath::Null,
        recipients: Vec::new(),
        subject: String::new(),
        text: String::new(),
        html: String::new(),
        attachments: Vec::new(),
        octets,
        trace,
        at,
        transcript: String::new(),
        verdicts: Vec::new(),
        number: 0,
    }
}

/// What final delivery wrote on top (RFC 5321 section 4.4).
fn return_path(octets: &[u8]) -> ReversePath {
    let field = Header::new(octets)
        .first("Return-Path")
        .map(|it| it.value().into_owned());
    let text = field.map(|it| String::from_utf8_lossy(&it).trim().to_owned());
    text.and_then(|it| ReversePath::parse(&it).ok())
        .unwrap_or(ReversePath::Null)
}

/// A filter whose verdicts are seen.
#[derive(Debug)]
pub(super) struct SeenFilter {
    pub(super) inner: Arc<dyn Filter>,
    pub(super) ledger: Arc<Ledger>,
}

impl SeenFilter {
    fn note(&self, stage: &'static str, verdict: Verdict) -> Verdict {
        let (word, reason) = match &verdict {
            Verdict::Continue => ("Continue", String::new()),
            Verdict::Accept => ("Accept", String::new()),
            Verdict::Delay(pause) => ("Delay", format!("{pause:?}")),
            Verdict::Defer(status) => ("Defer", status.to_string()),
            Verdict::Reject(status) => ("Reject", status.to_string()),
            Verdict::Disconnect(status) => ("Disconnect", status.to_string()),
        };
        self.ledger.in_session(FilterVerdict {
            filter: self.inner.name().to_owned(),
            stage,
            verdict: word.to_owned(),
            reason,
        });
        verdict
    }
}

#[async_trait]
impl Filter for SeenFilter {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn connect(&self, session: &FilterSession) -> Verdict {
        self.note("connect", self.inner.connect(session).await)
    }

    async fn helo(&self, session: &FilterSession) -> Verdict {
        self.note("helo", self.inner.helo(session).await)
    }

    async fn auth(&self, session: &FilterSession) -> Verdict {
        self.note("auth", self.inner.auth(session).await)
    }

    async fn mail(&self, session: &FilterSession, reverse_path: &ReversePath) -> Verdict {
        self.note("mail", self.inner.mail(session, reverse_path).await)
    }

    async fn rcpt(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Verdict {
        let said = self.inner.rcpt(session, reverse_path, recipient).await;
        self.note("rcpt", said)
    }

    async fn data(&self, session: &FilterSession, envelope: &Envelope) -> Verdict {
        self.note("data", self.inner.data(session, envelope).await)
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let before = plan.clone();
        self.inner.message(session, mail, plan).await;
        let Some(trace) = trace_of(mail.message).await else {
            return;
        };
        for (verdict, reason) in changes(&before, plan) {
            let filter = self.inner.name().to_owned();
            let stage = "message";
            self.ledger.of_message(
                trace,
                FilterVerdict {
                    filter,
                    stage,
                    verdict,
                    reason,
                },
            );
        }
    }

    async fn disconnect(&self, session: &FilterSession) {
        self.inner.disconnect(session).await;
        self.ledger.session_ends();
    }
}

/// The track of a message, which its Received field names (RFC 5321 section
/// 4.4, `id`).
async fn trace_of(message: &Message) -> Option<TraceId> {
    let head = message.read(0..HEAD).await.ok()?;
    let received = Header::new(&head).first("Received")?.value().into_owned();
    let text = String::from_utf8_lossy(&received).into_owned();
    let mut words = text
        .split([' ', '\t', ';'])
        .skip_while(|word| *word != "id");
    let id = u128::from_str_radix(words.nth(1)?, 16).ok()?;
    Some(TraceId(id))
}

/// What a filter did to a plan: verdict and reason.
fn changes(before: &Plan, after: &Plan) -> Vec<(String, String)> {
    let found = after.findings.iter().skip(before.findings.len());
    let mut changes: Vec<_> = found
        .map(|it| {
            let seen = format!("{} on {}", it.result, it.input);
            (format!("{} {:+}", it.test, it.score), seen)
        })
        .collect();
    let copies = before.recipients.iter().zip(&after.recipients);
    for change in copies.filter_map(|(before, after)| change_of_copy(before, after)) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    if changes.is_empty() {
        changes.push(("Continue".to_owned(), String::new()));
    }
    changes
}

fn change_of_copy(before: &RecipientPlan, after: &RecipientPlan) -> Option<(String, String)> {
    if before == after {
        return None;
    }
    let (word, reason) = match &after.disposition {
        same if *same == before.disposition => ("Edit", String::new()),
        Disposition::Accept => ("Accept", String::new()),
        Disposition::Reject(status) => ("Reject", status.to_string()),
        Disposition::Defer(status) => ("Defer", status.to_string()),
        Disposition::Discard => ("Discard", String::new()),
        Disposition::Quarantine(apart) => ("Quarantine", apart.reason.clone()),
    };
    Some((word.to_owned(), reason))
}
