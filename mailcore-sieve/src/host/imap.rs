//! Scripts that run when a client changes a mailbox (RFC 6785): the account's own
//! one that the mailbox's annotation names.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::address::ReversePath;
use mailcore::mailbox::{FlagChange, Flags, MailboxName, MessageInfo, SystemFlag, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::plan::Action;
use mailcore::seams::{
    AccountRecord, Letter, MailboxChange, MailboxRules, RulesInput, Scope, StoreError,
};

use super::answers::{Answers, Asked, find};
use super::facts::{Here, environment};
use super::ruling::{Said, Translation, known_flags};
use super::{Place, SieveRules};
use crate::engine::{self, Environment, Event, Form, Outcome, Program, Run, Step};
use crate::{Extent, MessageMail};

/// Why a script came to nothing, for the log.
type Failed = String;

/// A message whose mailbox has a script.
struct Changed<'a> {
    host: &'a SieveRules,
    change: &'a MailboxChange<'a>,
    account: AccountRecord,
    row: MessageInfo,
    message: Message,
    summary: Arc<Summary>,
}

#[async_trait]
impl MailboxRules for SieveRules {
    fn script_server(&self) -> Option<Arc<str>> {
        self.settings.script_server.clone()
    }

    async fn concerns(&self, account: &AccountId, mailbox: &MailboxName) -> bool {
        self.script_of(account, mailbox).await.is_some()
    }

    async fn changed(&self, change: &MailboxChange<'_>) -> Vec<Letter> {
        let said = match self.run_script(change).await {
            Ok(said) => said,
            Err(reason) => Said {
                ruling: mailcore::seams::Ruling::failed(reason),
                filed: false,
            },
        };
        if let Some(reason) = &said.ruling.failed {
            tracing::warn!(account = %change.account, mailbox = %change.name, "the script of a mailbox failed: {reason}");
        }
        said.ruling.letters
    }

    fn forget(&self, account: &AccountId) {
        self.tied.forget(account);
    }
}

impl SieveRules {
    /// The script that a mailbox's annotation names, the server's where the mailbox
    /// has none. An empty name stands for no script (RFC 6785 section 2.3.1).
    async fn script_of(&self, account: &AccountId, mailbox: &MailboxName) -> Option<Arc<str>> {
        let metadata = self.seams.storage.metadata()?;
        let name = self.tied.of(metadata, account, mailbox).await;
        match name {
            Ok(name) => name.filter(|name| !name.is_empty()),
            Err(StoreError::NoSuchMailbox) => None,
            Err(error) => {
                tracing::warn!(%account, %mailbox, %error, "can't tell whether a mailbox has a script");
                None
            }
        }
    }

    async fn run_script(&self, change: &MailboxChange<'_>) -> Result<Said, Failed> {
        let Some(name) = self.script_of(change.account, change.name).await else {
            return Ok(Said::default());
        };
        // A name that no script has runs none (RFC 6785 section 2.3.1).
        let scope = Scope::Account(change.account.clone());
        let Some(text) = self.stored(&scope, &name).await else {
            return Ok(Said::default());
        };
        let program = self.compiled(Event::Imap, &name, &text);
        let program = program.map_err(|error| format!("{name}: {error}"))?;
        match Changed::read(self, change).await.map_err(unread)? {
            Some(changed) => changed.run(&name, program).await,
            None => Ok(Said::default()),
        }
    }
}

impl<'a> Changed<'a> {
    /// None where the message or its owner is gone.
    async fn read(
        host: &'a SieveRules,
        change: &'a MailboxChange<'a>,
    ) -> Result<Option<Self>, StoreError> {
        let directory = &host.seams.directory;
        let account = directory.account(change.account).await;
        let account = account.map_err(|error| StoreError::io("reading an account", error))?;
        let uids = UidSet::range(change.uid, change.uid);
        let row = change.mailbox.messages(&uids).await?.pop();
        let summary = change.mailbox.summaries(&uids).await?.pop();
        let (Some(account), Some(row), Some((_, summary))) = (account, row, summary) else {
            return Ok(None);
        };
        Ok(Some(Self {
            host,
            change,
            account,
            row,
            message: change.mailbox.message(change.uid).await?,
            summary,
        }))
    }

    async fn run(&self, name: &str, program: Arc<Program>) -> Result<Said, Failed> {
        let limit = self.host.settings.limits.memory as u64;
        let end = self.summary.header_len().min(limit);
        let header = self.message.read(0..end).await.map_err(unread)?;
        // Nothing is known of how it came: what a script sends on is its owner's
        // (RFC 6785 section 3.4).
        let reverse_path = ReversePath::Address(self.account.address.clone());
        let input = RulesInput::new(
            self.change.account,
            &reverse_path,
            &self.account.address,
            &self.message,
            &self.summary,
        );
        let input = input.into_mailbox(self.change.name);
        let mut answers = Answers {
            host: self.host,
            input: &input,
            place: Place::Personal,
            event: Event::Imap,
            asked: Asked::default(),
        };
        let environment = self.environment(&input, &header).await;
        let outcome = self.outcome(program, &environment, &mut answers).await?;
        let (said, keep) = translate(&outcome, (&mut answers, &header), (self, name)).await?;
        self.carry_out(said, keep).await
    }

    async fn environment(&self, input: &RulesInput<'_>, header: &[u8]) -> Environment {
        let now = self.host.now();
        let here = Here {
            hostname: &self.host.hostname,
            now,
            utc_offset: self.host.settings.zone.offset(now) / 60,
        };
        let directory = &*self.host.seams.directory;
        let mut environment = environment(&here, input, directory, header).await;
        environment.event = Event::Imap;
        environment.envelope = engine::Envelope::default();
        environment.flags = texts(&self.row.flags);
        let items = [
            ("imap.user", self.change.login.to_owned()),
            ("imap.email", self.account.address.to_string()),
            ("imap.cause", self.change.cause.as_str().to_owned()),
            ("imap.mailbox", self.change.name.as_str().to_owned()),
            ("imap.changedflags", texts(self.change.flags).join(" ")),
        ];
        let items = items.into_iter().map(|(item, value)| (item.into(), value));
        environment.items.extend(items);
        environment
    }

    async fn outcome(
        &self,
        program: Arc<Program>,
        environment: &Environment,
        answers: &mut Answers<'_>,
    ) -> Result<Outcome, Failed> {
        let needs = program.needs();
        let extent = match needs.parts || needs.body || needs.include {
            true => Extent::Whole,
            false => Extent::Header,
        };
        let limits = &self.host.settings.limits;
        let mail = MessageMail::load(&self.message, &self.summary, extent, limits.memory as u64);
        let mail = mail.await.map_err(unread)?;
        let mut run = Run::new(program, &mail, environment, limits);
        let mut answer = None;
        loop {
            match run.step(answer.take()).map_err(|error| error.to_string())? {
                Step::Ask(question) => answer = Some(answers.answer(question).await),
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }

    /// Copies first, so that a copy that can't be made leaves the message as it is.
    async fn carry_out(&self, mut said: Said, keep: Option<Flags>) -> Result<Said, Failed> {
        let mut keep = keep;
        for action in std::mem::take(&mut said.ruling.actions) {
            match action {
                Action::File {
                    mailbox,
                    flags,
                    create,
                    ..
                } => {
                    let copied = self.copy((&mailbox, flags), create).await;
                    if !copied.map_err(|error| format!("filing to \"{mailbox}\": {error}"))? {
                        keep.get_or_insert_with(|| self.row.flags.clone());
                    }
                }
                Action::Redirect { to, .. } => {
                    let octets = self.octets().await?;
                    let from = ReversePath::Address(self.account.address.clone());
                    said.ruling.letters.push(Letter::new(from, [to], octets));
                }
                _ => {}
            }
        }
        self.flag(keep).await.map_err(unread)?;
        Ok(said)
    }

    /// The whole message: what a script sends on is in memory.
    async fn octets(&self) -> Result<bytes::Bytes, Failed> {
        let len = self.message.len();
        if len > self.host.settings.limits.memory as u64 {
            return Err("the message is too large to be sent on: raise `memory`".into());
        }
        self.message.read(0..len).await.map_err(unread)
    }

    /// Files a copy; false where that would be the message's own mailbox, which
    /// has it, or one that is not there.
    async fn copy(
        &self,
        (name, flags): (&MailboxName, Flags),
        create: bool,
    ) -> Result<bool, StoreError> {
        if name == self.change.name {
            return Ok(false);
        }
        let storage = &self.host.seams.storage;
        let known = storage.list(self.change.account).await?;
        if find(&known, name.as_str()).is_none() {
            if !create {
                return Ok(false);
            }
            storage.create(self.change.account, name, None).await?;
        }
        let uids = UidSet::range(self.change.uid, self.change.uid);
        let quota = self.account.quota_limit();
        let copied = self.change.mailbox.copy(&uids, name, quota).await?;
        if flags != self.row.flags {
            let target = storage.open(self.change.account, name).await?;
            let new: UidSet = copied.pairs.iter().map(|(_, new)| *new).collect();
            let flags = FlagChange::Replace(flags);
            target.store(&new, &flags, None).await?;
        }
        Ok(true)
    }

    /// The flags that keep gives the message; without it the message is one to be
    /// removed (RFC 6785 section 2.2.4). Those that others set meanwhile stay.
    async fn flag(&self, keep: Option<Flags>) -> Result<(), StoreError> {
        let (mut more, mut less) = (Flags::NONE, Flags::NONE);
        match keep {
            None => more.insert(SystemFlag::Deleted),
            Some(flags) => {
                more.add_all(&flags);
                more.remove_all(&self.row.flags);
                less.add_all(&self.row.flags);
                less.remove_all(&flags);
            }
        }
        let uids = UidSet::range(self.change.uid, self.change.uid);
        let changes = [
            FlagChange::Add(more.clone()),
            FlagChange::Remove(less.clone()),
        ];
        for (change, flags) in changes.iter().zip([&more, &less]) {
            if *flags != Flags::NONE {
                self.change.mailbox.store(&uids, change, None).await?;
            }
        }
        Ok(())
    }
}

/// What a script said, and the flags of its keep; none where nothing keeps the
/// message.
async fn translate(
    outcome: &Outcome,
    (answers, header): (&mut Answers<'_>, &[u8]),
    (changed, name): (&Changed<'_>, &str),
) -> Result<(Said, Option<Flags>), Failed> {
    let (mut said, mut keep) = (Said::default(), None);
    let forms = vec![mailcore::plan::Form::Unchanged; outcome.forms.len()];
    let is_changed = |form: &Form| !matches!(form, Form::Unchanged);
    if outcome.forms.iter().any(is_changed) {
        return Err(format!("{name}: mail in a mailbox can't be written anew"));
    }
    let own = changed.change.name.as_str();
    let mut translation = Translation {
        answers,
        said: &mut said,
        header,
        forms,
        script: name,
    };
    for action in &outcome.actions {
        match action {
            engine::Action::Keep { flags, .. } => keep = Some(known_flags(flags)),
            engine::Action::FileInto(filed) if filed.place.mailbox == own => {
                keep = Some(known_flags(&filed.place.flags));
            }
            engine::Action::FileInto(_)
            | engine::Action::Redirect(_)
            | engine::Action::Notify(_) => translation.action(action).await,
            engine::Action::Discard => {}
            // RFC 6785 section 3.11; a script that is included may have them.
            _ => {
                return Err(format!(
                    "{name}: only mail that comes can be refused or answered"
                ));
            }
        }
    }
    Ok((said, keep))
}

fn texts(flags: &Flags) -> Vec<String> {
    let system = flags.system().map(|flag| flag.as_str().to_owned());
    let keywords = flags.keywords().map(|it| it.as_str().to_owned());
    system.chain(keywords).collect()
}

fn unread(error: StoreError) -> Failed {
    format!("the message can't be read or changed: {error}")
}
