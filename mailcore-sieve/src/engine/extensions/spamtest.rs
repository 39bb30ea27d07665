//! `spamtest`, `spamtestplus` and `virustest` (RFC 5235).

use std::sync::Arc;

use super::Extension;
use crate::engine::CompileError;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};

pub(super) static SPAMTEST: Extension = Extension::new("spamtest").tests(&[("spamtest", spamtest)]);

pub(super) static SPAMTESTPLUS: Extension =
    Extension::new("spamtestplus").tests(&[("spamtest", spamtest)]);

pub(super) static VIRUSTEST: Extension =
    Extension::new("virustest").tests(&[("virustest", virustest)]);

/// What is tested, and in which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Spam from 1 to 10, 0 for not tested.
    Ten,
    /// Spam from 0 to 100.
    Percent,
    /// Viruses from 1 to 5, 0 for not tested.
    Virus,
}

#[derive(Debug)]
struct Tested {
    scale: Scale,
    matching: Matching,
}

fn spamtest(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    compile(cx, test, Scale::Ten)
}

fn virustest(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    compile(cx, test, Scale::Virus)
}

fn compile(cx: &mut Compile<'_>, test: &Test, scale: Scale) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let percent = scale == Scale::Ten && args.flag(cx, ("percent", "spamtestplus"))?.is_some();
    let scale = if percent { Scale::Percent } else { scale };
    let at = args.peek().map_or(test.at, |argument| argument.at);
    let value = args.text(cx, "a value")?;
    let matching = options.with(cx, [value].into(), at)?;
    args.end()?;
    Ok(cx.emit_test(Tested { scale, matching }))
}

impl Instruction for Tested {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let environment = cx.environment;
        let score = |spam: f32| f64::from(spam).clamp(0.0, 1.0);
        let value = match self.scale {
            // Clear of spam is 1: what is left for the rest are 9 steps.
            Scale::Ten => environment
                .spam
                .map(|spam| 1.0 + (score(spam) * 9.0).round()),
            Scale::Percent => environment.spam.map(|spam| (score(spam) * 100.0).round()),
            Scale::Virus => environment.virus.map(|virus| f64::from(virus.min(5))),
        };
        // A test that was not done counts for none (RFC 5235 section 3.1).
        let value = match value {
            None if self.matching.counts() => None,
            value => Some(Arc::from(format!("{:.0}", value.unwrap_or(0.0)))),
        };
        self.matching.test(cx, value.as_slice())
    }
}
