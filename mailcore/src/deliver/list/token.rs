//! Tokens in the addresses of a list: what one stands for is kept in the state,
//! so that none can be made by others, and each ends by itself.

use std::time::Duration;

use crate::batch::StateChange;
use crate::seams::{Entropy, State, StateKey, StoreError};
use crate::time::Timestamp;

/// Where they are kept.
const NAMESPACE: &str = "list-token";
/// Letters and digits that nobody takes for another, in the case that hosts on
/// the way may make of them.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH: usize = 16;
/// How long notices come to an address (RFC 5321 section 4.5.4.1: mail is tried
/// for 4 to 5 days), and then some.
const BOUNCES_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long new mail of a list leaves with one address.
const BOUNCES_ANEW: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What a token stands for: words with spaces between, the list's address among
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) token: String,
    pub(super) words: Vec<String>,
}

impl Token {
    /// A new one.
    pub(super) fn new<const N: usize>(entropy: &dyn Entropy, words: [String; N]) -> Self {
        let mut octets = [0; LENGTH];
        entropy.fill(&mut octets);
        let letter = |octet: &u8| {
            char::from(
                LETTERS
                    .get(usize::from(octet % 32))
                    .copied()
                    .unwrap_or(b'a'),
            )
        };
        Self {
            token: octets.iter().map(letter).collect(),
            words: words.into(),
        }
    }

    /// Keeps it.
    pub(super) fn put(&self, expires: Timestamp) -> StateChange {
        StateChange::Put {
            key: key(&self.token),
            value: self.words.join(" ").into_bytes(),
            expires: Some(expires),
        }
    }

    /// Ends it.
    pub(super) fn remove(&self) -> StateChange {
        StateChange::Remove {
            key: key(&self.token),
        }
    }

    /// What a token stands for, when it is one.
    pub(super) async fn read(state: &dyn State, token: &str) -> Result<Option<Self>, StoreError> {
        // Longer ones were not made here, and a key has its limit.
        if token.len() != LENGTH {
            return Ok(None);
        }
        let Some(kept) = state.read(&key(token)).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&kept.value).into_owned();
        Ok(Some(Self {
            token: token.to_owned(),
            words: text.split(' ').map(str::to_owned).collect(),
        }))
    }

    /// The word at a place.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// The token that notices about a list's mail come with: one for a week's mail,
/// so that a busy list does not fill the state. Made anew where `changes` say.
pub(super) async fn of_bounces(
    state: &dyn State,
    entropy: &dyn Entropy,
    (list, now): (&str, Timestamp),
) -> Result<(String, Vec<StateChange>), StoreError> {
    let current = StateKey::new("list-bounces-to", list);
    if let Some(kept) = state.read(&current).await? {
        let token = String::from_utf8_lossy(&kept.value).into_owned();
        return Ok((token, Vec::new()));
    }
    let token = Token::new(entropy, ["bounces".to_owned(), list.to_owned()]);
    let changes = vec![
        token.put(now.after(BOUNCES_FOR)),
        StateChange::Put {
            key: current,
            value: token.token.clone().into_bytes(),
            expires: Some(now.after(BOUNCES_ANEW)),
        },
    ];
    Ok((token.token, changes))
}

fn key(token: &str) -> StateKey {
    StateKey::new(NAMESPACE, token)
}
