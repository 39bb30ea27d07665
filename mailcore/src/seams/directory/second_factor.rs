//! [`SecondFactors`]: codes by time beside the password (TOTP, RFC 6238).

use std::fmt::Debug;

use async_trait::async_trait;

use super::DirectoryError;
use crate::account::{AccountId, Secret};

/// Second factors of accounts. While one is on, the password alone proves
/// nothing to mail protocols, which can't ask for a code: programs log in with
/// app passwords. A login whose protocol is `web` is told of a right password;
/// who asked for it then asks for the code ([`SecondFactors::check_code`])
/// before he believes it.
#[async_trait]
pub trait SecondFactors: Debug + Send + Sync {
    /// What there is.
    async fn second_factor(&self, account: &AccountId) -> Result<SecondFactor, DirectoryError>;

    /// Makes up a secret for the user's device, and codes for the day it is
    /// lost. They are told this once.
    ///
    /// # Errors
    /// [`DirectoryError::Exists`] while one is on: end it first.
    async fn enrol(&self, account: &AccountId, begins: Begins)
    -> Result<Enrolment, DirectoryError>;

    /// Checks a code, of the device or for its loss, and uses it up. It turns
    /// one that waits for its first code on.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`] where there is none.
    async fn check_code(
        &self,
        account: &AccountId,
        code: &Secret,
    ) -> Result<CodeCheck, DirectoryError>;

    /// Ends it: the password is enough again.
    async fn end_second_factor(&self, account: &AccountId) -> Result<(), DirectoryError>;
}

/// The second factor of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecondFactor {
    /// None.
    Off,
    /// One that waits for its first code.
    Pending,
    /// One that is asked for.
    On {
        /// Codes for the loss of the device that were not used yet.
        recovery_codes: usize,
    },
}

/// When a second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begins {
    /// From now on.
    AtOnce,
    /// Once the user has shown a code, and so that the device has the secret.
    WhenConfirmed,
}

/// What a user needs for a second factor.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Enrolment {
    /// The secret in base32, as devices take it by hand.
    pub secret: Secret,
    /// The same as `otpauth://`, which is shown as a QR code.
    pub uri: Secret,
    /// Codes that work once each.
    pub recovery_codes: Vec<Secret>,
}

impl Enrolment {
    /// What a user needs.
    pub fn new(secret: Secret, uri: Secret, recovery_codes: Vec<Secret>) -> Self {
        Self {
            secret,
            uri,
            recovery_codes,
        }
    }
}

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeCheck {
    /// It was right, and is used up.
    Right,
    /// It was wrong, too old, or used before.
    Wrong,
    /// Too many were wrong: none is looked at for some minutes.
    TooMany,
}
