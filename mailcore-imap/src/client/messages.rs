//! Messages of the mailbox that is open: SEARCH, STORE, COPY, MOVE, EXPUNGE.
//!
//! They are named by UID, which stays what it is while others come and go.

use mailcore::mailbox::{FlagChange, Flags, ModSeq, SystemFlag, UidSet};

use super::command::Command;
use super::commands::Client;
use super::error::ClientError;
use super::name::RemoteName;
use super::news::News;
use super::response::{Code, CopyUid, Data, Found, Status};
use super::search::search_command;
use crate::types::SearchProgram;

/// Ranges of UIDs named by one command: about 7,000 octets, which servers take
/// as a line (RFC 7162 section 4 asks for 8,192).
const RANGES: usize = 300;
/// Octets of a set that goes along with other arguments.
pub(super) const MAX_SET: usize = 6_000;

/// What a search answers: UIDs or sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `UID SEARCH`.
    Uid,
    /// `SEARCH`.
    Number,
}

impl Client {
    /// SEARCH, with the answer as a set where the server can (ESEARCH, RFC
    /// 4731).
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn search(&mut self, by: By, program: &SearchProgram) -> Result<Found, ClientError> {
        let offered = self.capabilities();
        let as_set = offered.has("ESEARCH") || offered.is_rev2();
        let command = search_command(by, program, as_set, self.names());
        let (mut found, mut numbers) = (Found::default(), Vec::new());
        let mine = |news| match news {
            News::Data(Data::Search(part)) => {
                numbers.extend(part.numbers.ranges());
                found.count = part.count.or(found.count);
                found.modseq = part.modseq.max(found.modseq);
                None
            }
            other => Some(other),
        };
        self.run(command, mine).await?;
        found.numbers = UidSet::from_ranges(numbers);
        Ok(found)
    }

    /// UID STORE, without the answers: changes flags. With `unchanged_since`,
    /// messages that changed later are left alone (RFC 7162 section 3.1.3);
    /// returns these.
    ///
    /// # Errors
    /// What the server said when it refuses, or when it has no CONDSTORE and
    /// `unchanged_since` is asked for.
    pub async fn store(
        &mut self,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet, ClientError> {
        if unchanged_since.is_some() && !self.capabilities().has_condstore() {
            return Err(ClientError::NotOffered("CONDSTORE"));
        }
        let condition = unchanged_since.map(|it| format!(" (UNCHANGEDSINCE {it})"));
        let condition = condition.unwrap_or_default();
        let (item, flags) = match change {
            FlagChange::Replace(flags) => ("FLAGS", flags),
            FlagChange::Add(flags) => ("+FLAGS", flags),
            FlagChange::Remove(flags) => ("-FLAGS", flags),
        };
        let flags = flag_list(flags);
        let mut left = UidSet::EMPTY;
        for part in uids.parts(RANGES) {
            let command = Command::new("UID STORE")
                .raw(part)
                .joined(&condition)
                .raw(format_args!("{item}.SILENT {flags}"));
            let status = self.run(command, Some).await?;
            if let Some(Code::Modified(modified)) = status.code {
                left = UidSet::from_ranges(left.ranges().chain(modified.ranges()));
            }
        }
        Ok(left)
    }

    /// UID COPY. What became of which message, where the server tells
    /// (UIDPLUS).
    ///
    /// # Errors
    /// What the server said when it refuses; [`Code::TryCreate`] when the
    /// mailbox is not there.
    pub async fn copy(
        &mut self,
        uids: &UidSet,
        to: &RemoteName,
    ) -> Result<Vec<CopyUid>, ClientError> {
        self.transfer("UID COPY", uids, to).await
    }

    /// UID MOVE (RFC 6851), or COPY, `\Deleted` and UID EXPUNGE. In the second
    /// way a fault in between leaves copies in both mailboxes, and loses none.
    ///
    /// # Errors
    /// What the server said when it refuses; [`ClientError::NotOffered`] when
    /// it has neither MOVE nor UIDPLUS: an EXPUNGE of everything that is marked
    /// would take away what others marked.
    pub async fn move_to(
        &mut self,
        uids: &UidSet,
        to: &RemoteName,
    ) -> Result<Vec<CopyUid>, ClientError> {
        if self.capabilities().has_move() {
            return self.transfer("UID MOVE", uids, to).await;
        }
        if !self.capabilities().has_uidplus() {
            return Err(ClientError::NotOffered("MOVE or UIDPLUS"));
        }
        let copied = self.copy(uids, to).await?;
        self.remove(uids).await?;
        Ok(copied)
    }

    async fn transfer(
        &mut self,
        name: &'static str,
        uids: &UidSet,
        to: &RemoteName,
    ) -> Result<Vec<CopyUid>, ClientError> {
        let mut copied = Vec::new();
        for part in uids.parts(RANGES) {
            let command = Command::new(name).raw(part).mailbox(to, self.names());
            // MOVE tells it before the EXPUNGE responses (RFC 6851 section 4.3).
            // One is all there is to tell: more are not kept.
            let mut told = None;
            let mine = |news| match news {
                News::Status(Status {
                    code: Some(Code::CopyUid(pairs)),
                    ..
                }) => {
                    told.get_or_insert(pairs);
                    None
                }
                other => Some(other),
            };
            let status = self.run(command, mine).await?;
            if let Some(Code::CopyUid(pairs)) = status.code {
                told.get_or_insert(pairs);
            }
            copied.extend(told);
        }
        Ok(copied)
    }

    /// Marks messages as deleted and expunges these and no others.
    ///
    /// # Errors
    /// What the server said when it refuses, or has no UIDPLUS.
    pub async fn remove(&mut self, uids: &UidSet) -> Result<(), ClientError> {
        let deleted: Flags = [SystemFlag::Deleted].into_iter().collect();
        self.store(uids, &FlagChange::Add(deleted), None).await?;
        self.uid_expunge(uids).await
    }

    /// UID EXPUNGE (RFC 4315): of these messages, those marked as deleted go.
    ///
    /// # Errors
    /// When the server does not offer it or refuses.
    pub async fn uid_expunge(&mut self, uids: &UidSet) -> Result<(), ClientError> {
        if !self.capabilities().has_uidplus() {
            return Err(ClientError::NotOffered("UIDPLUS"));
        }
        for part in uids.parts(RANGES) {
            self.run(Command::new("UID EXPUNGE").raw(part), Some)
                .await?;
        }
        Ok(())
    }

    /// EXPUNGE: everything that is marked as deleted goes, whoever marked it.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn expunge(&mut self) -> Result<(), ClientError> {
        self.run(Command::new("EXPUNGE"), Some).await.map(drop)
    }
}

/// A set as the commands that name it.
pub(super) fn in_parts(uids: &UidSet) -> impl Iterator<Item = String> {
    uids.parts(RANGES).map(|part| part.to_string())
}

/// `"(" [flag *(SP flag)] ")"`
pub(super) fn flag_list(flags: &Flags) -> String {
    let system = flags.system().map(|flag| -> &str { flag.as_str() });
    let all: Vec<&str> = system
        .chain(flags.keywords().map(|keyword| keyword.as_str()))
        .collect();
    format!("({})", all.join(" "))
}
