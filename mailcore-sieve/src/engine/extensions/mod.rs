//! Every command, test and extension there is.
//!
//! An extension is a file here and a line in [`TABLE`]; `copy.rs` shows how one is
//! written.

mod base;
mod body;
mod comparators;
mod copy;
mod date;
mod duplicate;
mod editheader;
mod enclose;
mod encoded_character;
mod enotify;
mod envelope;
mod environment;
mod extlists;
mod extracttext;
mod fcc;
mod fileinto;
mod foreverypart;
mod ihave;
mod imap4flags;
mod imapsieve;
mod include;
mod index;
mod mailbox;
mod mailbox_id;
mod metadata;
mod mime;
mod redirect_dsn;
#[cfg(feature = "regex")]
mod regex;
mod reject;
mod relational;
mod replace;
mod snooze;
mod spamtest;
mod special_use;
mod subaddress;
mod vacation;
mod variables;
mod vendor;

use std::collections::BTreeSet;

pub(crate) use index::Index;
pub(crate) use mime::Aspect;

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
    &body::BODY,
    &comparators::ASCII_CASEMAP,
    &comparators::ASCII_NUMERIC,
    &comparators::OCTET,
    &comparators::UNICODE_CASEMAP,
    &copy::COPY,
    &date::DATE,
    &duplicate::DUPLICATE,
    &editheader::EDITHEADER,
    &enclose::ENCLOSE,
    &encoded_character::ENCODED_CHARACTER,
    &enotify::ENOTIFY,
    &envelope::ENVELOPE,
    &envelope::ENVELOPE_DSN,
    &environment::ENVIRONMENT,
    &extlists::EXTLISTS,
    &extracttext::EXTRACTTEXT,
    &fcc::FCC,
    &fileinto::FILEINTO,
    &foreverypart::FOREVERYPART,
    &ihave::IHAVE,
    &imap4flags::IMAP4FLAGS,
    &imapsieve::IMAPSIEVE,
    &include::INCLUDE,
    &index::INDEX,
    &mailbox::MAILBOX,
    &mailbox_id::MAILBOX_ID,
    &metadata::MAILBOX_METADATA,
    &metadata::SERVER_METADATA,
    &mime::MIME,
    &redirect_dsn::REDIRECT_DSN,
    #[cfg(feature = "regex")]
    &regex::REGEX,
    &reject::EREJECT,
    &reject::REJECT,
    &relational::RELATIONAL,
    &replace::REPLACE,
    &snooze::SNOOZE,
    &spamtest::SPAMTEST,
    &spamtest::SPAMTESTPLUS,
    &spamtest::VIRUSTEST,
    &special_use::SPECIAL_USE,
    &subaddress::SUBADDRESS,
    &vacation::SECONDS,
    &vacation::VACATION,
    &variables::VARIABLES,
    &vendor::GREYLIST,
    &vendor::IP,
    &vendor::LOOKUP,
    &vendor::SESSION,
];

/// Events at which there is a message.
pub(crate) const WITH_MESSAGE: &[Event] = &[Event::Data, Event::Delivery, Event::Imap];

/// The events of a session, its message included.
pub(crate) const IN_SESSION: &[Event] = &[
    Event::Connect,
    Event::Helo,
    Event::Auth,
    Event::Mail,
    Event::Rcpt,
    Event::Data,
];

/// Events at which mail can still be refused.
pub(crate) const BEFORE_STORE: &[Event] = &[
    Event::Connect,
    Event::Helo,
    Event::Auth,
    Event::Mail,
    Event::Rcpt,
    Event::Data,
    Event::Delivery,
];

/// Events at which there is an owner with mailboxes.
pub(crate) const WITH_MAILBOXES: &[Event] = &[Event::Delivery, Event::Imap];

/// The event at which a recipient's copy is filed.
pub(crate) const AT_DELIVERY: &[Event] = &[Event::Delivery];

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
