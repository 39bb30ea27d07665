//! The pages of a mail server itself.

mod challenge;
mod health;
mod mta_sts;
mod one_time;

pub use challenge::Challenges;
pub use health::Health;
pub use mta_sts::{MtaStsMode, MtaStsPolicy};
pub use one_time::{OneTimePage, Redeem, Token, Tokens, Wording};
