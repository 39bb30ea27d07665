//! Which command is legal when: the one table of the session's states.
//!
//! What a legal command does is in the files named after the part of the
//! session it belongs to.

use super::config::Kind;
use crate::command::Verb;

/// Where a session stands between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No HELO, EHLO or LHLO yet.
    Ungreeted,
    /// Greeted, no transaction.
    Greeted,
    /// MAIL was accepted, no RCPT yet tried.
    Mail,
    /// At least one RCPT was tried, none accepted.
    Refused,
    /// At least one recipient was accepted.
    Recipients,
    /// Part of the message has come by BDAT.
    Chunks,
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Go on.
    Legal,
    /// The greeting comes first.
    GreetFirst,
    /// Not within a transaction.
    NotNow,
    /// MAIL comes first.
    MailFirst,
    /// RCPT comes first.
    RcptFirst,
    /// Every recipient was refused.
    NoRecipients,
    /// Known, and not implemented.
    NotImplemented,
    /// Of the other protocol: LHLO in SMTP, HELO and EHLO in LMTP.
    OtherProtocol,
}

/// The table: a row for each verb, in the order of [`Stage`]'s variants.
pub(super) fn rule(verb: Verb, stage: Stage, kind: Kind) -> Rule {
    use Rule::{
        GreetFirst, Legal, MailFirst, NoRecipients, NotImplemented, NotNow, OtherProtocol,
        RcptFirst,
    };
    let greeting = if kind == Kind::Lmtp {
        OtherProtocol
    } else {
        Legal
    };
    let lmtp_greeting = if kind == Kind::Lmtp {
        Legal
    } else {
        OtherProtocol
    };
    if verb == Verb::Etrn && kind == Kind::Lmtp {
        return NotImplemented;
    }
    let [ungreeted, greeted, mail, refused, recipients, chunks] = match verb {
        Verb::Helo | Verb::Ehlo => [greeting; 6],
        Verb::Lhlo => [lmtp_greeting; 6],
        Verb::Mail => [GreetFirst, Legal, NotNow, NotNow, NotNow, NotNow],
        Verb::Rcpt => [GreetFirst, MailFirst, Legal, Legal, Legal, NotNow],
        Verb::Data => [
            GreetFirst,
            MailFirst,
            RcptFirst,
            NoRecipients,
            Legal,
            NotNow,
        ],
        Verb::Bdat => [GreetFirst, MailFirst, RcptFirst, NoRecipients, Legal, Legal],
        Verb::StartTls | Verb::Auth | Verb::Etrn => {
            [GreetFirst, Legal, NotNow, NotNow, NotNow, NotNow]
        }
        Verb::Rset | Verb::Noop | Verb::Quit | Verb::Vrfy | Verb::Expn | Verb::Help => [Legal; 6],
        Verb::Xclient => [Legal, Legal, NotNow, NotNow, NotNow, NotNow],
    };
    match stage {
        Stage::Ungreeted => ungreeted,
        Stage::Greeted => greeted,
        Stage::Mail => mail,
        Stage::Refused => refused,
        Stage::Recipients => recipients,
        Stage::Chunks => chunks,
    }
}
