//! Rules as text and as Sieve.

pub(crate) mod generated;
mod runs;
mod sieve;
mod text;
