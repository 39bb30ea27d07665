//! [`Compiler`]: what scripts may use, and where they are compiled.

use std::collections::BTreeSet;

use super::{Compile, encoded};
use crate::engine::ast::{Argument, Script, Value};
use crate::engine::extensions::{Extension, TABLE};
use crate::engine::{CompileError, Event, Limits, Program, parse};

/// Compiles scripts: which extensions there are, for which event, within which
/// limits.
#[derive(Debug, Clone)]
pub struct Compiler {
    pub(super) limits: Limits,
    pub(super) event: Event,
    pub(super) without: BTreeSet<String>,
}

impl Compiler {
    /// A compiler for deliveries with every extension, and the default limits.
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            event: Event::Delivery,
            without: BTreeSet::new(),
        }
    }

    /// With these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// For scripts that run at this event: there are the commands and tests that
    /// mean something then.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.event = event;
        self
    }

    /// Without this extension.
    #[must_use]
    pub fn without(mut self, extension: &str) -> Self {
        self.without.insert(extension.to_owned());
        self
    }

    /// The capability strings that scripts may require, for ManageSieve's `SIEVE`
    /// (RFC 5804 section 1.7).
    pub fn extensions(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = TABLE
            .iter()
            .filter(|extension| !extension.name.is_empty() && self.has(extension))
            .map(|extension| extension.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// How often a run may redirect, for ManageSieve's `MAXREDIRECTS`.
    pub fn max_redirects(&self) -> usize {
        self.limits.redirects
    }

    /// Compiles a text. `name` is for errors of its runs.
    pub fn compile(&self, name: &str, text: &[u8]) -> Result<Program, CompileError> {
        self.compile_script(name, &parse(text, &self.limits)?)
    }

    /// Compiles a syntax tree, such as one that no text was for.
    pub fn compile_script(&self, name: &str, script: &Script) -> Result<Program, CompileError> {
        let mut cx = Compile::new(self);
        if self.decodes(script) {
            cx.block(&encoded::decoded(script)?.commands)?;
        } else {
            cx.block(&script.commands)?;
        }
        Ok(cx.finish(name))
    }

    /// Whether the script requires `encoded-character`. No `ihave` can turn that on
    /// (RFC 5463 section 4).
    fn decodes(&self, script: &Script) -> bool {
        let name = "encoded-character";
        let required = |argument: &Argument| match &argument.value {
            Value::Text(text) => text == name,
            Value::List(list) => list.iter().any(|text| text == name),
            _ => false,
        };
        !self.without.contains(name)
            && script
                .commands
                .iter()
                .take_while(|command| command.name == "require")
                .any(|command| command.arguments.iter().any(required))
    }

    /// Whether scripts may require an extension.
    pub(super) fn has(&self, extension: &Extension) -> bool {
        extension.events.contains(&self.event) && !self.without.contains(extension.name)
    }
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new()
    }
}
