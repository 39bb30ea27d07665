//! The one way into a mailbox: a message, a recipient and its plan become
//! appends. Used by intake before the reply and by the mailbox agent alike.

use std::sync::Arc;

use bytes::Bytes;

use super::form::{Shape, Shapes};
use super::trace::{delivered_to_field, return_path};
use super::transaction::status;
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, DeliveryId, IfMissing, StateChange};
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{HeaderWriter, Message, Summary};
use crate::plan::{Action, Disposition, Edit, Finding, RecipientPlan, RedirectNotices};
use crate::seams::{
    Commit, FilterSession, Letter, NewMessage, QuotaLimit, Rules, RulesInput, StoreError,
};
use crate::status::Status;
use crate::time::Timestamp;

/// Where quarantined mail is filed.
const JUNK: &str = "Junk";
/// Octets of the words with which rules refuse a message.
const MOST_WORDS: usize = 500;

/// A message about to be filed.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its track.
    pub trace: TraceId,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// The octets that all copies share.
    pub message: Message,
    /// The summary of `message`.
    pub summary: Arc<Summary>,
    /// When this server accepted it: INTERNALDATE.
    pub received_at: Timestamp,
    /// The addresses that it was delivered to before: its Delivered-To fields.
    pub delivered_to: Arc<[String]>,
}

impl Mail {
    /// True when a copy for `address` would go round in a loop of forwards.
    pub fn was_delivered_to(&self, address: &Address) -> bool {
        let address = address.to_string();
        self.delivered_to
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&address))
    }

    /// The prefix of this message with the fields that the plan adds before it.
    /// What else the plan edits is done before, by [`Mail::rewritten`].
    pub(super) fn edited(&self, edits: &[Edit]) -> Bytes {
        if edits.is_empty() {
            return self.message.prefix().clone();
        }
        let mut prefix = Vec::new();
        for edit in edits {
            let Edit::AddHeader { name, value } = edit else {
                continue;
            };
            let mut field = HeaderWriter::new();
            field.text(name, value);
            prefix.extend_from_slice(&field.finish());
        }
        prefix.extend_from_slice(self.message.prefix());
        prefix.into()
    }
}

/// Whose mailbox it goes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MailboxTarget {
    /// The account.
    pub account: AccountId,
    /// The mailbox it goes to unless the plan says otherwise.
    pub mailbox: MailboxName,
    /// What the account may hold.
    pub quota: QuotaLimit,
    /// The address that led here.
    pub address: Address,
    /// Who gets a copy of what is filed, unless it is kept apart.
    pub copies: Vec<Address>,
}

/// Files mail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Filing<'a> {
    /// The recipients' own rules.
    pub rules: Option<&'a dyn Rules>,
    /// Where content of its own is staged.
    pub commit: Option<Arc<dyn Commit>>,
    /// The parameters of MAIL.
    pub params: &'a MailParams,
    /// The recipient as the sender named it, where that is known.
    pub named: Option<&'a Recipient>,
    /// What the filters found, as far as that is known.
    pub findings: &'a [Finding],
    /// The session that the mail came by, if it is that one's.
    pub session: Option<&'a FilterSession>,
}

/// What filing one copy comes to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Filed {
    /// To commit. Empty when the copy was discarded or only sent on.
    pub appends: Vec<Append>,
    /// Copies that go on, once what is to be filed is.
    pub onward: Vec<Forwarded>,
    /// What else comes of it, then too.
    pub after: After,
    /// Why the copy is refused; nothing else is done with it then.
    pub refused: Option<Status>,
    /// What says the refusal where no reply can.
    pub instead: Option<Letter>,
}

/// A copy that goes on: to those that the recipient's rules send it to, and to
/// those that get a copy.
#[derive(Debug)]
#[non_exhaustive]
pub struct Forwarded {
    /// The octets: they name the recipient, so that a loop is seen.
    pub message: Message,
    /// To whom.
    pub to: Vec<Address>,
    /// What is asked for it.
    pub notices: RedirectNotices,
}

/// What comes of rules beside the copies of the message.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct After {
    /// Whose rules they are; none where nothing comes of them.
    pub owner: Option<MailboxTarget>,
    /// Mail.
    pub letters: Vec<Letter>,
    /// What is to be remembered.
    pub state: Vec<StateChange>,
    /// Why rules could not be carried through.
    pub failed: Option<String>,
}

impl Filed {
    fn refused(status: Status) -> Self {
        Self {
            refused: Some(status),
            ..Self::default()
        }
    }
}

impl<'a> Filing<'a> {
    /// By these rules, of a message with these parameters.
    pub fn new(rules: Option<&'a dyn Rules>, params: &'a MailParams) -> Self {
        Self {
            rules,
            commit: None,
            params,
            named: None,
            findings: &[],
            session: None,
        }
    }

    /// What becomes of one copy of `mail`.
    pub async fn file(&self, mail: &Mail, target: &MailboxTarget, plan: &RecipientPlan) -> Filed {
        if mail.was_delivered_to(&target.address) {
            return Filed::refused(Status::permanent(
                4,
                6,
                "the message was here before: it is in a loop of forwards",
            ));
        }
        let copy = Copy::new(mail, target, plan);
        match &plan.disposition {
            Disposition::Accept => {
                let acted = self.act(&copy, plan).await;
                acted.unwrap_or_else(|error| Filed::refused(status(&error)))
            }
            Disposition::Quarantine(_) => {
                // A junk folder is made when it is missing; its name is a
                // constant that parses.
                let junk = MailboxName::parse(JUNK).unwrap_or_else(|_| MailboxName::inbox());
                let place = (junk, Flags::NONE, IfMissing::Create);
                Filed {
                    appends: vec![copy.append(0, &copy.plain, place)],
                    ..Filed::default()
                }
            }
            Disposition::Discard => Filed::default(),
            Disposition::Reject(status) | Disposition::Defer(status) => {
                Filed::refused(status.clone())
            }
        }
    }

    /// Does what the plan says, or where it says nothing the recipient's rules.
    async fn act(&self, copy: &Copy<'_>, plan: &RecipientPlan) -> Result<Filed, StoreError> {
        let ruling = match (plan.actions.as_slice(), self.rules) {
            ([], Some(rules)) => rules.evaluate(&self.input(copy)).await,
            (given, _) => given.to_vec().into(),
        };
        let refused = ruling.actions.iter().find_map(|action| match action {
            Action::Reject { reason } => Some(Status::permanent(7, 1, cut(reason))),
            _ => None,
        });
        if let Some(status) = refused {
            return Ok(Filed {
                instead: ruling.instead,
                after: After {
                    owner: Some(copy.target.clone()),
                    ..After::default()
                },
                ..Filed::refused(status)
            });
        }
        let mut filed = self.perform(copy, ruling.actions).await?;
        let copies = &copy.target.copies;
        if !copies.is_empty() {
            filed.onward.push(Forwarded {
                message: copy.forwarded(&copy.plain),
                to: copies.clone(),
                notices: RedirectNotices::default(),
            });
        }
        let after = After {
            owner: None,
            letters: ruling.letters,
            state: ruling.state,
            failed: ruling.failed,
        };
        if !after.is_empty() {
            let owner = Some(copy.target.clone());
            filed.after = After { owner, ..after };
        }
        Ok(filed)
    }

    async fn perform(&self, copy: &Copy<'_>, actions: Vec<Action>) -> Result<Filed, StoreError> {
        let mut filed = Filed::default();
        if actions.is_empty() {
            let inbox = copy.target.mailbox.clone();
            let place = (inbox, Flags::NONE, IfMissing::FileToInbox);
            filed.appends.push(copy.append(0, &copy.plain, place));
            return Ok(filed);
        }
        let mut shapes = Shapes {
            seen: &copy.message,
            seen_summary: &copy.summary,
            plain: copy.plain.clone(),
            address: &copy.target.address,
            commit: self.commit.clone(),
            made: Vec::new(),
        };
        for (index, action) in actions.into_iter().enumerate() {
            match action {
                Action::File {
                    mailbox,
                    flags,
                    create,
                    form,
                } => {
                    let if_missing = if create {
                        IfMissing::Create
                    } else {
                        IfMissing::FileToInbox
                    };
                    let shape = shapes.of(&form).await?;
                    let place = (mailbox, flags, if_missing);
                    filed.appends.push(copy.append(index, &shape, place));
                }
                Action::Redirect { to, form, notices } => {
                    let shape = shapes.of(&form).await?;
                    filed.onward.push(Forwarded {
                        message: copy.forwarded(&shape),
                        to: vec![to],
                        notices,
                    });
                }
                Action::Discard | Action::Reject { .. } => {}
            }
        }
        Ok(filed)
    }

    fn input<'c>(&'c self, copy: &'c Copy<'_>) -> RulesInput<'c> {
        let (mail, target) = (copy.mail, copy.target);
        RulesInput::new(
            &target.account,
            &mail.reverse_path,
            &target.address,
            &copy.message,
            &copy.summary,
        )
        .into_mailbox(&target.mailbox)
        .with_envelope(self.params, self.named)
        .tracked(mail.trace, mail.received_at)
        .with_session(self.session, self.findings)
    }
}

impl After {
    /// True when nothing comes of them.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.state.is_empty() && self.failed.is_none()
    }
}

/// Words that fit in a reply and in a line of a notice.
pub(super) fn cut(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    let mut words = words.join(" ");
    let end = words.floor_char_boundary(MOST_WORDS);
    if end < words.len() {
        words.truncate(end);
        words.push_str("...");
    }
    words
}

/// One recipient's copy: the shared octets under a prefix of its own.
struct Copy<'a> {
    mail: &'a Mail,
    target: &'a MailboxTarget,
    /// As it is filed.
    message: Message,
    summary: Arc<Summary>,
    /// Without Return-Path and Delivered-To.
    plain: Shape,
}

impl<'a> Copy<'a> {
    fn new(mail: &'a Mail, target: &'a MailboxTarget, plan: &RecipientPlan) -> Self {
        let edited = mail.edited(&plan.edits);
        let shift = edited.len().saturating_sub(mail.message.prefix().len()) as u64;
        let plain = Shape {
            message: mail.message.with_prefix(edited),
            summary: match shift {
                0 => Arc::clone(&mail.summary),
                shift => Arc::new(mail.summary.as_ref().clone().with_prefix(shift)),
            },
        };
        let (message, summary) = owned(mail, target, &plain);
        Self {
            mail,
            target,
            message,
            summary,
            plain,
        }
    }

    /// The message as it goes on to others: without the Return-Path, which is
    /// for the place where it stays (RFC 5321 section 4.4).
    fn forwarded(&self, shape: &Shape) -> Message {
        let mut prefix = delivered_to_field(&self.target.address).into_bytes();
        prefix.extend_from_slice(shape.message.prefix());
        shape.message.with_prefix(prefix)
    }

    fn append(
        &self,
        index: usize,
        shape: &Shape,
        (mailbox, flags, if_missing): (MailboxName, Flags, IfMissing),
    ) -> Append {
        let (message, summary) = match Arc::ptr_eq(&shape.summary, &self.plain.summary) {
            true => (self.message.clone(), Arc::clone(&self.summary)),
            false => owned(self.mail, self.target, shape),
        };
        Append {
            account: self.target.account.clone(),
            mailbox,
            if_missing,
            message: NewMessage {
                message,
                summary,
                flags,
                internal_date: self.mail.received_at,
            },
            delivery_id: Some(delivery_id(self.mail.trace, &self.target.address, index)),
            quota: self.target.quota,
            trace: self.mail.trace,
            recipient: Some(self.target.address.clone()),
        }
    }
}

/// The message as it is filed there.
fn owned(mail: &Mail, target: &MailboxTarget, shape: &Shape) -> (Message, Arc<Summary>) {
    let mut prefix = return_path(&mail.reverse_path).into_bytes();
    prefix.extend_from_slice(delivered_to_field(&target.address).as_bytes());
    let shift = prefix.len() as u64;
    prefix.extend_from_slice(shape.message.prefix());
    let summary = shape.summary.as_ref().clone().with_prefix(shift);
    (shape.message.with_prefix(prefix), Arc::new(summary))
}

/// Names the delivery of the message `trace` to `address` by its rules' action
/// `index`: equal when the same delivery is tried again after a crash.
pub fn delivery_id(trace: TraceId, address: &Address, index: usize) -> DeliveryId {
    // FNV-1a over 128 bits: not a secret, only a name that spreads well.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const TIME: u128 = !0 << 80;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let folded = address.folded().to_string();
    let octets = trace
        .0
        .to_be_bytes()
        .into_iter()
        .chain(folded.bytes())
        .chain(index.to_be_bytes());
    let hash = octets.fold(START, |hash, octet| {
        (hash ^ u128::from(octet)).wrapping_mul(PRIME)
    });
    // The trace begins with its time, and so does the name: what a store keeps
    // by it grows at one end.
    DeliveryId(trace.0 & TIME | hash & !TIME)
}
