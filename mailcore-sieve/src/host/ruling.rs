//! What scripts said, as what a server does: actions on mailboxes that are there,
//! addresses that mail can go to, letters, and what is remembered.

use std::time::Duration;

use mailcore::address::Address;
use mailcore::batch::StateChange;
use mailcore::envelope::{Notify, Ret};
use mailcore::mailbox::{Flags, Keyword, MailboxName, SystemFlag};
use mailcore::message::Header;
use mailcore::plan::{Action, Form, RedirectNotices};
use mailcore::seams::{Letter, LetterCopy, Resolution, Ruling};

use super::answers::{Answers, by_id, by_use};
use super::memory;
use crate::engine::{
    self, DuplicateFrom, Filed, Notify as Notice, Place, Redirect, Reject, RejectKind, Vacation,
};
use crate::letter::{self, Trigger, Written};

/// What scripts said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) ruling: Ruling,
    /// True once a copy is filed somewhere.
    pub(super) filed: bool,
}

impl Said {
    /// What a script could not carry through; the first counts.
    pub(super) fn fail(&mut self, reason: String) {
        self.ruling.failed.get_or_insert(reason);
    }

    /// Files a copy; a second one of the same form to the same mailbox only adds
    /// its flags (RFC 5228 section 2.10.3).
    pub(super) fn file(&mut self, copy: (MailboxName, Flags, Form), missing: Missing) {
        let (mailbox, flags, form) = copy;
        self.filed = true;
        for action in &mut self.ruling.actions {
            if let Action::File {
                mailbox: known,
                flags: set,
                form: as_form,
                create,
            } = action
                && *known == mailbox
                && *as_form == form
            {
                set.add_all(&flags);
                *create |= missing == Missing::Create;
                return;
            }
        }
        self.ruling.actions.push(Action::File {
            mailbox,
            flags,
            create: missing == Missing::Create,
            form,
        });
    }
}

/// What is done where a mailbox is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Create,
    /// The inbox takes the copy.
    Inbox,
}

/// Carries one script's actions over.
pub(super) struct Translation<'a, 'b> {
    pub(super) answers: &'b mut Answers<'a>,
    pub(super) said: &'b mut Said,
    /// The header of the message as it came.
    pub(super) header: &'b [u8],
    /// The forms that the actions name, over the message as it came.
    pub(super) forms: Vec<Form>,
    /// The script, for who is told of errors.
    pub(super) script: &'b str,
}

impl Translation<'_, '_> {
    /// One action.
    pub(super) async fn action(&mut self, action: &engine::Action) {
        match action {
            engine::Action::Keep { flags, form } => {
                let copy = (
                    self.answers.input.mailbox.clone(),
                    known_flags(flags),
                    self.form(*form),
                );
                self.said.file(copy, Missing::Inbox);
            }
            engine::Action::FileInto(filed) => self.file_into(filed).await,
            engine::Action::Redirect(redirect) => self.redirect(redirect).await,
            engine::Action::Reject(reject) => self.reject(reject),
            engine::Action::Vacation(answer) => self.vacation(answer).await,
            engine::Action::Notify(notice) => self.notify(notice).await,
            engine::Action::Snooze(snooze) => {
                let filed = Filed {
                    place: snooze.place.clone(),
                    form: snooze.form,
                };
                self.file_into(&filed).await;
            }
            // Dropped unless something keeps it; and what is for sessions' events
            // alone.
            _ => {}
        }
    }

    /// What a script asked to remember.
    pub(super) fn remember(&mut self, seen: &[engine::Duplicate]) {
        let input = self.answers.input;
        for duplicate in seen {
            let key = memory::of_duplicate(input.account, duplicate);
            let known = self.answers.asked.seen.contains(&key);
            if known && duplicate.from == DuplicateFrom::First {
                continue;
            }
            let kept = Duration::from_secs(duplicate.seconds);
            self.said.ruling.state.push(StateChange::Put {
                key,
                value: Vec::new(),
                expires: Some(self.answers.host.now().after(kept)),
            });
        }
    }

    fn form(&self, index: usize) -> Form {
        self.forms.get(index).cloned().unwrap_or_default()
    }

    async fn file_into(&mut self, filed: &Filed) {
        let form = self.form(filed.form);
        let (mailbox, missing) = self.mailbox(&filed.place).await;
        let copy = (mailbox, known_flags(&filed.place.flags), form);
        self.said.file(copy, missing);
    }

    /// The mailbox that is meant: by its id, by its use, by its name (RFC 9042
    /// section 4.1, RFC 8579 section 4); the inbox where the name is none.
    async fn mailbox(&mut self, place: &Place) -> (MailboxName, Missing) {
        if place.mailbox_id.is_some() || place.special_use.is_some() {
            let all = self.answers.mailboxes().await;
            let id = place.mailbox_id.as_deref().and_then(|id| by_id(&all, id));
            let by_use = || {
                let wanted = place.special_use.as_deref()?;
                by_use(&all, wanted)
            };
            if let Some(found) = id.or_else(by_use) {
                return (found.name.clone(), Missing::Inbox);
            }
        }
        let missing = match place.create {
            true => Missing::Create,
            false => Missing::Inbox,
        };
        match MailboxName::parse(&place.mailbox) {
            Ok(name) => (name, missing),
            Err(error) => {
                self.fail(format!("\"{}\" is no mailbox: {error}", place.mailbox));
                (self.answers.input.mailbox.clone(), Missing::Inbox)
            }
        }
    }

    async fn redirect(&mut self, redirect: &Redirect) {
        let form = self.form(redirect.form);
        let to = match redirect.list {
            true => self.answers.list(&redirect.to).await,
            false => Address::parse(&redirect.to).ok(),
        };
        let Some(to) = to else {
            let reason = format!("mail can't be sent on to \"{}\"", redirect.to);
            self.fail(reason);
            return self.keep(form);
        };
        // Its own copy would come back as a loop.
        if self.is_own(&to).await {
            return self.keep(form);
        }
        if !self.answers.may_write_to(&to).await {
            self.fail(format!("the account may not send mail on to \"{to}\""));
            return self.keep(form);
        }
        let notices = RedirectNotices {
            notify: redirect.notify.as_deref().map(notify),
            ret: redirect.ret.as_deref().and_then(ret),
        };
        let known = self.said.ruling.actions.iter();
        let is_known = |action: &Action| matches!(action, Action::Redirect { to: known, .. } if known.folded() == to.folded());
        if !known.into_iter().any(is_known) {
            self.said
                .ruling
                .actions
                .push(Action::Redirect { to, form, notices });
        }
    }

    /// True when mail to this address comes to this account.
    async fn is_own(&self, to: &Address) -> bool {
        let input = self.answers.input;
        if to.folded() == input.recipient.folded() {
            return true;
        }
        let resolved = self.answers.host.seams.directory.resolve(to).await;
        matches!(resolved, Ok(Resolution::Account(account)) if account == *input.account)
    }

    fn keep(&mut self, form: Form) {
        let copy = (self.answers.input.mailbox.clone(), Flags::NONE, form);
        self.said.file(copy, Missing::Inbox);
    }

    fn reject(&mut self, reject: &Reject) {
        let reason = reject.reason.clone();
        self.said.ruling.actions.push(Action::Reject { reason });
        if reject.kind == RejectKind::Reject {
            let host = self.answers.host;
            let refusal = letter::refusal(&host.letterhead(), &reject.reason, &self.trigger());
            self.said.ruling.instead = refusal.map(into_letter);
        }
    }

    async fn vacation(&mut self, answer: &Vacation) {
        let host = self.answers.host;
        let input = self.answers.input;
        let mut answer = answer.clone();
        self.own_name(&mut answer.from).await;
        let answer = &answer;
        let written = match letter::vacation(&host.letterhead(), answer, input.recipient) {
            Ok(written) => written,
            Err(error) => return self.fail(error.to_string()),
        };
        let mut letter = into_letter(written);
        for to in &letter.recipients {
            if !self.answers.may_write_to(to).await {
                return;
            }
        }
        if let (true, Some(to)) = (answer.seconds > 0, letter.recipients.first()) {
            let key = memory::of_answer(input.account, answer, to);
            // Looked at beforehand, so that most mail costs no write.
            if let Ok(Some(_)) = host.seams.state.read(&key).await {
                return;
            }
            let until = host.now().after(Duration::from_secs(answer.seconds));
            letter = letter.once(key, until);
        }
        self.send(letter, answer.fcc.as_ref()).await;
    }

    async fn notify(&mut self, notice: &Notice) {
        // RFC 5436 section 2.7: what a program sent triggers no notice, or two
        // accounts would notify each other for ever.
        let automatic = Header::new(self.header).first("Auto-Submitted");
        let automatic = automatic.is_some_and(|field| {
            let value = field.value();
            !value.trim_ascii().eq_ignore_ascii_case(b"no")
        });
        if automatic {
            return;
        }
        let head = self.answers.host.letterhead();
        let mut notice = notice.clone();
        if let Some(from) = &mut notice.from {
            self.own_name(from).await;
        }
        notice.from.take_if(|from| from.is_empty());
        let written = match letter::notification(&head, &notice, &self.trigger()) {
            Ok(written) => written,
            Err(error) => return self.fail(error.to_string()),
        };
        for to in &written.recipients {
            if !self.answers.may_write_to(to).await {
                return;
            }
        }
        self.send(into_letter(written), notice.fcc.as_ref()).await;
    }

    /// Empties a `:from` that the account may not write as: its own address
    /// stands in its place.
    async fn own_name(&self, from: &mut String) {
        if let Ok((_, address)) = letter::sender(from)
            && !self.answers.may_write_as(&address).await
        {
            from.clear();
        }
    }

    async fn send(&mut self, letter: Letter, fcc: Option<&Place>) {
        let mut letter = letter;
        if let Some(place) = fcc {
            let (mailbox, missing) = self.mailbox(place).await;
            let mut copy = LetterCopy::new(mailbox);
            copy.flags = known_flags(&place.flags);
            copy.create = missing == Missing::Create;
            letter = letter.copied_to(copy);
        }
        self.said.ruling.letters.push(letter);
    }

    fn trigger(&self) -> Trigger<'_> {
        Trigger {
            header: self.header,
            reverse_path: self.answers.input.reverse_path,
            recipient: self.answers.input.recipient,
        }
    }

    fn fail(&mut self, reason: String) {
        let reason = format!("{}: {reason}", self.script);
        self.said.fail(reason);
    }
}

fn into_letter(written: Written) -> Letter {
    Letter::new(written.reverse_path, written.recipients, written.message)
}

/// Those that a mailbox keeps; others are left out, as IMAP would refuse them.
pub(super) fn known_flags(texts: &[String]) -> Flags {
    let mut flags = Flags::NONE;
    for text in texts {
        if let Some(flag) = SystemFlag::parse(text) {
            flags.insert(flag);
        } else if let Some(keyword) = Keyword::new(text) {
            flags.insert_keyword(keyword);
        }
    }
    flags
}

/// `NEVER`, or `SUCCESS,FAILURE,DELAY`.
fn notify(text: &str) -> Notify {
    let has = |word: &str| {
        let mut words = text.split(',');
        words.any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    Notify {
        success: has("SUCCESS"),
        failure: has("FAILURE"),
        delay: has("DELAY"),
        asked: true,
    }
}

fn ret(text: &str) -> Option<Ret> {
    match text {
        _ if text.eq_ignore_ascii_case("FULL") => Some(Ret::Full),
        _ if text.eq_ignore_ascii_case("HDRS") => Some(Ret::Headers),
        _ => None,
    }
}
