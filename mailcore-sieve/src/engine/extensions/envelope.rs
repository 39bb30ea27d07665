//! `envelope` (RFC 5228 section 5.4).

use std::sync::Arc;

use super::{Extension, WITH_ENVELOPE};
use crate::engine::address_part::AddressPart;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Event};

pub(super) static ENVELOPE: Extension = Extension::new("envelope")
    .tests(&[("envelope", compile)])
    .at(WITH_ENVELOPE);

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
}

fn compile(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let address_part = AddressPart::take(cx, &mut args)?;
    let (names, at) = args.fixed_list("parts of the envelope, \"from\" or \"to\"")?;
    let parts = names
        .iter()
        .map(|name| part(cx, name).map_err(|words| CompileError::new(at, words)))
        .collect::<Result<Box<[_]>, _>>()?;
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    cx.holds(size_of_val(&*parts));
    Ok(cx.emit_test(TestEnvelope {
        parts,
        address_part,
        matching,
    }))
}

fn part(cx: &Compile<'_>, name: &str) -> Result<Part, String> {
    match name.to_ascii_lowercase().as_str() {
        "from" => Ok(Part::From),
        "to" if cx.event() == Event::Mail => Err("the recipient is not known at `mail` yet".into()),
        "to" => Ok(Part::To),
        "auth" => Ok(Part::Auth),
        _ => Err(format!(
            "the envelope has no part \"{name}\": write \"from\" or \"to\""
        )),
    }
}

impl Instruction for TestEnvelope {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let envelope = &cx.environment.envelope;
        let separator = cx.environment.separator;
        let values: Vec<Arc<str>> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::From => envelope.from.as_deref(),
                Part::To => envelope.to.as_deref(),
                Part::Auth => envelope.auth.as_deref(),
            })
            // The sender of notices is the empty string whichever part is asked
            // for (RFC 5228 section 5.4).
            .filter_map(|address| match address {
                "" => Some(""),
                _ => self.address_part.of(address, separator),
            })
            .map(Arc::from)
            .collect();
        self.matching.test(cx, &values)
    }
}
