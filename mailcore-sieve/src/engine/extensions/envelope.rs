//! `envelope` (RFC 5228 section 5.4) and `envelope-dsn` (RFC 6009 section 3).

use std::sync::Arc;

use super::{Extension, WITH_ENVELOPE};
use crate::engine::address_part::AddressPart;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Envelope, Event, Position};

pub(super) static ENVELOPE: Extension = Extension::new("envelope")
    .tests(&[("envelope", compile)])
    .at(WITH_ENVELOPE);

pub(super) static ENVELOPE_DSN: Extension = Extension::new("envelope-dsn").at(WITH_ENVELOPE);

#[derive(Debug)]
struct TestEnvelope {
    parts: Box<[Part]>,
    address_part: AddressPart,
    matching: Matching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    From,
    To,
    /// The login, as some peers have it.
    Auth,
    Notify,
    OriginalRecipient,
    Ret,
    EnvelopeId,
}

fn compile(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let address_part = AddressPart::take(cx, &mut args)?;
    let (names, at) = args.fixed_list("parts of the envelope, \"from\" or \"to\"")?;
    let parts = names
        .iter()
        .map(|name| part(cx, name, at))
        .collect::<Result<Box<[_]>, _>>()?;
    let no_address = |part: &Part| matches!(part, Part::Notify | Part::Ret | Part::EnvelopeId);
    if address_part != AddressPart::All && parts.iter().any(no_address) {
        let words =
            "\"notify\", \"ret\" and \"envid\" are no addresses: leave out the part of the address";
        return Err(CompileError::new(at, words));
    }
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    let is_recipient =
        |part: &Part| matches!(part, Part::To | Part::Notify | Part::OriginalRecipient);
    cx.needs.recipient |= parts.iter().any(is_recipient);
    cx.holds(size_of_val(&*parts));
    Ok(cx.emit_test(TestEnvelope {
        parts,
        address_part,
        matching,
    }))
}

fn part(cx: &Compile<'_>, name: &str, at: Position) -> Result<Part, CompileError> {
    let lower = name.to_ascii_lowercase();
    let part = match lower.as_str() {
        "from" => Part::From,
        "to" => Part::To,
        "auth" => Part::Auth,
        "notify" => Part::Notify,
        "orcpt" => Part::OriginalRecipient,
        "ret" => Part::Ret,
        "envid" => Part::EnvelopeId,
        _ => {
            let words = format!(
                "the envelope has no part \"{}\": write \"from\" or \"to\"",
                name.escape_debug()
            );
            return Err(CompileError::new(at, words));
        }
    };
    let of_recipient = matches!(part, Part::To | Part::Notify | Part::OriginalRecipient);
    if of_recipient && cx.event() == Event::Mail {
        return Err(CompileError::new(
            at,
            "the recipient is not known at `mail` yet",
        ));
    }
    if !matches!(part, Part::From | Part::To | Part::Auth) {
        cx.demand("envelope-dsn", name, at)?;
    }
    Ok(part)
}

impl Instruction for TestEnvelope {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let envelope = &cx.environment.envelope;
        let separator = cx.environment.separator;
        let mut values: Vec<Arc<str>> = Vec::new();
        for part in &self.parts {
            match part {
                // Each of its values is one (RFC 6009 section 3).
                Part::Notify => {
                    let notify = envelope.notify.as_deref().unwrap_or_default();
                    values.extend(
                        notify
                            .split(',')
                            .filter(|value| !value.is_empty())
                            .map(Arc::from),
                    );
                }
                part => values.extend(
                    part.of(envelope)
                        .and_then(|text| self.address(*part, text, separator))
                        .map(Arc::from),
                ),
            }
        }
        self.matching.test(cx, &values)
    }
}

impl TestEnvelope {
    fn address<'t>(&self, part: Part, text: &'t str, separator: char) -> Option<&'t str> {
        match self.address_part {
            // The sender of notices is the empty string whichever part is asked for
            // (RFC 5228 section 5.4).
            AddressPart::All => Some(text),
            _ if text.is_empty() => Some(text),
            other => {
                let address = match part {
                    Part::OriginalRecipient => {
                        text.split_once(';').map_or(text, |(_, address)| address)
                    }
                    _ => text,
                };
                other.of(address, separator)
            }
        }
    }
}

impl Part {
    fn of(self, envelope: &Envelope) -> Option<&str> {
        match self {
            Self::From => envelope.from.as_deref(),
            Self::To => envelope.to.as_deref(),
            Self::Auth => envelope.auth.as_deref(),
            Self::Notify => envelope.notify.as_deref(),
            Self::OriginalRecipient => envelope.orcpt.as_deref(),
            Self::Ret => envelope.ret.as_deref(),
            Self::EnvelopeId => envelope.envid.as_deref(),
        }
    }
}
