//! The test kit: a whole server within a test, a clock that tests move,
//! randomness that repeats, DNS made up, faults by plan, and suites that any
//! implementation of a seam can be run against.
//!
//! ```ignore
//! // examples/integration_test.rs, whole:
//! let server = MemoryServer::builder("app.test")
//!     .stores(MemoryStore::with)
//!     .serve(Smtp::mx())
//!     .serve(Imap::new())
//!     .start()
//!     .await?;
//! server.send("app@app.test", "ann@app.test", WELCOME).await?;
//! let wanted = to("ann@app.test").and(subject("welcome"));
//! let mail = server.expect_mail(wanted).await;
//! assert_eq!(mail.text.trim_end(), "Glad to have you.");
//! ```
//!
//! - [`MemoryServer`]: every address has a mailbox, every login is right, mail to
//!   other hosts is captured. [`MemoryServer::scope`] gives each of many tests a
//!   domain of its own.
//! - [`matchers`] say which mail is waited for; [`Expectation`] waits, by the
//!   server's clock; [`CapturedMail`] is what comes, with transcript and verdicts.
//! - [`VirtualClock`], [`SeededEntropy`], [`FixedResolver`],
//!   [`ScriptedRules`]: seams of a test's own for servers that are built in any
//!   other way.
//! - [`faults`]: what goes wrong, by one seed. [`disk`]: a disk that loses power.
//! - [`conformance`] and [`crash`]: for those who write a store.
//!
//! Everything here panics with a message where a test should fail; nothing
//! here belongs in a server.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test kit reports by panicking"
)]

mod clock;
pub mod conformance;
pub mod crash;
mod dice;
pub mod disk;
mod entropy;
pub mod faults;
mod kit;
mod resolver;
mod rules;

pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use kit::*;
pub use resolver::FixedResolver;
pub use rules::ScriptedRules;
