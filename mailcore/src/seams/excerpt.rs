//! [`Excerpt`]: the octets of a message that are read with those of others.

use std::ops::Range;

use bytes::Bytes;

use super::StoreError;
use crate::message::{Header, Message};

/// What [`Mailbox::excerpts`](super::Mailbox::excerpts) gives of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Excerpt {
    /// These octets, cut to the message's end.
    Range(Range<u64>),
    /// Its header with the empty line that ends it; none of a header with more
    /// octets than `limit`.
    Header {
        /// Octets.
        limit: u64,
    },
}

impl Excerpt {
    /// Reads it. `None` of a header that is longer than its limit.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn read(&self, message: &Message) -> Result<Option<Bytes>, StoreError> {
        let range = match self {
            Self::Range(range) => range.clone(),
            Self::Header { limit } => 0..*limit,
        };
        let octets = message.read(range).await?;
        Ok(self.cut(octets, message.len()))
    }

    /// As [`Excerpt::read`], of a message held in memory.
    pub fn of(&self, message: &Bytes) -> Option<Bytes> {
        let (start, end) = match self {
            Self::Range(range) => (range.start, range.end),
            Self::Header { limit } => (0, *limit),
        };
        let clamp =
            |at| usize::try_from(at).map_or(message.len(), |at: usize| at.min(message.len()));
        let (start, end) = (clamp(start), clamp(end));
        self.cut(message.slice(start..end.max(start)), message.len() as u64)
    }

    /// What of a message's first octets it is, the message having `length`;
    /// `None` when they do not tell. A range is taken as read already.
    fn cut(&self, octets: Bytes, length: u64) -> Option<Bytes> {
        let Self::Header { .. } = self else {
            return Some(octets);
        };
        let all = octets.len() as u64 == length;
        let end = Header::new(&octets).closed_len();
        let end = end.or(all.then_some(octets.len()))?;
        Some(octets.slice(..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn header(octets: &'static str, limit: u64) -> Option<Bytes> {
        let message = Message::from_bytes(octets);
        Excerpt::Header { limit }.read(&message).await.unwrap()
    }

    #[tokio::test]
    async fn a_header_is_whole_or_not_told() {
        let message = "A: 1\r\n b\r\n\r\nbody\r\n\r\n";
        assert_eq!(header(message, 12).await.unwrap(), "A: 1\r\n b\r\n\r\n");
        assert_eq!(header(message, 9_000).await.unwrap().len(), 12);
        assert_eq!(header(message, 11).await, None);
        assert_eq!(header("A: 1\r\n", 7).await.unwrap(), "A: 1\r\n");
        assert_eq!(header("A: 1\r\n", 5).await, None);
        assert_eq!(header("", 0).await.unwrap(), "");
    }
}
