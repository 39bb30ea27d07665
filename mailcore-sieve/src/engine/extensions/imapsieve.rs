//! `imapsieve` (RFC 6785): scripts that know of changes by IMAP clients. It brings
//! no commands; what it adds are items of the environment.

use super::{Extension, WITH_MAILBOXES};

pub(super) static IMAPSIEVE: Extension = Extension::new("imapsieve").at(WITH_MAILBOXES);

/// The items, which are there and empty where no client changed anything (RFC 6785
/// section 4.2).
pub(super) const ITEMS: [&str; 5] = [
    "imap.user",
    "imap.email",
    "imap.cause",
    "imap.mailbox",
    "imap.changedflags",
];
