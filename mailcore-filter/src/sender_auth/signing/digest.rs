//! [`Digested`]: a message read once, for all the signatures it is to have.

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::message::{Header, Message, READ_CHUNK};
use mailcore::seams::{SentOctets, StoreError};

use crate::sender_auth::dkim::verify::{BodyHash, TURN};
use crate::sender_auth::dkim::{Canonicalization, DkimProblem};

/// Octets of a header that is signed.
const HEADER: usize = 1 << 20;

/// A message's header and its body's hash, both as they are sent.
#[derive(Debug, Clone)]
pub(in crate::sender_auth) struct Digested {
    /// With its empty line.
    pub(in crate::sender_auth) header: Vec<u8>,
    /// In the relaxed form.
    pub(in crate::sender_auth) body_hash: Vec<u8>,
}

/// Why a message has no digest.
#[derive(Debug)]
pub(in crate::sender_auth) enum DigestError {
    /// Its octets were not to be had.
    Read(StoreError),
    /// It can't be signed whenever it is tried.
    Message(DkimProblem),
}

impl DigestError {
    pub(in crate::sender_auth) fn problem(self) -> DkimProblem {
        match self {
            Self::Read(_) => DkimProblem::Unreadable,
            Self::Message(problem) => problem,
        }
    }
}

impl Digested {
    /// Reads a message to its end, in turns with others.
    pub(in crate::sender_auth) async fn of(
        octets: &mut dyn SentOctets,
    ) -> Result<Self, DigestError> {
        let mut header = Vec::new();
        let mut hash = BodyHash::new(Canonicalization::Relaxed, None);
        let (mut in_body, mut turn) = (false, 0);
        while let Some(piece) = octets.next().await.map_err(DigestError::Read)? {
            if in_body {
                hash.write(&piece);
            } else {
                header.extend_from_slice(&piece);
                if let Some(end) = Header::new(&header).closed_len() {
                    in_body = true;
                    hash.write(header.get(end..).unwrap_or_default());
                    header.truncate(end);
                }
                if header.len() > HEADER {
                    return Err(DigestError::Message(DkimProblem::LargeHeader));
                }
            }
            turn += piece.len() as u64;
            if turn >= TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        let (_, _, body_hash, _) = hash.finish();
        Ok(Self { header, body_hash })
    }
}

/// A message's octets as they are kept.
#[derive(Debug)]
pub(in crate::sender_auth) struct Octets<'a> {
    message: &'a Message,
    at: u64,
}

impl<'a> Octets<'a> {
    pub(in crate::sender_auth) fn of(message: &'a Message) -> Self {
        Self { message, at: 0 }
    }
}

#[async_trait]
impl SentOctets for Octets<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.at >= self.message.len() {
            return Ok(None);
        }
        let octets = self.message.read(self.at..self.at + READ_CHUNK as u64);
        let octets = octets.await?;
        if octets.is_empty() {
            return Err(StoreError::Unavailable("a message ends early"));
        }
        self.at += octets.len() as u64;
        Ok(Some(octets))
    }
}
