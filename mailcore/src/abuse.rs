//! Abuse: one [`Limiter`] for all that strangers, and users whose passwords were
//! stolen, may do too often.
//!
//! ```text
//!  listener ── may this peer connect? ──┐
//!  logins  ─── may it guess? ───────────┤         ┌─ counts, in memory, bounded
//!  intake  ─── may it send? unknown! ───┼─ Limiter┼─ bans ──► State, written behind
//!  driver  ─── how fast? ───────────────┘         └─ events
//! ```
//!
//! Every protocol asks the same limiter, so that what one address does over
//! SMTP, IMAP and POP3 is one sum. An IPv4 address counts as itself, IPv6 by the
//! /64 that a host has for itself. Questions are answered from memory; nobody
//! waits for a disk to connect.
//!
//! Within one session the protocols keep limits of their own (errors, failed
//! logins, unknown recipients); connections at a time are
//! [`Gate`](crate::net::Gate)'s.

mod ban;
mod bans;
mod config;
mod guesses;
mod keep;
mod limiter;
mod living;
mod logins;
mod operate;
mod rules;
mod screening;
mod sending;
mod table;
mod tarpit;
mod window;

pub use ban::{Ban, BanError, BanScope};
pub use config::{
    AbuseConfig, Consequence, Counted, Keyed, LoginScreening, Rule, RuleError, Screening,
};
pub use keep::Keeper;
pub use limiter::{Limiter, LimiterSeams, Welcome};
pub(crate) use living::LivingSession;
pub use logins::ScreenedLogins;
pub use rules::Sender;
pub use sending::{Excess, Load};
pub use tarpit::Tarpit;
pub use window::Rate;
