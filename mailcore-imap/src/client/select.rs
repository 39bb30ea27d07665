//! Opening and closing mailboxes: SELECT, EXAMINE, CLOSE, UNSELECT.

use mailcore::mailbox::{Flags, ModSeq, Uid, UidSet, UidValidity};

use super::command::Command;
use super::commands::Client;
use super::error::ClientError;
use super::name::RemoteName;
use super::news::News;
use super::response::{Code, Data, Fetched, PermanentFlags, Status, Vanished};

/// What may be done in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// SELECT: reading and changing.
    #[default]
    ReadWrite,
    /// EXAMINE: reading.
    ReadOnly,
}

/// What is told of changes when a mailbox is opened (RFC 7162).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Changes {
    /// Nothing.
    #[default]
    None,
    /// ModSeqs, where the server has them (CONDSTORE).
    ModSeqs,
    /// What changed and went since, where the server has QRESYNC and the
    /// validity is still the same.
    Since {
        /// The mailbox's validity when it was last looked at.
        validity: UidValidity,
        /// Its greatest ModSeq then.
        modseq: ModSeq,
        /// The UIDs that were known then, if not all.
        known: Option<UidSet>,
    },
}

/// A mailbox that was opened.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Selected {
    /// Messages in it.
    pub exists: u32,
    /// Messages that are `\Recent`.
    pub recent: u32,
    /// Flags in use.
    pub flags: Flags,
    /// Flags that are kept; none told means those in `flags`.
    pub permanent_flags: Option<PermanentFlags>,
    /// Its validity. None where a server keeps no UIDs; then UIDs of earlier
    /// sessions mean nothing.
    pub uid_validity: Option<UidValidity>,
    /// The UID the next message gets.
    pub uid_next: Option<Uid>,
    /// Its greatest ModSeq; none where the server keeps none for it.
    pub highest_modseq: Option<ModSeq>,
    /// Its identity (RFC 8474).
    pub mailbox_id: Option<String>,
    /// What may be done in it.
    pub access: Access,
    /// True when UIDs do not outlive the session (`UIDNOTSTICKY`).
    pub uids_change: bool,
    /// With [`Changes::Since`]: messages that went.
    pub vanished: UidSet,
    /// With [`Changes::Since`]: messages that are new or changed.
    pub changed: Vec<Fetched>,
}

impl Client {
    /// Opens a mailbox; one that was open is closed, and nothing in it
    /// expunged where the server can help it.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn select(
        &mut self,
        name: &RemoteName,
        access: Access,
        changes: &Changes,
    ) -> Result<Selected, ClientError> {
        let command = match access {
            Access::ReadWrite => Command::new("SELECT"),
            Access::ReadOnly => Command::new("EXAMINE"),
        };
        let wanted = self.wanted(changes).await?;
        let mut command = command.mailbox(name, self.names());
        if let Some(wanted) = wanted {
            command = command.raw(wanted);
        }
        // What was told of a mailbox that is left is of no more use.
        self.take_news();
        let mut selected = Selected {
            access,
            ..Selected::default()
        };
        let mut vanished = Vec::new();
        let mine = |news| selected.take(news, &mut vanished);
        let status = self.run(command, mine).await?;
        selected.learn(&status);
        selected.vanished = UidSet::from_ranges(vanished);
        Ok(selected)
    }

    /// The parameters for `changes`, as far as the server knows them.
    async fn wanted(&mut self, changes: &Changes) -> Result<Option<String>, ClientError> {
        let offered = self.capabilities();
        Ok(match changes {
            Changes::None => None,
            _ if !offered.has_condstore() => None,
            Changes::Since {
                validity,
                modseq,
                known,
            } if offered.has("QRESYNC") && self.enable("QRESYNC").await? => {
                let known = known.as_ref().map(|known| format!(" {known}"));
                let known = known.filter(|known| known.len() <= super::messages::MAX_SET);
                let known = known.unwrap_or_default();
                Some(format!("(QRESYNC ({validity} {modseq}{known}))"))
            }
            _ => Some("(CONDSTORE)".to_owned()),
        })
    }

    /// CLOSE: leaves the mailbox and expunges what is marked as deleted.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn close(&mut self) -> Result<(), ClientError> {
        self.run(Command::new("CLOSE"), Some).await.map(drop)
    }

    /// UNSELECT (RFC 3691): leaves the mailbox as it is.
    ///
    /// # Errors
    /// When the server does not offer it or refuses.
    pub async fn unselect(&mut self) -> Result<(), ClientError> {
        if !self.capabilities().is_rev2() {
            self.need("UNSELECT")?;
        }
        self.run(Command::new("UNSELECT"), Some).await.map(drop)
    }
}

impl Selected {
    fn take(&mut self, news: News, vanished: &mut Vec<(Uid, Uid)>) -> Option<News> {
        match news {
            News::Data(Data::Exists(count)) => self.exists = count,
            News::Data(Data::Recent(count)) => self.recent = count,
            News::Data(Data::Flags(flags)) => self.flags = flags,
            News::Data(Data::Fetch(fetched)) => self.changed.push(*fetched),
            News::Data(Data::Vanished {
                uids,
                when: Vanished::Earlier,
            }) => vanished.extend(uids.ranges()),
            News::Status(status) => self.learn(&status),
            other => return Some(other),
        }
        None
    }

    fn learn(&mut self, status: &Status) {
        match &status.code {
            // RFC 7162 section 3.2.11: so far it was about the mailbox before.
            Some(Code::Closed) => {
                let access = self.access;
                *self = Self::default();
                self.access = access;
            }
            Some(Code::UidValidity(validity)) => self.uid_validity = Some(*validity),
            Some(Code::UidNext(uid)) => self.uid_next = Some(*uid),
            Some(Code::HighestModSeq(modseq)) => self.highest_modseq = Some(*modseq),
            Some(Code::NoModSeq) => self.highest_modseq = None,
            Some(Code::PermanentFlags(flags)) => self.permanent_flags = Some(flags.clone()),
            Some(Code::MailboxId(id)) => self.mailbox_id = Some(id.clone()),
            Some(Code::UidNotSticky) => self.uids_change = true,
            Some(Code::ReadOnly) => self.access = Access::ReadOnly,
            Some(Code::ReadWrite) => self.access = Access::ReadWrite,
            _ => {}
        }
    }
}
