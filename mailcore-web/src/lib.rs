//! HTTP for mailcore: a server session without IO (RFC 9112), a route table,
//! and the few pages that a mail server must show.
//!
//! ```text
//! octets ─► Session (head, body, response) ─► octets
//!               │ Question          ▲ Answer
//!               ▼                   │
//!             server: Routes ─► Page (health, MTA-STS policy, one-time, yours)
//! ```
//!
//! [`Web`] is what a server is built with. A request is whole before a page
//! sees it, and a response is whole before it is sent: both are small, and
//! bounded.
//!
//! ```
//! use mailcore_web::{Response, Status};
//!
//! let response = Response::text(Status::OK, "all is well");
//! assert_eq!(response.status(), Status::OK);
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod body;
mod fields;
pub mod head;
pub mod pages;
pub mod response;
mod routes;
mod server;
pub mod session;

pub use head::{Method, Request};
pub use response::{Response, Status};
pub use routes::{Hosts, Page, Routes};
pub use server::Web;
