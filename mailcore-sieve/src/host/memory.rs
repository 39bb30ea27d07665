//! The keys under which answers and duplicates are remembered.

use std::fmt::Write as _;

use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::seams::StateKey;

use crate::engine::{Duplicate, Vacation};

/// Answers that were given (RFC 5230 section 4.2).
const VACATION: &str = "sieve-vacation";
/// Messages that were seen (RFC 7352).
const DUPLICATE: &str = "sieve-duplicate";

/// The key of an answer to a sender. A sender's address counts in any case.
pub(super) fn of_answer(account: &AccountId, answer: &Vacation, to: &Address) -> StateKey {
    let to = to.folded().to_string();
    key(VACATION, account, &[&answer.handle, &to])
}

/// The key of a message that was seen.
pub(super) fn of_duplicate(account: &AccountId, seen: &Duplicate) -> StateKey {
    key(DUPLICATE, account, &[&seen.handle, &seen.unique_id])
}

/// Texts of scripts and of messages may be of any length, keys may not.
fn key(namespace: &str, account: &AccountId, texts: &[&str]) -> StateKey {
    let mut key = String::new();
    for text in [account.as_str()].iter().chain(texts) {
        let _ = write!(key, "{:032x}", digest(text));
    }
    StateKey::new(namespace, &key)
}

/// FNV-1a over 128 bits: not a secret, only a name that spreads well.
fn digest(text: &str) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    text.bytes().fold(START, |hash, octet| {
        (hash ^ u128::from(octet)).wrapping_mul(PRIME)
    })
}
