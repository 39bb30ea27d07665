//! Messages: their octets, their structure, their header fields and dates.

mod content;
mod summary;

pub use content::{Blob, BlobKey, Content, INLINE_LIMIT, Message, READ_CHUNK};
pub use summary::Summary;
