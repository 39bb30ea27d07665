//! Answers to what scripts ask ([`Question`]).

use std::collections::HashSet;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::mailbox::{EntryName, MailboxEntry, MailboxName, SpecialUse};
use mailcore::seams::{
    AccountRecord, DomainKind, RulesInput, Scope, ScriptKind, Sending, StateKey,
};

use super::memory;
use super::{Place, SieveRules};
use crate::engine::{Answer, Duplicate, Event, Location, Mailto, Question};
use crate::filter::look_up::look_up;

/// What scripts of one message asked for, looked up once.
#[derive(Debug, Default)]
pub(super) struct Asked {
    mailboxes: Option<Arc<[MailboxEntry]>>,
    /// Messages that were seen before.
    pub(super) seen: HashSet<StateKey>,
}

/// Answers the questions of one message's scripts.
#[derive(Debug)]
pub(super) struct Answers<'a> {
    pub(super) host: &'a SieveRules,
    pub(super) input: &'a RulesInput<'a>,
    /// Where the program stands that runs now: by it, what it may ask and do.
    pub(super) place: Place,
    /// What it runs at.
    pub(super) event: Event,
    pub(super) asked: Asked,
}

impl Answers<'_> {
    /// The answer; what can't be told is a no.
    pub(super) async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::MailboxesExist(names) => {
                let all = self.mailboxes().await;
                yes(names.iter().all(|name| find(&all, name).is_some()))
            }
            Question::MailboxIdsExist(ids) => {
                let all = self.mailboxes().await;
                yes(ids.iter().all(|id| by_id(&all, id).is_some()))
            }
            Question::SpecialUsesExist { mailbox, uses } => {
                let all = self.mailboxes().await;
                yes(uses.iter().all(|it| has_use(&all, mailbox.as_deref(), it)))
            }
            Question::Annotation { mailbox, entry } => {
                Answer::Text(self.annotation(mailbox.as_deref(), &entry).await)
            }
            Question::OnList { list, values } => yes(self.on_list(&list, &values).await),
            Question::ListsValid(lists) => {
                let mut all = !lists.is_empty();
                for list in &lists {
                    all = all && self.list(list).await.is_some();
                }
                yes(all)
            }
            Question::Duplicate(duplicate) => yes(self.was_seen(&duplicate).await),
            Question::Include { name, location } => self.include(&name, location).await,
            Question::NotifyMethodValid(method) => yes(Mailto::parse(&method).is_ok()),
            Question::LookUp { kind, name } => match &self.host.seams.resolver {
                Some(dns) => look_up(&**dns, kind, &name).await,
                None => Answer::No,
            },
            // Whether mail may come was decided when it came.
            _ => Answer::No,
        }
    }

    /// The account's mailboxes.
    pub(super) async fn mailboxes(&mut self) -> Arc<[MailboxEntry]> {
        if let Some(known) = &self.asked.mailboxes {
            return Arc::clone(known);
        }
        let listed = self.host.seams.storage.list(self.input.account).await;
        let listed: Arc<[MailboxEntry]> = listed.unwrap_or_default().into();
        self.asked.mailboxes = Some(Arc::clone(&listed));
        listed
    }

    /// A value as the account has it, of one of its mailboxes or of the server.
    async fn annotation(&self, mailbox: Option<&str>, entry: &str) -> Option<String> {
        let metadata = self.host.seams.storage.metadata()?;
        let mailbox = mailbox.map(MailboxName::parse).transpose().ok()?;
        let wanted = EntryName::parse(entry.as_bytes())?;
        let account = self.input.account;
        let kept = metadata.annotations(account, mailbox.as_ref()).await.ok()?;
        let found = kept.into_iter().find(|it| it.entry == wanted)?;
        String::from_utf8(found.value).ok()
    }

    async fn was_seen(&mut self, duplicate: &Duplicate) -> bool {
        let key = memory::of_duplicate(self.input.account, duplicate);
        let known = self.host.seams.state.read(&key).await;
        let seen = matches!(known, Ok(Some(_)));
        if seen {
            self.asked.seen.insert(key);
        }
        seen
    }

    async fn include(&mut self, name: &str, location: Location) -> Answer {
        let text = match location {
            Location::Personal => {
                // The account's own words get no more rights by who includes them.
                self.place = Place::Personal;
                let scope = Scope::Account(self.input.account.clone());
                self.host.stored(&scope, name).await
            }
            Location::Global => self.host.site_script(self.input.account, name).await,
        };
        let program = text.and_then(|text| self.host.compiled(self.event, name, &text).ok());
        program.map_or(Answer::No, Answer::Program)
    }

    /// The distribution list that a list's name means: its address, bare or as a
    /// `mailto:` URI. Who is on a list is for those who are, and for who runs it:
    /// to a script of anybody else there is none of this name. What stands for
    /// everybody may ask of all.
    pub(super) async fn list(&self, name: &str) -> Option<Address> {
        let address = match name.split_at_checked("mailto:".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest,
            _ => name,
        };
        let address = Address::parse(address).ok()?;
        let lists = self.host.seams.directory.lists()?;
        let found = lists.list(&address).await.ok()??;
        if self.place != Place::Personal {
            return Some(found.address);
        }
        let account = self.account().await?;
        for own in [&account.address, self.input.recipient] {
            let is_member = lists.is_member(&found.address, own).await;
            if found.is_moderator(own) || matches!(is_member, Ok(true)) {
                return Some(found.address);
            }
        }
        None
    }

    /// Whether mail of this program may go to an address: not where the account's
    /// own would leave the server that it may not leave.
    pub(super) async fn may_write_to(&self, to: &Address) -> bool {
        if self.place != Place::Personal {
            return true;
        }
        match self.account().await {
            Some(account) if account.options.sending == Sending::LocalOnly => {
                let domain = self.host.seams.directory.domain(to.domain()).await;
                matches!(domain, Ok(Some(found)) if !matches!(found.kind, DomainKind::Relay { .. }))
            }
            found => found.is_some(),
        }
    }

    /// Whether this program may write in the name of `from`: the account's own one
    /// as the account itself may (RFC 5230 section 4.3, RFC 5435 section 3.3).
    pub(super) async fn may_write_as(&self, from: &Address) -> bool {
        if self.place != Place::Personal {
            return true;
        }
        let directory = &self.host.seams.directory;
        let may = directory.may_send_as(self.input.account, from).await;
        matches!(may, Ok(true))
    }

    async fn account(&self) -> Option<AccountRecord> {
        let directory = &self.host.seams.directory;
        directory.account(self.input.account).await.ok().flatten()
    }

    async fn on_list(&self, list: &str, values: &[String]) -> bool {
        let Some(list) = self.list(list).await else {
            return false;
        };
        let Some(lists) = self.host.seams.directory.lists() else {
            return false;
        };
        for value in values {
            if let Ok(address) = Address::parse(value)
                && let Ok(true) = lists.is_member(&list, &address).await
            {
                return true;
            }
        }
        false
    }
}

impl SieveRules {
    /// The text of a script that the directory keeps.
    pub(super) async fn stored(&self, scope: &Scope, name: &str) -> Option<Arc<str>> {
        let scripts = self.seams.directory.scripts()?;
        scripts.script(scope, ScriptKind::Sieve, name).await.ok()
    }

    /// The text of a script for everybody: the operator's, the domain's, the
    /// directory's.
    async fn site_script(&self, account: &AccountId, name: &str) -> Option<Arc<str>> {
        if let Some(text) = self.settings.site.include.get(name) {
            return Some(Arc::clone(text));
        }
        let account = self.seams.directory.account(account).await.ok()??;
        let domain = Scope::Domain(account.address.domain().clone());
        match self.stored(&domain, name).await {
            Some(text) => Some(text),
            None => self.stored(&Scope::Global, name).await,
        }
    }
}

fn yes(is: bool) -> Answer {
    match is {
        true => Answer::Yes,
        false => Answer::No,
    }
}

/// The mailbox of a name; mail can be filed to none that is only a level above
/// others.
pub(super) fn find<'a>(all: &'a [MailboxEntry], name: &str) -> Option<&'a MailboxEntry> {
    let name = MailboxName::parse(name).ok()?;
    all.iter().find(|it| it.name == name && it.id.is_some())
}

/// The mailbox of an id, as IMAP shows it (RFC 8474).
pub(super) fn by_id<'a>(all: &'a [MailboxEntry], id: &str) -> Option<&'a MailboxEntry> {
    all.iter()
        .find(|it| it.id.is_some_and(|it| it.to_string() == id))
}

/// The mailbox of a use.
pub(super) fn by_use<'a>(all: &'a [MailboxEntry], text: &str) -> Option<&'a MailboxEntry> {
    let wanted = SpecialUse::parse(text)?;
    all.iter()
        .find(|it| it.special_use == Some(wanted) && it.id.is_some())
}

fn has_use(all: &[MailboxEntry], mailbox: Option<&str>, text: &str) -> bool {
    match mailbox {
        None => by_use(all, text).is_some(),
        Some(name) => {
            let wanted = SpecialUse::parse(text);
            find(all, name).is_some_and(|it| wanted.is_some() && it.special_use == wanted)
        }
    }
}
