//! A message on its way to a host, and what came of it: [`Transaction`],
//! [`TransactionResult`].
//!
//! Running it is [`super::running`]'s.

use mailcore::address::ForwardPath;
use mailcore::address::ReversePath;
use mailcore::envelope::{BodyType, ByMode, MailParams, Notify, Recipient};
use mailcore::status::{Failure, Status};

use crate::command::{By, Command, Mail, Rcpt};
use crate::extension::{Extension, Extensions};
use crate::reply::Reply;

/// A message and whom it is for.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for when the message came here.
    pub params: MailParams,
    /// For whom; at least one.
    pub recipients: Vec<Recipient>,
    /// How many octets are sent; `None` when that is not known before.
    pub size: Option<u64>,
    /// What its octets need.
    pub needs: ContentNeeds,
    /// Until when it is to arrive, counted from now (RFC 2852).
    pub by: Option<By>,
    /// Whether the host is told what it need not know.
    pub optional: OptionalParams,
}

/// What a message's octets need of the next host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ContentNeeds {
    /// Octets above 127 need 8BITMIME, anything that is no line BINARYMIME.
    pub body: BodyType,
    /// Octets above 127 in the header need SMTPUTF8.
    pub utf8_header: bool,
}

/// Whether parameters are sent that a host may be unable to read although it
/// offers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptionalParams {
    /// All that the host offers to take.
    #[default]
    Sent,
    /// Only those without which the message can't be sent.
    LeftOut,
}

/// One entry for each recipient, in order: the reply that took the message, or
/// why it was not taken.
pub type TransactionResult = Vec<Result<Reply, Unsent>>;

/// Why a recipient's copy was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent {
    /// Status and words; the host is added by who knows it.
    pub failure: Failure,
    /// How far the transaction had come.
    pub stage: Stage,
}

/// How far a transaction had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing was sent: it does not fit what the host offers.
    Before,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The content.
    Content,
    /// After the end of the data: the host may have taken it.
    End,
}

impl Transaction {
    /// Why the message cannot go to a host that offers these extensions.
    pub(super) fn unfit(&self, offered: &Extensions, verified_tls: bool) -> Option<Status> {
        let offers = |extension| offered.offers(&extension);
        if let (Some(size), Some(limit)) = (self.size, offered.size_limit())
            && size > limit
        {
            let text = format!("the next host takes messages up to {limit} octets");
            return Some(Status::permanent(3, 4, text));
        }
        if self.needs_smtputf8() && !offers(Extension::SmtpUtf8) {
            let text = "the next host takes no addresses or header fields in UTF-8";
            return Some(Status::permanent(6, 7, text));
        }
        // RFC 8689 sections 4.2.1 and 5: a notice is worth more than its
        // protection beyond the next host.
        let protects = offers(Extension::RequireTls) || self.reverse_path.address().is_none();
        if self.params.require_tls && !verified_tls {
            let text = "the way to the next host is not secured as REQUIRETLS asks";
            return Some(Status::permanent(7, 10, text));
        }
        if self.params.require_tls && !protects {
            let text = "the next host does not pass REQUIRETLS on";
            return Some(Status::permanent(7, 30, text));
        }
        if let Some(status) = self.too_late(offered) {
            return Some(status);
        }
        let text = match self.needs.body {
            BodyType::EightBitMime if !offers(Extension::EightBitMime) => "8-bit content",
            BodyType::BinaryMime if !takes_binary(offered) => "content that is no lines of text",
            _ => return None,
        };
        let text = format!("the next host takes no {text}");
        Some(Status::permanent(6, 3, text))
    }

    /// What is to be returned when it is late goes only to who returns it (RFC
    /// 2852 section 4.1.4), and only where there is time enough.
    fn too_late(&self, offered: &Extensions) -> Option<Status> {
        let by = self.by.filter(|by| by.mode == ByMode::Return)?;
        let least = offered.iter().find_map(|extension| match extension {
            Extension::DeliverBy(least) => Some(least.unwrap_or(0)),
            _ => None,
        });
        match least {
            None => {
                let text = "the next host takes no deadline (DELIVERBY), and one was asked for";
                Some(Status::permanent(3, 3, text))
            }
            // RFC 2852 section 4: BY=0;R is no valid parameter.
            Some(least) if by.seconds < i64::try_from(least.max(1)).unwrap_or(i64::MAX) => {
                let text = "the deadline is too near for the next host";
                Some(Status::permanent(4, 7, text))
            }
            Some(_) => None,
        }
    }

    /// Whether the host will tell the sender itself of what the sender asked to
    /// be told (RFC 3461 section 5.2.2, RFC 2852 section 4.1.4).
    pub(super) fn passes_duty_on(&self, offered: &Extensions) -> bool {
        let late = self.by.is_none() || offered.offers(&Extension::DeliverBy(None));
        self.asks(offered, Extension::Dsn) && late
    }

    fn needs_smtputf8(&self) -> bool {
        let sender_is_ascii = self.reverse_path.address().is_none_or(|a| a.is_ascii());
        let mut recipients = self.recipients.iter();
        self.needs.utf8_header
            || !sender_is_ascii
            || recipients.any(|recipient| !recipient.address.is_ascii())
    }

    pub(super) fn all_unsent(&self, status: &Status) -> TransactionResult {
        let unsent = Unsent {
            failure: Failure::local(status.clone()),
            stage: Stage::Before,
        };
        self.recipients
            .iter()
            .map(|_| Err(unsent.clone()))
            .collect()
    }

    /// MAIL with the parameters that the host takes.
    pub(super) fn mail(&self, offered: &Extensions) -> Command {
        let offers = |extension| self.asks(offered, extension);
        let mut mail = Mail::new(self.reverse_path.clone());
        mail.params.size = self.size.filter(|_| offers(Extension::Size(None)));
        mail.params.body = self.needs.body;
        mail.params.smtputf8 = self.needs_smtputf8();
        let requires = self.params.require_tls && offered.offers(&Extension::RequireTls);
        mail.params.require_tls = requires;
        if offers(Extension::MtPriority(None)) {
            mail.params.priority = self.params.priority;
        }
        let deadline = |by: &By| {
            let offered = offered.offers(&Extension::DeliverBy(None));
            offered && (by.mode == ByMode::Return || self.optional == OptionalParams::Sent)
        };
        mail.by = self.by.filter(deadline);
        if offers(Extension::Dsn) {
            mail.params.ret = self.params.ret;
            mail.params.envelope_id.clone_from(&self.params.envelope_id);
        }
        Command::Mail(mail)
    }

    /// RCPT with the parameters that the host takes (RFC 3461 section 5.2.1).
    pub(super) fn rcpt(&self, recipient: &Recipient, offered: &Extensions) -> Command {
        let forward_path = ForwardPath::Address(recipient.address.clone());
        let mut rcpt = Rcpt::new(forward_path);
        if self.asks(offered, Extension::Dsn) {
            rcpt.notify = recipient.notify;
            rcpt.original.clone_from(&recipient.original);
        } else {
            rcpt.notify = Notify::default();
        }
        Command::Rcpt(rcpt)
    }

    /// Whether an extension's parameters are used that one can do without.
    fn asks(&self, offered: &Extensions, extension: Extension) -> bool {
        self.optional == OptionalParams::Sent && offered.offers(&extension)
    }
}

/// RFC 3030 section 3: BODY=BINARYMIME goes with BDAT alone.
pub(super) fn takes_binary(offered: &Extensions) -> bool {
    offered.offers(&Extension::BinaryMime) && offered.offers(&Extension::Chunking)
}

pub(super) fn refused(reply: &Reply, stage: Stage) -> Unsent {
    Unsent {
        failure: said(reply),
        stage,
    }
}

/// A reply as a failure; the host is added by who knows it.
pub(super) fn said(reply: &Reply) -> Failure {
    Failure {
        reply_code: Some(reply.code().number()),
        said: reply.transcribed(),
        ..Failure::local(reply.to_status())
    }
}

/// The status of a message whose octets the store does not give.
pub(super) fn unreadable() -> Status {
    Status::transient(3, 0, "the message can't be read from the store now")
}
