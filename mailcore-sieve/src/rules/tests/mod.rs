//! Rules as text and as Sieve.

pub(crate) mod generated;
mod sieve;
mod text;
