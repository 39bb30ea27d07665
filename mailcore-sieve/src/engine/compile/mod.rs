//! The compiler: a syntax tree becomes a [`Program`].
//!
//! Everything that can be known before a run is refused here: words that are not
//! there, extensions that are not required, arguments that don't fit.

mod args;
mod compiler;
mod encoded;
mod flow;
mod nearest;
mod text;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

pub(crate) use self::args::Args;
pub use self::compiler::Compiler;
pub(crate) use self::nearest::hint;
pub(crate) use self::text::{Text, Texts, Variable, values};
use super::ast::{Command, Test};
use super::extensions::{self, Extension, TABLE};
use super::program::{Instruction, Needs, Op};
use super::run::{Context, Fault, Flow};
use super::{CompileError, Event, Limits, Position, Program};

/// Regular expressions of one script.
const MAX_PATTERNS: usize = 200;

/// What is known of a test before any run: `ihave` (RFC 5463) alone is known, and
/// what follows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    True,
    False,
    /// The run will tell.
    Depends,
}

/// A place in the code that is not known yet; jumps name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(u32);

/// A script that is being compiled.
#[derive(Debug)]
pub(crate) struct Compile<'a> {
    compiler: &'a Compiler,
    required: BTreeSet<&'static str>,
    strings: HashSet<Arc<str>>,
    code: Vec<Op>,
    lines: Vec<u32>,
    line: u32,
    labels: Vec<u32>,
    locals: BTreeMap<String, u16>,
    globals: BTreeMap<String, Arc<str>>,
    /// Names that mean a global variable without saying so.
    declared: BTreeSet<String>,
    /// Names that `set` has set.
    assigned: BTreeSet<String>,
    /// True when the last error was that something is not there, which scripts with
    /// `ihave` learn when they get to it.
    missing: Cell<bool>,
    /// True once a command that is no `require` was seen.
    begun: bool,
    /// What runs will look at.
    pub(crate) needs: Needs,
    /// Loops around this place (RFC 5703), each by its name and its end.
    pub(crate) loops: Vec<(Option<String>, Label)>,
    /// Regular expressions so far.
    patterns: usize,
    warnings: Vec<CompileError>,
    memory: usize,
}

impl<'a> Compile<'a> {
    fn new(compiler: &'a Compiler) -> Self {
        Self {
            compiler,
            required: BTreeSet::new(),
            strings: HashSet::new(),
            code: Vec::new(),
            lines: Vec::new(),
            line: 0,
            labels: Vec::new(),
            locals: BTreeMap::new(),
            globals: BTreeMap::new(),
            declared: BTreeSet::new(),
            assigned: BTreeSet::new(),
            missing: Cell::new(false),
            begun: false,
            needs: Needs::default(),
            loops: Vec::new(),
            patterns: 0,
            warnings: Vec::new(),
            memory: 0,
        }
    }

    fn finish(mut self, name: &str) -> Program {
        for op in &mut self.code {
            if let Op::Jump(to) | Op::JumpIf(to) | Op::JumpUnless(to) = op {
                let label = usize::try_from(*to).unwrap_or(usize::MAX);
                *to = self.labels.get(label).copied().unwrap_or(u32::MAX);
            }
        }
        let code = self.code.into_boxed_slice();
        let strings: usize = self
            .strings
            .iter()
            .map(|text| text.len() + 2 * size_of::<usize>())
            .sum();
        Program {
            name: name.into(),
            memory: size_of::<Program>()
                + code.len() * (size_of::<Op>() + size_of::<u32>())
                + strings
                + self.memory,
            code,
            lines: self.lines.into_boxed_slice(),
            variables: self.locals.len(),
            needs: self.needs,
            warnings: self.warnings.into_boxed_slice(),
        }
    }

    /// The limits of the script.
    pub(crate) fn limits(&self) -> &'a Limits {
        &self.compiler.limits
    }

    /// The event that the script is for.
    pub(crate) fn event(&self) -> Event {
        self.compiler.event
    }

    /// Whether the script requires an extension.
    pub(crate) fn requires(&self, extension: &str) -> bool {
        self.required.contains(extension)
    }

    /// An error unless the script requires the extension that has `word`.
    pub(crate) fn demand(
        &self,
        extension: &str,
        word: &str,
        at: Position,
    ) -> Result<(), CompileError> {
        if self.requires(extension) {
            return Ok(());
        }
        self.missing.set(true);
        let words = if self.available(extension).is_some() {
            format!("`{word}` needs `require \"{extension}\";` at the script's beginning")
        } else {
            format!("`{word}` belongs to the extension `{extension}`, which there is not here")
        };
        Err(CompileError::new(at, words))
    }

    /// Says that the error that follows is of something that is not there.
    pub(crate) fn is_missing(&self) {
        self.missing.set(true);
    }

    /// The extension of this name, where scripts may require it here.
    pub(crate) fn available(&self, extension: &str) -> Option<&'static Extension> {
        TABLE
            .iter()
            .copied()
            .find(|entry| entry.name == extension && !extension.is_empty())
            .filter(|entry| self.compiler.has(entry))
    }

    /// The names of all extensions that scripts may require here.
    pub(crate) fn all_available(&self) -> Vec<&'static str> {
        self.compiler.extensions()
    }

    /// Takes an extension and those that it brings along for required.
    pub(crate) fn require(&mut self, extension: &'static Extension) {
        if self.required.insert(extension.name) {
            for name in extension.implies {
                if let Some(implied) = self.available(name) {
                    self.require(implied);
                }
            }
        }
    }

    /// One copy of each string.
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.strings.insert(Arc::clone(&text));
        text
    }

    /// Counts octets that an instruction holds on the heap, beside its texts.
    pub(crate) fn holds(&mut self, octets: usize) {
        self.memory += octets;
    }

    /// Counts regular expressions: each takes up to some milliseconds to compile.
    pub(crate) fn count_patterns(&mut self, more: usize, at: Position) -> Result<(), CompileError> {
        self.patterns = self.patterns.saturating_add(more);
        if self.patterns > MAX_PATTERNS {
            let words = format!(
                "the script has more than {MAX_PATTERNS} regular expressions: use `:matches`, or fewer"
            );
            return Err(CompileError::new(at, words));
        }
        Ok(())
    }

    /// Says what is likely to be an oversight.
    pub(crate) fn warn(&mut self, at: Position, words: impl Into<String>) {
        // A warning for each of a hundred thousand commands helps nobody.
        if self.warnings.len() < 32 {
            self.warnings.push(CompileError::new(at, words));
        }
    }

    /// Adds an instruction.
    pub(crate) fn emit<I: Instruction + 'static>(&mut self, instruction: I) {
        self.memory += size_of::<I>() + 2 * size_of::<usize>();
        self.op(Op::Do(Box::new(instruction)));
    }

    /// Adds an instruction that is a test.
    pub(crate) fn emit_test<I: Instruction + 'static>(&mut self, instruction: I) -> Known {
        self.emit(instruction);
        Known::Depends
    }

    /// Adds a plain instruction; its jump's target is a label's number.
    pub(crate) fn op(&mut self, op: Op) {
        self.code.push(op);
        self.lines.push(self.line);
    }

    /// A place that is told later.
    pub(crate) fn label(&mut self) -> Label {
        let label = Label(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        self.labels.push(u32::MAX);
        label
    }

    /// The place is here.
    pub(crate) fn place(&mut self, label: Label) {
        let here = u32::try_from(self.code.len()).unwrap_or(u32::MAX);
        let index = usize::try_from(label.0).unwrap_or(usize::MAX);
        if let Some(place) = self.labels.get_mut(index) {
            *place = here;
        }
    }

    /// Goes on at a place.
    pub(crate) fn jump(&mut self, to: Label) {
        self.op(Op::Jump(to.0));
    }

    /// Goes on at a place where the last test was true.
    pub(crate) fn jump_if(&mut self, to: Label) {
        self.op(Op::JumpIf(to.0));
    }

    /// Goes on at a place where the last test was false.
    pub(crate) fn jump_unless(&mut self, to: Label) {
        self.op(Op::JumpUnless(to.0));
    }

    /// The line of what is compiled now.
    fn at(&mut self, at: Position) {
        self.line = at.line;
    }

    fn command(&mut self, command: &Command) -> Result<(), CompileError> {
        self.at(command.at);
        if command.name != "require" {
            self.begun = true;
        }
        self.or_fail(|cx| {
            let compile = cx.find(&command.name, command.at, "command", |entry| entry.commands)?;
            compile(cx, command)
        })?;
        Ok(())
    }

    /// Compiles a test: its code leaves the result.
    pub(crate) fn test(&mut self, test: &Test) -> Result<Known, CompileError> {
        self.at(test.at);
        let known = self.or_fail(|cx| {
            let compile = cx.find(&test.name, test.at, "test", |entry| entry.tests)?;
            compile(cx, test)
        })?;
        Ok(known.unwrap_or(Known::Depends))
    }

    /// Compiles something. Where it is missing in a script with `ihave`, the run
    /// fails when it gets there (RFC 5463 section 4).
    fn or_fail<T>(
        &mut self,
        compile: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<Option<T>, CompileError> {
        let begin = self.code.len();
        self.missing.set(false);
        match compile(self) {
            Ok(done) => Ok(Some(done)),
            Err(error) if self.missing.get() && self.requires("ihave") => {
                self.code.truncate(begin);
                self.lines.truncate(begin);
                self.emit(Fail {
                    words: error.words.into(),
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether `require` may still stand here (RFC 5228 section 3.2).
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// What compiles a word, of the extension that is required.
    fn find<F: Copy + 'static>(
        &self,
        name: &str,
        at: Position,
        kind: &str,
        words: impl Fn(&'static Extension) -> &'static [(&'static str, F)],
    ) -> Result<F, CompileError> {
        let mut missing = None;
        for entry in TABLE {
            let Some((_, compile)) = words(entry).iter().find(|(word, _)| *word == name) else {
                continue;
            };
            let has = self.compiler.has(entry);
            if has && (entry.name.is_empty() || self.requires(entry.name)) {
                return Ok(*compile);
            }
            if has || missing.is_none() {
                missing = Some(entry);
            }
        }
        self.missing.set(true);
        match missing {
            Some(entry) if !entry.events.contains(&self.compiler.event) => {
                let event = self.compiler.event.as_str();
                Err(CompileError::new(
                    at,
                    format!("the {kind} `{name}` can't be used at `{event}`"),
                ))
            }
            Some(entry) => Err(self
                .demand(entry.name, name, at)
                .err()
                .unwrap_or_else(|| CompileError::new(at, format!("there is no {kind} `{name}`")))),
            None => Err(CompileError::new(at, self.unknown(name, kind))),
        }
    }

    fn unknown(&self, name: &str, kind: &str) -> String {
        let tests = extensions::tests(&self.compiler.without);
        let commands = extensions::commands(&self.compiler.without);
        let (own, other, other_kind) = if kind == "test" {
            (tests, commands, "command")
        } else {
            (commands, tests, "test")
        };
        if other.contains(&name) {
            return format!("`{name}` is a {other_kind} and can't stand where a {kind} is wanted");
        }
        format!("there is no {kind} `{name}`{}", hint(name, own, ""))
    }
}

/// What there is not.
#[derive(Debug)]
struct Fail {
    words: Box<str>,
}

impl Instruction for Fail {
    fn run(&self, _cx: &mut Context<'_>) -> Result<Flow, Fault> {
        Err(Fault::new(&*self.words))
    }
}
