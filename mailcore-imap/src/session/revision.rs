//! [`Revision`]: what IMAP4rev1 and IMAP4rev2 do differently (RFC 9051
//! Appendix E). No other place asks which of the two is spoken.
//!
//! Both are announced, so IMAP4rev1 is spoken until the client enables the
//! other (RFC 9051 Appendix A). What only IMAP4rev1 has (LSUB, CHECK, `RFC822`,
//! STATUS RECENT, SEARCH NEW) stays available: Appendix A lets a server answer
//! what was asked for by name, and refusing it would help nobody.

use crate::codec::TextForm;
use mailcore::seams::Abilities;

use crate::types::search::SearchReturn;
use crate::types::{Enabled, Extension};

/// The protocol's revision that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision {
    /// RFC 3501.
    Rev1,
    /// RFC 9051.
    Rev2,
}

impl Revision {
    /// What is spoken after these were enabled.
    pub(crate) fn of(enabled: Enabled) -> Self {
        if enabled.has(Extension::Imap4Rev2) {
            Self::Rev2
        } else {
            Self::Rev1
        }
    }

    /// True when `\Recent` and RECENT are told (Appendix E, item 12).
    pub(crate) fn tells_recent(self) -> bool {
        self == Self::Rev1
    }

    /// True when SELECT tells UNSEEN (Appendix E, item 11).
    pub(crate) fn tells_unseen(self) -> bool {
        self == Self::Rev1
    }

    /// True when SELECT says that it closed the mailbox selected before
    /// (Appendix E, item 9). With a store that keeps ModSeqs it does in either
    /// revision, whatever was enabled (RFC 7162 section 3.2.11).
    pub(crate) fn tells_closed(self, abilities: Abilities) -> bool {
        self == Self::Rev2 || abilities.mod_seq
    }

    /// How texts beyond ASCII are told and read (Appendix E, item 16). UTF-8 between
    /// quotes would break a client that did not ask for it (Appendix A).
    pub(crate) fn texts(self) -> TextForm {
        match self {
            Self::Rev1 => TextForm::Ascii,
            Self::Rev2 => TextForm::Utf8,
        }
    }

    /// What a SEARCH that says nothing of it returns; `None` for the older
    /// response (Appendix E, item 4).
    pub(crate) fn search_returns(self) -> Option<SearchReturn> {
        (self == Self::Rev2).then_some(SearchReturn::ALL)
    }

    /// True when LIST calls what is not there `\NonExistent` unasked; before
    /// RFC 5258 it was only `\Noselect`.
    pub(crate) fn knows_nonexistent(self) -> bool {
        self == Self::Rev2
    }

    /// True when a name that became another is told with OLDNAME (section
    /// 6.3.9.7).
    pub(crate) fn tells_oldname(self) -> bool {
        self == Self::Rev2
    }

    /// True when a mailbox that goes away is told by CLOSED (section 3, the
    /// state diagram): IMAP4rev1 has no way but BYE.
    pub(crate) fn knows_closed(self) -> bool {
        self == Self::Rev2
    }

    /// True when SELECT lists the mailbox (Appendix E, item 10).
    pub(crate) fn lists_selected(self) -> bool {
        self == Self::Rev2
    }
}
