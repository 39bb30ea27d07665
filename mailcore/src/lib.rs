//! A mail server as a library: an application builds the one it wants, in its
//! own process, out of parts it can replace.
//!
//! This crate is mail without wire format and without disk: the values, the
//! seams (traits) through which a server meets storage, accounts, DNS and time,
//! the way in for mail, the queue, listeners, and the builder that puts them
//! together. `mailcore-smtp`, `mailcore-imap`, `mailcore-pop3` and `mailcore-web`
//! speak to peers; `mailcore-store` keeps mail; `mailcore-filter` judges it. None
//! of them depends on another: a host that wants one thing compiles that and this
//! crate. Nothing here installs a logger, a signal handler or a crypto provider,
//! spawns a runtime or keeps a global, so that two servers live in one process.
//!
//! # The whole of it
//!
//! ```text
//!                        your application
//!                               │ Server::builder(hostname) … seams … services … start()
//!                               ▼
//!  socket ─► net ─► Service: a sans-IO machine (SMTP, IMAP, POP3, HTTP, yours)
//!                      │ mail coming in
//!                      ▼
//!            intake: connect ► sender ► recipients ► content    Filter, Directory, Router
//!                      │ Envelope + Message + Plan, Rules
//!                      ▼
//!                    Batch ─► Commit, one durable write ─► 250
//!                      │
//!        ┌─────────────┼──────────────────┐
//!     Storage        Spool             Outbox
//!        │             │                  │
//!   IMAP, POP3     queue ─► route ─►   events ─► your stream, Journal, web hooks
//!                    ▲   DeliveryAgent: mailbox, other hosts, your closure
//!                    └ settle = Batch ┘
//! ```
//!
//! Data moves by value and one way. What was answered with 250 is on stable
//! storage, or your closure has returned `Ok` for it.
//!
//! # A server
//!
//! Mail for one address goes to a closure. Here it comes by
//! [`submit`](server::RunningServer::submit); a program that listens adds
//! `.listen("0.0.0.0:25", mailcore_smtp::Smtp::mx())`.
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
//! # What do you want to do?
//!
//! Each is one file in the repository's `examples` folder, to be read and run
//! (`cargo run -p examples --example receive_into_app`). `docs/embedding.md` goes
//! the same way at length.
//!
//! | task | begin with | example |
//! |---|---|---|
//! | take mail into a program | [`Builder::deliver_to`](server::Builder::deliver_to) | `receive_into_app`, `axum_inbox` |
//! | answer it, in its thread | [`RunningServer::send`](server::RunningServer::send) | `support_tickets` |
//! | send mail and hear what became of it | [`RunningServer::send`](server::RunningServer::send), [`submit`](server::RunningServer::submit) | `notify_from_app` |
//! | hand everything to a smart host | [`route`] | `relay` |
//! | test a program that sends mail | `testing::MemoryServer` | `integration_test` |
//! | collect mail from other servers | `mailcore_imap::client` | `collect_mail` |
//! | run a server for people | [`Builder::stores`](server::Builder::stores), [`accounts`](server::Builder::accounts) | `full_server` |
//! | decide what comes in | [`Filter`](seams::Filter) | `custom_filter` |
//! | use the accounts you have | [`Authenticator`](seams::Authenticator), [`Directory`](seams::Directory) | `custom_authenticator` |
//! | show your own data as mail | [`Storage`](seams::Storage) | `custom_storage` |
//!
//! # What can be replaced
//!
//! Every seam is a small trait in [`seams`], held as `Arc<dyn …>`.
//!
//! | seam | knows | builder's method | without it |
//! |---|---|---|---|
//! | [`Storage`](seams::Storage), [`Commit`](seams::Commit), [`Spool`](seams::Spool), [`State`](seams::State), [`Outbox`](seams::Outbox) | mailboxes, the durable write, the queue, small values, events | [`stores`](server::Builder::stores) | closures alone receive; no queue, no events |
//! | [`Directory`](seams::Directory) | which addresses there are, and whose | [`directory`](server::Builder::directory), [`accounts`](server::Builder::accounts) | only closures' addresses |
//! | [`Authenticator`](seams::Authenticator) | who may log in | [`authenticator`](server::Builder::authenticator), [`accounts`](server::Builder::accounts) | nobody logs in |
//! | [`Router`](seams::Router) | where an address leads | [`router`](server::Builder::router) | the directory and its rules |
//! | [`DeliveryAgent`](seams::DeliveryAgent) | how to deliver there | [`outgoing`](server::Builder::outgoing), [`agent`](server::Builder::agent) | mailboxes and closures alone |
//! | [`Resolver`](seams::Resolver) | DNS | [`resolver`](server::Builder::resolver) | the system's name servers, with `dns` |
//! | [`Dialer`](seams::Dialer) | outgoing connections | [`dialer`](server::Builder::dialer) | [`TcpDialer`](seams::TcpDialer) |
//! | [`Filter`](seams::Filter) | what may come in | [`filter`](server::Builder::filter) | everything for addresses that there are |
//! | [`Rules`](seams::Rules) | what recipients want done with it | [`rules`](server::Builder::rules) | it goes to INBOX |
//! | [`RecipientCheck`](seams::RecipientCheck) | whether another host knows a recipient | [`recipient_check`](server::Builder::recipient_check) | nobody is asked |
//! | [`Journal`](seams::Journal) | what happened, for people to ask | [`journal`](server::Builder::journal) | the outbox alone |
//! | [`DirectoryWrite`](seams::DirectoryWrite) | how to close an account | [`account_closer`](server::Builder::account_closer) | abuse closes none |
//! | `Certificates` | which certificate for which name | `tls`, `with_tls` | listeners in clear |
//! | [`Clock`](seams::Clock) | time | [`clock`](server::Builder::clock) | [`SystemClock`](seams::SystemClock) |
//! | [`Entropy`](seams::Entropy) | chance | [`entropy`](server::Builder::entropy) | [`OsEntropy`](seams::OsEntropy) |
//! | [`Service`](net::Service), [`Machine`](wire::Machine) | a protocol | [`listen`](server::Builder::listen), `listen_tls`, [`serve`](server::Builder::serve) | no door |
//!
//! A service that can't do without a seam says so at the start, in a
//! [`StartError`](server::StartError) that names the method to call.
//!
//! # Where what is
//!
//! | you look for | modules |
//! |---|---|
//! | values of mail | [`address`], [`envelope`], [`message`], [`status`], [`plan`], [`transcript`], [`time`] |
//! | values of keeping it | [`account`], [`mailbox`], [`batch`], [`pack`], [`files`] |
//! | traits | [`seams`] |
//! | the path of mail | [`intake`], [`queue`], [`route`], [`deliver`] |
//! | what happened | [`event`] |
//! | protocols | [`wire`], [`net`], [`sasl`] |
//! | who may do what, and how much | [`access`], [`abuse`], [`limits`], `oauth` |
//! | the server, and work at set times | [`server`], [`schedule`] |
//! | tests | `testing` |
//!
//! # Features
//!
//! All are off by default. The cost is what comes to the 64 packages that this
//! crate has without any.
//!
//! | feature | brings | packages more |
//! |---|---|---|
//! | `sasl` | SCRAM, CRAM-MD5, NTLM, APOP: logins that show no password | 13 |
//! | `tls` | listeners and connections over rustls; bring your own crypto provider | 12 |
//! | `x509` | what a certificate says of itself; within it `tls` | 33 |
//! | `dns` | a [`Resolver`](seams::Resolver) over hickory | 38 |
//! | `dnssec` | it validates, which DANE needs; within it `dns`, and aws-lc, which is built from C | 49 |
//! | `http` | small files by HTTPS, web hooks; within it `tls` | 25 |
//! | `oauth` | logins by access tokens; within it `http` | 28 |
//! | `acme` | certificates from an authority; within it `http` and `x509`, and aws-lc | 61 |
//! | `testing` | the test kit: a server within a test, virtual time, faults, suites for seams | 0 |

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
pub mod quarantine;
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
