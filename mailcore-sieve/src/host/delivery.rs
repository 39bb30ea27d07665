//! One message and the programs of its recipient, run one after another.

use mailcore::mailbox::Flags;
use mailcore::message::{Message, Summary};
use mailcore::plan::{Action, Form};
use mailcore::seams::{RulesInput, Ruling, StoreError};

use super::answers::{Answers, Asked};
use super::chain::Link;
use super::facts::{Here, environment};
use super::form::{header_of, over, rendered};
use super::ruling::{Missing, Said, Translation, known_flags};
use super::{Place, SieveRules};
use crate::engine::{self, Environment, Event, Mail, Outcome, Program, Run, Step};
use crate::{Extent, MessageMail};

/// What the scripts before left to the one that runs now.
#[derive(Debug)]
struct Deferred {
    /// The form that they gave the message.
    form: Form,
    /// Flags of the implicit keep.
    flags: Flags,
    /// False once a script decided what becomes of the message (RFC 5228 section
    /// 2.10.2).
    keeps: bool,
}

/// What a script led to.
enum Then {
    /// The next one.
    Next,
    /// The end: an administrator's script had the last word, or the account's own
    /// failed.
    End,
}

/// A delivery.
pub(super) struct Delivery<'a> {
    host: &'a SieveRules,
    answers: Answers<'a>,
    environment: Environment,
    header: Vec<u8>,
    said: Said,
    deferred: Deferred,
}

impl<'a> Delivery<'a> {
    /// Runs a chain that is not empty.
    pub(super) async fn run(
        host: &'a SieveRules,
        input: &'a RulesInput<'a>,
        chain: Vec<Link>,
    ) -> Ruling {
        let mut delivery = match Self::begin(host, input).await {
            Ok(delivery) => delivery,
            Err(error) => return Ruling::failed(format!("the message can't be read: {error}")),
        };
        for link in chain {
            if let Then::End = delivery.link(&link).await {
                break;
            }
            // One message of many scripts must not hold up others.
            tokio::task::yield_now().await;
        }
        delivery.finish()
    }

    async fn begin(host: &'a SieveRules, input: &'a RulesInput<'a>) -> Result<Self, StoreError> {
        let limit = host.settings.limits.memory as u64;
        let end = input.summary.header_len().min(limit);
        let header = input.message.read(0..end).await?.to_vec();
        let now = host.now();
        let here = Here {
            hostname: &host.hostname,
            now,
            utc_offset: host.settings.zone.offset(now) / 60,
        };
        let environment = environment(&here, input, &*host.seams.directory, &header).await;
        Ok(Self {
            host,
            answers: Answers {
                host,
                input,
                place: Place::Personal,
                event: Event::Delivery,
                asked: Asked::default(),
            },
            environment,
            header,
            said: Said::default(),
            deferred: Deferred {
                form: Form::Unchanged,
                flags: Flags::NONE,
                keeps: true,
            },
        })
    }

    async fn link(&mut self, link: &Link) -> Then {
        self.answers.place = link.place;
        let outcome = match &link.compiled {
            Ok(program) => self.run_one(program).await,
            Err(error) => Err(format!("{}: {error}", link.name)),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(reason) => return self.failed(link, reason),
        };
        let decided = outcome.stopped || outcome.actions.iter().any(is_last_word);
        self.take(link, outcome).await;
        match link.place.is_decisive() && decided {
            true => Then::End,
            false => Then::Next,
        }
    }

    /// The mail is kept, and whoever can correct the script is told: the account's
    /// owner of his own, the log of the others, which then count for nothing.
    fn failed(&mut self, link: &Link, reason: String) -> Then {
        if link.place != Place::Personal {
            tracing::error!(account = %self.answers.input.account, "a script of the site failed: {reason}");
            return Then::Next;
        }
        self.deferred.keeps |= !self.said.filed;
        self.said.fail(reason);
        Then::End
    }

    /// Runs a program on the message as the scripts before left it.
    async fn run_one(&mut self, program: &std::sync::Arc<Program>) -> Result<Outcome, String> {
        let input = self.answers.input;
        let needs = program.needs();
        let extent = match needs.parts || needs.body || needs.include {
            true => Extent::Whole,
            false => Extent::Header,
        };
        let limits = &self.host.settings.limits;
        let limit = limits.memory as u64;
        let unread = |error: StoreError| format!("the message can't be read: {error}");
        let (message, summary);
        let (message, summary) = match &self.deferred.form {
            Form::Unchanged => (input.message, input.summary),
            form => {
                (message, summary) = shown(form, input, limit).await.map_err(unread)?;
                (&message, &summary)
            }
        };
        let mail = MessageMail::load(message, summary, extent, limit).await;
        let mail: MessageMail<'_> = mail.map_err(unread)?;
        let mail: &dyn Mail = &mail;
        let environment = &self.environment;
        let mut run = Run::new(std::sync::Arc::clone(program), mail, environment, limits);
        let mut answer = None;
        loop {
            match run.step(answer.take()).map_err(|error| error.to_string())? {
                Step::Ask(question) => answer = Some(self.answers.answer(question).await),
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }

    /// Takes over what a script said.
    async fn take(&mut self, link: &Link, outcome: Outcome) {
        let header = header_of(&self.deferred.form, &self.header);
        let base = &self.deferred.form;
        let forms = outcome.forms.iter();
        let forms: Vec<Form> = forms
            .map(|form| over(base, rendered(form, &header)))
            .collect();
        let last = forms.last().cloned();
        let actions = match outcome.actions.split_last() {
            Some((engine::Action::Keep { flags, .. }, before)) if outcome.implicit_keep => {
                self.deferred.flags.add_all(&known_flags(flags));
                before
            }
            _ => {
                self.deferred.keeps = false;
                &outcome.actions
            }
        };
        let mut translation = Translation {
            answers: &mut self.answers,
            said: &mut self.said,
            header: &self.header,
            forms,
            script: &link.name,
        };
        for action in actions {
            translation.action(action).await;
        }
        translation.remember(&outcome.seen);
        if let Some(form) = last {
            self.deferred.form = form;
        }
    }

    fn finish(mut self) -> Ruling {
        if self.deferred.keeps {
            let mailbox = self.answers.input.mailbox.clone();
            let plain = self.deferred.form == Form::Unchanged && self.deferred.flags == Flags::NONE;
            // Nothing said is the implicit keep.
            if !(plain && self.said.ruling.actions.is_empty()) {
                let copy = (mailbox, self.deferred.flags, self.deferred.form);
                self.said.file(copy, Missing::Inbox);
            }
        } else if self.said.ruling.actions.is_empty() {
            self.said.ruling.actions.push(Action::Discard);
        }
        self.said.ruling
    }
}

/// True for what no later script changes where an administrator says it.
fn is_last_word(action: &engine::Action) -> bool {
    matches!(action, engine::Action::Discard | engine::Action::Reject(_))
}

/// The message in the form that scripts gave it, for the next one.
async fn shown(
    form: &Form,
    input: &RulesInput<'_>,
    limit: u64,
) -> Result<(Message, Summary), StoreError> {
    if let Form::OnTop(fields) = form {
        let mut prefix = fields.to_vec();
        prefix.extend_from_slice(input.message.prefix());
        let summary = input.summary.clone().with_prefix(fields.len() as u64);
        return Ok((input.message.with_prefix(prefix), summary));
    }
    let octets = match form {
        Form::Header(header) => {
            let body = input.summary.header_len()..input.message.len().min(limit);
            let body = input
                .message
                .read(body.start..body.end.max(body.start))
                .await?;
            [&header[..], &body[..]].concat()
        }
        Form::Written(octets) => octets.to_vec(),
        _ => input
            .message
            .read(0..input.message.len().min(limit))
            .await?
            .to_vec(),
    };
    let mut summary = Summary::scan(&octets);
    if let Form::Header(header) = form {
        // As large as it is, however little of it is read: a script that writes
        // it anew sees by that what it can't keep.
        let body = input
            .message
            .len()
            .saturating_sub(input.summary.header_len());
        summary.size = body.saturating_add(header.len() as u64);
    }
    Ok((Message::from_bytes(octets), summary))
}
