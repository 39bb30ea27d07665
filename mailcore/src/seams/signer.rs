//! Whoever signs what leaves.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::StoreError;
use crate::address::ReversePath;
use crate::event::TraceId;
use crate::message::{Goal, Message};
use crate::queue::Origin;

/// Vouches for mail on its way to other hosts: DKIM for what is this server's
/// own, ARC for what it passes on.
///
/// Asked last of all, with the octets as they are sent: a signature of any other
/// form would not hold. A message for many hosts is asked for again and again;
/// a signer remembers what it said. *Cost*: a private key's work, and reading
/// the message once.
#[async_trait]
pub trait Signer: Debug + Send + Sync {
    /// The header lines to send before the message, each with its CRLF; none for
    /// a message that goes as it is.
    ///
    /// # Errors
    /// [`SignError`]: whether to sign, or with what, can't be told now. The
    /// message is tried again later.
    async fn sign(
        &self,
        mail: &LeavingMail<'_>,
        octets: &mut dyn SentOctets,
    ) -> Result<Bytes, SignError>;
}

/// A message about to be sent.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LeavingMail<'a> {
    /// Its track.
    pub trace: TraceId,
    /// Where it came from: what strangers wrote is not signed as one's own.
    pub origin: Origin,
    /// Where notices go.
    pub reverse_path: &'a ReversePath,
    /// The message as it is kept.
    pub message: &'a Message,
    /// What it is converted to on its way; `None` when it is sent as it is kept.
    pub conversion: Option<Goal>,
}

impl<'a> LeavingMail<'a> {
    /// A message that is sent as it is kept, under an empty sender.
    pub fn new(trace: TraceId, origin: Origin, message: &'a Message) -> Self {
        Self {
            trace,
            origin,
            reverse_path: &ReversePath::Null,
            message,
            conversion: None,
        }
    }
}

/// A message's octets as they are sent, from the first to the last.
#[async_trait]
pub trait SentOctets: Send {
    /// The next of them; none after the last.
    ///
    /// # Errors
    /// What the store says.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

/// Why a message can't be signed now.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The keys can't be read.
    #[error("the signing keys can't be read: {0}")]
    Keys(StoreError),
    /// The message can't be read.
    #[error("the message can't be read: {0}")]
    Message(StoreError),
}
