//! Tests of the built program from outside: by command line, by port, by
//! signal.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod commands;
mod directory;
mod events;
mod log;
mod queue;
mod reload;
mod routing;
mod rules;
mod schedule;
mod secrets;
mod server;
mod support;
mod suppression;
mod tls;
