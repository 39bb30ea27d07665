//! Messages: their octets, their structure, their header fields and dates.
//!
//! [`Message`] holds octets. [`Scanner`] reads them once as they arrive and
//! gives a [`Summary`], which is stored beside the message and answers nearly
//! all that IMAP asks. [`Header`] looks at a header section, [`date`] reads
//! and writes dates, [`decode`] gives text for people and [`Readable`] the
//! whole of a message as they see it.

mod address_list;
mod content;
mod conversion;
pub mod date;
pub mod decode;
mod header;
mod header_envelope;
mod header_writer;
mod parameters;
mod part;
mod readable;
mod skeleton;
mod summary;
mod summary_codec;
mod surrogate;
mod transfer;
mod writer;

pub use address_list::{HeaderAddress, HeaderMailbox, MAX_ADDRESSES, parse_addresses};
pub use content::{Blob, BlobKey, Content, INLINE_LIMIT, Message, READ_CHUNK};
pub use conversion::{
    CannotConvert, Conversion, Goal, Inspector, MAX_TEXT_LINE, PartInspector, Traits,
};
pub use date::{Date, DateTime};
pub use header::{Field, Fields, Header, unfold};
pub use header_envelope::{HeaderEnvelope, MAX_REFERENCES, message_ids};
pub use header_writer::{HeaderWriter, LINE_LENGTH, MAX_LINE_LENGTH};
pub use parameters::{MAX_PARAMETERS, MAX_VALUE, Parameter};
pub use part::{ContentFields, Disposition, Part, PartKind};
pub use readable::{Attachment, Readable};
pub use skeleton::{Limits, MAX_BOUNDARY, Scanner};
pub use summary::{Section, Summary};
pub use surrogate::Surrogate;
pub use transfer::{TransferDecoder, TransferEncoding};
pub use writer::ContentWriter;
