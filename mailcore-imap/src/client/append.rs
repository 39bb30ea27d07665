//! APPEND: puts a message into a mailbox, streamed from where it is.

use mailcore::mailbox::{Flags, Uid, UidValidity};
use mailcore::message::DateTime;
use tokio::io::AsyncRead;

use super::command::Command;
use super::commands::Client;
use super::error::ClientError;
use super::messages::flag_list;
use super::name::RemoteName;
use super::response::Code;

/// What a message gets besides its octets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AppendOptions {
    /// Its flags.
    pub flags: Flags,
    /// Its internal date; now, if none.
    pub date: Option<DateTime>,
}

impl AppendOptions {
    /// These flags and this date.
    pub fn new(flags: Flags, date: Option<DateTime>) -> Self {
        Self { flags, date }
    }
}

impl Client {
    /// APPEND: `size` octets from `message`, which must have as many. Where the
    /// message went, if the server tells (UIDPLUS).
    ///
    /// Refused before its octets were sent, nothing of it is read. Dropped
    /// before its end, or with a source that has not that many octets, the
    /// session ends and the server keeps nothing.
    ///
    /// # Errors
    /// What the server said when it refuses; [`Code::TryCreate`] when the
    /// mailbox is not there, [`Code::OverQuota`] when it is full.
    pub async fn append(
        &mut self,
        name: &RemoteName,
        options: &AppendOptions,
        size: u64,
        message: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Option<(UidValidity, Uid)>, ClientError> {
        let mut command = Command::new("APPEND").mailbox(name, self.names());
        if options.flags != Flags::NONE {
            command = command.raw(flag_list(&options.flags));
        }
        if let Some(date) = options.date {
            command = command.raw(format_args!("\"{}\"", date.to_imap()));
        }
        let command = command.stream(size);
        let status = self.run_with(command, Some(message), Some).await?;
        Ok(match status.code {
            Some(Code::AppendUid { validity, uids }) => {
                let uid = uids.ranges().next().map(|(first, _)| first);
                uid.map(|uid| (validity, uid))
            }
            _ => None,
        })
    }
}
