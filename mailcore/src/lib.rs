//! Building blocks of a mail server to be linked into a program: types, the
//! seams through which a server meets storage, DNS and time, the way in for
//! mail, the queue, listeners, and the builder that puts them together.
//!
//! Neither wire format nor disk is here. `mailcore-smtp`, `mailcore-imap` and
//! `mailcore-pop3` speak to peers; `mailcore-store` keeps mail; `mailcore-filter`
//! judges it. None of them depends on another, and a host that wants one thing
//! compiles that and this crate.
//!
//! ```text
//!  socket ─► net ─► Service (sans-IO machine) ─► intake ─► Batch ─► Commit ─► 250
//!                                                            │
//!                 Spool ─► queue ─► route ─► DeliveryAgent ◄─┘
//!                            ▲ settle = Batch │
//! ```
//!
//! A server that hands mail for one address to a closure, reached without a
//! port (here by a service of the host's own, where a program would listen with
//! `mailcore_smtp::server::Smtp`):
//!
//! ```
//! use mailcore::envelope::Envelope;
//! use mailcore::address::ReversePath;
//! use mailcore::server::Server;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let server = Server::builder("mx.example.com")
//!     .deliver_to("orders@example.com", |mail| async move {
//!         println!("{} wrote {:?}", mail.reverse_path, mail.subject());
//!         Ok(())
//!     })
//!     .start()
//!     .await?;
//! let to = "orders@example.com".parse()?;
//! let sent = server.submit(Envelope::new(ReversePath::Null, [to]), "Subject: 3 pears\r\n\r\n").await?;
//! assert!(sent.outcome().await?.iter().all(|recipient| recipient.success));
//! server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Features, all off by default: `tls` (listeners with rustls; bring your own
//! crypto provider), `dns` (a [`Resolver`](seams::Resolver) over hickory),
//! `dnssec` (it validates), `http` (fetching small files by HTTPS), `oauth`
//! (logins by access tokens),
//! `testing` (the test kit).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod abuse;
pub mod access;
pub mod account;
pub mod address;
pub mod batch;
pub mod deliver;
pub mod envelope;
pub mod event;
pub mod files;
pub mod intake;
pub mod limits;
pub mod mailbox;
pub mod message;
pub mod net;
#[cfg(feature = "oauth")]
pub mod oauth;
pub mod pack;
pub mod plan;
pub mod queue;
pub mod route;
pub mod sasl;
pub mod schedule;
pub mod seams;
pub mod server;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod transcript;
pub mod wire;
