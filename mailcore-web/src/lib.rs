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
//! use mailcore::server::Server;
//! use mailcore_web::{Hosts, Page, Request, Response, Status, Web};
//!
//! #[derive(Debug)]
//! struct Orders;
//!
//! #[async_trait::async_trait]
//! impl Page for Orders {
//!     async fn answer(&self, _request: &Request) -> Response {
//!         Response::text(Status::OK, "three pears")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder("mail.example.com")
//!     .listen("127.0.0.1:0", Web::bare().page(Hosts::Own, "/orders", Orders))
//!     .start()
//!     .await?;
//! println!("pages at {:?}", server.address("http"));
//! server.shutdown().await;
//! # Ok(())
//! # }
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
