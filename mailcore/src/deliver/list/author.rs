//! What the domains of authors ask others to do.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::address::Domain;

/// Tells whether mail of a domain's authors is refused elsewhere when others send
/// it on.
#[async_trait]
pub trait AuthorPolicies: Debug + Send + Sync {
    /// True when the domain asks for mail with its address in From, and no proof
    /// of its own, to be refused or set apart (RFC 7489 section 6.3), and when that
    /// can't be told now: a message in the list's name arrives in any case.
    async fn is_strict(&self, author: &Domain) -> bool;
}
