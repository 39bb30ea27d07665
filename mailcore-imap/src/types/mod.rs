//! IMAP's grammar as types (RFC 3501 section 9, RFC 9051 section 9): what a
//! client asked for, checked.
//!
//! Octets are not here: [`crate::codec`] reads and writes these types. Types
//! shared with other protocols (`Uid`, `Flags`, `MailboxName`, ...) are
//! [`mailcore::mailbox`]'s.

pub mod capability;
pub mod extension;
pub mod fetch;
pub mod list;
pub mod partial;
pub mod response_code;
pub mod search;
pub mod section;
pub mod sequence;
pub mod status;
pub mod tag;
pub mod url;

pub use capability::Capability;
pub use extension::{Enabled, Extension};
pub use fetch::{FetchItem, FetchItems};
pub use list::ListPattern;
pub use partial::{PartialEnd, PartialRange};
pub use response_code::{MetadataCode, ResponseCode};
pub use search::{SearchKey, SearchProgram};
pub use section::{PartPath, Partial, Section, SectionText};
pub use sequence::{MessageSet, SeqNum, SeqRange, SequenceSet};
pub use status::StatusItem;
pub use tag::Tag;
pub use url::MessageUrl;
