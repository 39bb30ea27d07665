//! [`QuarantinedMail`]: what lists show of a message in quarantine, and the form
//! in which it is kept.

use std::collections::BTreeSet;

use crate::account::AccountId;
use crate::address::{Address, Domain, ReversePath};
use crate::envelope::Recipient;
use crate::event::TraceId;
use crate::intake::SessionInfo;
use crate::intake::tell::shortened;
use crate::message::Summary;
use crate::message::decode::header_text;
use crate::pack::{PackError, Packer, Unpacker};
use crate::plan::{Finding, Quarantine, QuarantinePlace, Releasable};
use crate::queue::{QueueEntry, QueueId};
use crate::time::Timestamp;

const VERSION: u8 = 1;
/// Findings that are kept of a message.
const FINDINGS: usize = 50;
/// Characters of a subject, a reason, and of each text of a finding.
const TEXT: usize = 200;

/// A message in quarantine, as lists show it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QuarantinedMail {
    /// Its name.
    pub id: QueueId,
    /// Its track through the server.
    pub trace: TraceId,
    /// Since when it is here.
    pub at: Timestamp,
    /// From whom, by the envelope.
    pub from: ReversePath,
    /// For whom: those for whom it was neither released nor deleted.
    pub recipients: Vec<QuarantinedRecipient>,
    /// What it is about.
    pub subject: Option<String>,
    /// Octets.
    pub size: u64,
    /// The sum of what the tests found.
    pub score: f32,
    /// Why it is here.
    pub reason: String,
    /// Who sees it: [`QuarantinePlace::User`] or [`QuarantinePlace::Admin`].
    pub place: QuarantinePlace,
    /// Whether it may be released.
    pub release: Releasable,
    /// What the tests found.
    pub findings: Vec<QuarantineFinding>,
    /// The address that it came from.
    pub client: Option<String>,
    /// The name that the client gave.
    pub helo: Option<String>,
    /// Which of our accounts sent it.
    pub sent_by: Option<AccountId>,
}

/// Somebody for whom a message is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantinedRecipient {
    /// The address that it goes to when it is released.
    pub address: Address,
    /// Whose mailbox that is; `None` for one that is not here.
    pub account: Option<AccountId>,
}

/// What a test found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QuarantineFinding {
    /// The stage: `connect`, `content`.
    pub stage: String,
    /// The test: `dnsbl`, `spf`.
    pub test: String,
    /// What it looked at.
    pub input: String,
    /// What it said.
    pub result: String,
    /// What it added to the score.
    pub score: f32,
}

/// What is known of a message that is put in quarantine, beside its entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) apart: &'a Quarantine,
    pub(crate) place: QuarantinePlace,
    pub(crate) findings: &'a [Finding],
    pub(crate) summary: &'a Summary,
    pub(crate) session: &'a SessionInfo,
}

impl QuarantinedMail {
    /// What is shown of `entry`; `owner` tells whose mailbox an address is.
    pub(crate) fn of(
        entry: &QueueEntry,
        about: Circumstances<'_>,
        owner: impl Fn(&Address) -> Option<AccountId>,
    ) -> Self {
        let text = |text: &str| shortened(text, TEXT);
        let filter = &about.session.filter;
        let recipients = entry.progress.recipients.iter().map(|queued| {
            let address = queued.recipient.address.clone();
            QuarantinedRecipient {
                account: owner(&address),
                address,
            }
        });
        let findings = about.findings.iter();
        let subject = about.summary.envelope.subject.as_deref();
        Self {
            id: entry.id,
            trace: entry.trace,
            at: entry.received_at,
            from: entry.reverse_path.clone(),
            recipients: recipients.collect(),
            subject: subject.map(|subject| text(&header_text(subject))),
            size: entry.message.len(),
            score: findings.clone().map(|finding| finding.score).sum(),
            reason: text(&about.apart.reason),
            place: about.place,
            release: about.apart.release,
            findings: findings
                .take(FINDINGS)
                .map(|finding| QuarantineFinding {
                    stage: finding.stage.to_string(),
                    test: text(&finding.test),
                    input: text(&finding.input),
                    result: text(&finding.result),
                    score: finding.score,
                })
                .collect(),
            client: filter.peer.map(|peer| peer.ip().to_canonical().to_string()),
            helo: filter.helo.as_deref().map(text),
            sent_by: (filter.identity.as_ref()).map(|identity| identity.account.clone()),
        }
    }

    /// The accounts that see it.
    pub fn accounts(&self) -> BTreeSet<&AccountId> {
        let seen = match self.place {
            QuarantinePlace::Admin => &[],
            _ => &self.recipients[..],
        };
        seen.iter().filter_map(|it| it.account.as_ref()).collect()
    }

    /// The domains that it concerns: those of its recipients, and the sender's
    /// where one of our accounts sent it.
    pub fn domains(&self) -> BTreeSet<&Domain> {
        let ours = self.sent_by.as_ref().and(self.from.address());
        let to = self.recipients.iter().map(|it| it.address.domain());
        match self.recipients.is_empty() {
            true => BTreeSet::new(),
            false => to.chain(ours.map(Address::domain)).collect(),
        }
    }

    /// Those of its recipients, as the envelope has them.
    pub(super) fn envelope(&self) -> Vec<Recipient> {
        let recipients = self.recipients.iter();
        recipients
            .map(|it| Recipient::new(it.address.clone()))
            .collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.u128(self.id.0);
        out.u128(self.trace.0);
        out.i64(self.at.millis());
        out.text(&self.from.to_string());
        out.list(&self.recipients, |out, it| {
            out.text(&it.address.to_string());
            out.option(it.account.as_ref(), |out, it| out.text(it.as_str()));
        });
        out.option(self.subject.as_deref(), Packer::text);
        out.u64(self.size);
        out.u64(u64::from(self.score.to_bits()));
        out.text(&self.reason);
        out.u64(u64::from(self.place == QuarantinePlace::Admin));
        out.u64(u64::from(self.release == Releasable::Never));
        out.list(&self.findings, |out, it| {
            for text in [&it.stage, &it.test, &it.input, &it.result] {
                out.text(text);
            }
            out.u64(u64::from(it.score.to_bits()));
        });
        out.option(self.client.as_deref(), Packer::text);
        out.option(self.helo.as_deref(), Packer::text);
        out.option(self.sent_by.as_ref(), |out, it| out.text(it.as_str()));
        out.finish()
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, VERSION)?;
        Ok(Self {
            id: QueueId(from.u128()?),
            trace: TraceId(from.u128()?),
            at: Timestamp::from_millis(from.i64()?),
            from: match from.text()? {
                "" => ReversePath::Null,
                text => ReversePath::Address(address(text)?),
            },
            recipients: from.list(|from| {
                Ok(QuarantinedRecipient {
                    address: address(from.text()?)?,
                    account: from.option(|from| from.text().map(AccountId::new))?,
                })
            })?,
            subject: from.option(owned)?,
            size: from.u64()?,
            score: float(&mut from)?,
            reason: owned(&mut from)?,
            place: match from.u64()? {
                0 => QuarantinePlace::User,
                1 => QuarantinePlace::Admin,
                _ => return Err(PackError::Damaged),
            },
            release: match from.u64()? {
                0 => Releasable::Yes,
                1 => Releasable::Never,
                _ => return Err(PackError::Damaged),
            },
            findings: from.list(|from| {
                Ok(QuarantineFinding {
                    stage: owned(from)?,
                    test: owned(from)?,
                    input: owned(from)?,
                    result: owned(from)?,
                    score: float(from)?,
                })
            })?,
            client: from.option(owned)?,
            helo: from.option(owned)?,
            sent_by: from.option(|from| from.text().map(AccountId::new))?,
        })
    }
}

fn owned(from: &mut Unpacker<'_>) -> Result<String, PackError> {
    from.text().map(str::to_owned)
}

fn float(from: &mut Unpacker<'_>) -> Result<f32, PackError> {
    let bits = u32::try_from(from.u64()?).map_err(|_| PackError::Damaged)?;
    Ok(f32::from_bits(bits))
}

fn address(text: &str) -> Result<Address, PackError> {
    Address::parse(text).map_err(|_| PackError::Damaged)
}
