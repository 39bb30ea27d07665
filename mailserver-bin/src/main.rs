//! `mailserver`: a complete mail server made of the mailcore crates.
//!
//! Thin on purpose: configuration, wiring and command line are here, mail is
//! not.

mod acme;
mod cli;
mod config;
mod control;
mod crash;
mod data;
mod dmarc;
mod dns_lists;
mod filters;
mod forwarding;
mod housekeeping;
mod lists;
mod logging;
mod oauth;
mod out;
mod outgoing;
mod outgoing_tls;
mod own_name;
mod password;
mod quarantine;
mod reload;
mod senders;
mod sieve;
mod sieve_events;
mod signing;
mod telling;
mod tls;
mod when;
mod wiring;
mod zone;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Whatever is written here is its owner's alone, databases and their
    // side files included.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    cli::run()
}
