//! [`Test`]: one question asked of mail, and what it may answer.

use std::fmt::Debug;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::plan::Stage;
use mailcore::seams::{FilterSession, IncomingMail};

use super::Reaction;

/// Asks one question of mail at one stage and says what it found. What is done
/// about it is the pipeline's to decide, by [`Test::reaction`] or a setting.
///
/// A test that can't be answered now, because DNS is down, says nothing or a
/// result that scores nothing: an outage of others never refuses mail. Its
/// future may be dropped at any time.
#[async_trait]
pub trait Test: Debug + Send + Sync {
    /// `dnsbl`: names it in settings, in the order and in findings.
    fn name(&self) -> &'static str;

    /// When it is asked.
    fn stage(&self) -> Stage;

    /// Later stages at which it is asked once more.
    fn also_at(&self) -> &'static [Stage] {
        &[]
    }

    /// The tests whose findings it reads, where they are there: asked before it.
    fn after(&self) -> &'static [&'static str] {
        &[]
    }

    /// What kind of question it is.
    fn class(&self) -> TestClass {
        TestClass::Spam
    }

    /// Of whose mail it is asked.
    fn audience(&self) -> Audience {
        Audience::Strangers
    }

    /// Every result it may have: what settings may name.
    fn results(&self) -> &'static [&'static str];

    /// What is done about a result unless a setting says otherwise.
    fn reaction(&self, result: &str) -> Reaction;

    /// What it has to say; nothing when there is nothing.
    async fn look(&self, at: &Look<'_>) -> Vec<Said>;
}

/// What kind of question a test asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TestClass {
    /// Whether the mail is wanted: not asked of those who are let through.
    Spam,
    /// Whether the sender is who it says: always asked, since others want to
    /// know, but not held against those who are let through.
    Identity,
    /// Whether the mail does harm: asked of everybody, held against everybody.
    Virus,
    /// Whether the house allows it: as for harm.
    Policy,
    /// Who is let through, and who is not, by the operator's word.
    List,
}

/// Of whose mail a test is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Of mail from servers that neither logged in nor are trusted.
    Strangers,
    /// Of everybody's.
    Everybody,
}

/// What a test may look at: what there is at its stage.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Look<'a> {
    /// Peer, greeting, login, and what earlier tests left.
    pub session: &'a FilterSession,
    /// From [`Stage::Mail`] on.
    pub reverse_path: Option<&'a ReversePath>,
    /// At [`Stage::Rcpt`]: the recipient.
    pub recipient: Option<&'a Address>,
    /// At [`Stage::Data`] and [`Stage::Content`].
    pub envelope: Option<&'a Envelope>,
    /// At [`Stage::Content`].
    pub mail: Option<&'a IncomingMail<'a>>,
}

impl<'a> Look<'a> {
    /// At a session of which nothing else is known yet.
    pub fn at(session: &'a FilterSession) -> Self {
        Self {
            session,
            reverse_path: None,
            recipient: None,
            envelope: None,
            mail: None,
        }
    }

    /// With the sender.
    #[must_use]
    pub fn from(mut self, reverse_path: &'a ReversePath) -> Self {
        self.reverse_path = Some(reverse_path);
        self
    }

    /// With the recipient.
    #[must_use]
    pub fn to(mut self, recipient: &'a Address) -> Self {
        self.recipient = Some(recipient);
        self
    }

    /// With the envelope, and the sender that it names.
    #[must_use]
    pub fn envelope(mut self, envelope: &'a Envelope) -> Self {
        self.reverse_path = Some(&envelope.reverse_path);
        self.envelope = Some(envelope);
        self
    }

    /// With the message, its envelope and its sender.
    #[must_use]
    pub fn mail(mut self, mail: &'a IncomingMail<'a>) -> Self {
        self.mail = Some(mail);
        self.envelope(mail.envelope)
    }
}

/// One thing that a test says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Said {
    /// A word that settings know: `listed`, `fail`.
    pub result: &'static str,
    /// What it was about: an address, a domain, a rule's name.
    pub input: String,
    /// More in words, for the reply and the log; no control characters.
    pub detail: String,
    /// What it scores, where that is not the reaction's to say.
    pub score: Option<f32>,
    /// The one recipient it is about; at [`Stage::Rcpt`] that is known.
    pub recipient: Option<Address>,
}

impl Said {
    /// A result, and what it is about.
    pub fn new(result: &'static str, input: impl Into<String>) -> Self {
        Self {
            result,
            input: input.into(),
            detail: String::new(),
            score: None,
            recipient: None,
        }
    }

    /// With words for the reply and the log.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With a score of its own.
    #[must_use]
    pub fn score(mut self, score: f32) -> Self {
        self.score = Some(score);
        self
    }
    /// About one recipient alone.
    #[must_use]
    pub fn to(mut self, recipient: &Address) -> Self {
        self.recipient = Some(recipient.clone());
        self
    }
}
