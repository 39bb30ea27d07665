//! Every command, test and extension there is.
//!
//! An extension is a file here and a line in [`TABLE`]; `copy.rs` shows how one is
//! written.

mod base;
mod comparators;
mod copy;
mod encoded_character;
mod envelope;
mod environment;
mod fileinto;
mod ihave;
mod include;
mod redirect_dsn;
mod relational;
mod subaddress;
mod variables;

use std::collections::BTreeSet;

use super::ast::{Command, Test};
use super::compile::{Compile, Known};
use super::{CompileError, Event};

/// What compiles a command.
pub(crate) type CompileCommand = fn(&mut Compile<'_>, &Command) -> Result<(), CompileError>;

/// What compiles a test.
pub(crate) type CompileTest = fn(&mut Compile<'_>, &Test) -> Result<Known, CompileError>;

/// All of them; what needs no `require` has no name.
pub(crate) static TABLE: &[&Extension] = &[
    &base::CONTROL,
    &base::MESSAGE,
    &comparators::OCTET,
    &comparators::ASCII_CASEMAP,
    &comparators::ASCII_NUMERIC,
    &comparators::UNICODE_CASEMAP,
    &copy::COPY,
    &encoded_character::ENCODED_CHARACTER,
    &envelope::ENVELOPE,
    &envelope::ENVELOPE_DSN,
    &environment::ENVIRONMENT,
    &fileinto::FILEINTO,
    &ihave::IHAVE,
    &include::INCLUDE,
    &redirect_dsn::REDIRECT_DSN,
    &relational::RELATIONAL,
    &subaddress::SUBADDRESS,
    &variables::VARIABLES,
];

/// Events at which there is a message.
pub(crate) const WITH_MESSAGE: &[Event] = &[Event::Data, Event::Delivery, Event::Imap];

/// Events at which there is an envelope, as far as it has come.
pub(crate) const WITH_ENVELOPE: &[Event] =
    &[Event::Mail, Event::Rcpt, Event::Data, Event::Delivery];

/// Events at which there are addresses.
pub(crate) const WITH_ENVELOPE_OR_MESSAGE: &[Event] = &[
    Event::Mail,
    Event::Rcpt,
    Event::Data,
    Event::Delivery,
    Event::Imap,
];

/// An extension, or a part of the language.
#[derive(Debug)]
pub(crate) struct Extension {
    /// Its capability string; empty for what is always there.
    pub(crate) name: &'static str,
    /// The commands it brings.
    pub(crate) commands: &'static [(&'static str, CompileCommand)],
    /// The tests it brings.
    pub(crate) tests: &'static [(&'static str, CompileTest)],
    /// Extensions that are required with it.
    pub(crate) implies: &'static [&'static str],
    /// The events at which scripts may require it.
    pub(crate) events: &'static [Event],
}

impl Extension {
    /// An extension that is there at every event with a message.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            commands: &[],
            tests: &[],
            implies: &[],
            events: WITH_MESSAGE,
        }
    }

    /// With these commands.
    pub(crate) const fn commands(
        self,
        commands: &'static [(&'static str, CompileCommand)],
    ) -> Self {
        Self { commands, ..self }
    }

    /// With these tests.
    pub(crate) const fn tests(self, tests: &'static [(&'static str, CompileTest)]) -> Self {
        Self { tests, ..self }
    }

    /// With these extensions required as well.
    pub(crate) const fn implies(self, implies: &'static [&'static str]) -> Self {
        Self { implies, ..self }
    }

    /// At these events alone.
    pub(crate) const fn at(self, events: &'static [Event]) -> Self {
        Self { events, ..self }
    }
}

/// The names of all commands but those of extensions left out.
pub(crate) fn commands(without: &BTreeSet<String>) -> Vec<&'static str> {
    let named = present(without).flat_map(|entry| entry.commands.iter().map(|(name, _)| *name));
    ["if", "elsif", "else"].into_iter().chain(named).collect()
}

/// The names of all tests but those of extensions left out.
pub(crate) fn tests(without: &BTreeSet<String>) -> Vec<&'static str> {
    present(without)
        .flat_map(|entry| entry.tests.iter().map(|(name, _)| *name))
        .collect()
}

fn present(without: &BTreeSet<String>) -> impl Iterator<Item = &'static Extension> {
    TABLE
        .iter()
        .copied()
        .filter(|entry| !without.contains(entry.name))
}
