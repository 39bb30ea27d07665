//! Signing what leaves: the keys of domains, and who signs with which.
//!
//! [`KeyRing`] keeps private keys, encrypted, in the server's
//! [`State`](mailcore::seams::State), each at a stage of its life ([`KeyStage`]).
//! [`DomainSigner`] is the [`Signer`](mailcore::seams::Signer) that uses them:
//! mail of this house gets a signature of DKIM for the domain of its author, mail
//! of others that goes on a seal of ARC. [`rotate`] makes the next key when one
//! has become old.

mod cache;
mod digest;
mod entry;
mod keyring;
mod policy;
mod published;
mod rotation;
mod signer;

pub use entry::{KeyEntry, KeyStage};
pub use keyring::{KeyRing, KeyRingError, KeySeal, NewKey, SealError};
pub use published::{Published, key_published, zone_text};
pub use rotation::{RETIRED_FOR, RotationStep, rotate};
pub use signer::{DomainSigner, SIGNING_SETTING};

pub(in crate::sender_auth) use digest::{Digested, Octets};

#[cfg(test)]
mod tests;
