//! The one way into a mailbox: a message, a recipient and its plan become
//! appends. Used by intake before the reply and by the mailbox agent alike.

use std::sync::Arc;

use bytes::Bytes;

use super::copy::Copy;
use super::form::Shapes;
use super::transaction::status;
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, IfMissing, StateChange};
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName};
use crate::message::{HeaderWriter, Message, Summary};
use crate::plan::{Action, Disposition, Edit, Finding, RecipientPlan, RedirectNotices};
use crate::seams::{Commit, FilterSession, Letter, QuotaLimit, Rules, RulesInput, StoreError};
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
