//! A compiled script: flat code whose tests set one result that jumps read.

use std::fmt::Debug;
use std::sync::Arc;

use super::CompileError;
use super::run::{Context, Fault, Flow};

/// A compiled script: compact, immutable, shared between runs.
#[derive(Debug)]
pub struct Program {
    pub(crate) name: Arc<str>,
    pub(crate) code: Box<[Op]>,
    /// The line of each instruction.
    pub(crate) lines: Box<[u32]>,
    /// Variables that are its own (RFC 5229), by number.
    pub(crate) variables: usize,
    pub(crate) needs: Needs,
    pub(crate) warnings: Box<[CompileError]>,
    pub(crate) memory: usize,
}

impl Program {
    /// What it is called, in errors.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What of a message its runs may look at.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Octets that it holds, as far as they can be counted.
    pub fn memory_size(&self) -> usize {
        self.memory
    }

    /// What is likely to be an oversight; the script does run.
    pub fn warnings(&self) -> &[CompileError] {
        &self.warnings
    }
}

/// One program is itself alone: two that were compiled from the same text differ.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Program {}

/// What of a message has to be at hand. An included script needs what it needs
/// itself, which is known when it is included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Needs {
    /// The parts' headers ([`Mail::parts`](super::Mail::parts) beyond the first).
    pub parts: bool,
    /// Bodies.
    pub body: bool,
    /// Scripts may be included, which may need anything.
    pub include: bool,
    /// Whose copy it is: where this is not set, runs for all recipients of a
    /// message come to the same.
    pub recipient: bool,
}

impl Needs {
    /// What both need together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            parts: self.parts || other.parts,
            body: self.body || other.body,
            include: self.include || other.include,
            recipient: self.recipient || other.recipient,
        }
    }
}

/// What a command or a test of an extension does when it is run.
pub(crate) trait Instruction: Debug + Send + Sync {
    /// Does it. A test returns [`Flow::Result`].
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault>;
}

/// An instruction. Jumps name the index to go on at.
#[derive(Debug)]
pub(crate) enum Op {
    Do(Box<dyn Instruction>),
    Set(bool),
    Not,
    Jump(u32),
    JumpIf(u32),
    JumpUnless(u32),
    Stop,
    Return,
}
