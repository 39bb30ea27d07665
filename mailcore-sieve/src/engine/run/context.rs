//! What instructions find and leave in a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::known::Known;
use super::{Changes, Fault, Header};
use crate::engine::compile::Variable;
use crate::engine::matcher::Meter;
use crate::engine::{
    Action, Answer, Duplicate, Environment, Form, Limits, Location, Mail, Program,
};

/// A script that is being run.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) program: Arc<Program>,
    /// The instruction that is run next.
    pub(super) next: usize,
    /// Its own variables.
    locals: Vec<Option<Arc<str>>>,
    /// What its last match captured (RFC 5229 section 3.2).
    pub(crate) captures: Vec<String>,
    /// Where it was included from; none for the first.
    pub(crate) included: Option<(Location, Arc<str>)>,
    /// Loops that this script is in, the innermost last (RFC 5703 section 3).
    pub(crate) loops: Vec<Loop>,
}

/// A loop over the parts of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loop {
    /// The part that it is at.
    pub(crate) part: usize,
    /// The part that comes next.
    pub(crate) next: usize,
    /// The one after the last.
    pub(crate) end: usize,
}

impl Frame {
    /// A script at its beginning.
    pub(crate) fn new(program: Arc<Program>, included: Option<(Location, Arc<str>)>) -> Self {
        Self {
            next: 0,
            locals: vec![None; program.variables],
            captures: Vec::new(),
            loops: Vec::new(),
            included,
            program,
        }
    }
}

/// A run's state.
pub(crate) struct Context<'a> {
    /// The message as it came. Tests read [`Context::header`], [`Context::message`]
    /// and [`Context::content`], which know what the script made of it.
    pub(crate) mail: &'a dyn Mail,
    pub(crate) environment: &'a Environment,
    pub(crate) limits: &'a Limits,
    /// The steps left.
    pub(crate) meter: Meter,
    /// The answer to the question that this instruction asked.
    pub(super) answer: Option<Answer>,
    /// How many questions this instruction has asked, where it asks several.
    pub(crate) asked: usize,
    /// Scripts within scripts, the innermost last.
    pub(crate) frames: Vec<Frame>,
    globals: BTreeMap<Arc<str>, Arc<str>>,
    /// Scripts that were included in this run.
    pub(crate) included: Vec<(Location, Arc<str>)>,
    pub(super) headers: Vec<Option<Header<'a>>>,
    pub(super) known: Known,
    /// The internal variable of RFC 5232 section 2.
    pub(crate) flags: Vec<String>,
    pub(super) actions: Vec<Action>,
    pub(super) implicit_keep: bool,
    pub(super) stopped: bool,
    /// The forms of the message that actions take, by [`Context::form`].
    pub(super) forms: Vec<Form>,
    /// What was made of the message.
    pub(super) changes: Changes,
    /// What is remembered when the run succeeds (RFC 7352).
    pub(crate) seen: Vec<Duplicate>,
    memory: usize,
    // Of the last instruction, once no frame is left.
    last: (Arc<str>, u32),
}

impl fmt::Debug for Context<'_> {
    // The message may be large and is none of a log's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("frames", &self.frames.len())
            .field("actions", &self.actions.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(
        program: Arc<Program>,
        mail: &'a dyn Mail,
        environment: &'a Environment,
        limits: &'a Limits,
    ) -> Self {
        Self {
            mail,
            environment,
            limits,
            meter: Meter::new(limits.steps),
            answer: None,
            asked: 0,
            globals: BTreeMap::new(),
            included: Vec::new(),
            headers: Vec::new(),
            known: Known::default(),
            flags: environment.flags.clone(),
            actions: Vec::new(),
            implicit_keep: true,
            stopped: false,
            forms: vec![Form::Unchanged],
            changes: Changes::default(),
            seen: Vec::new(),
            memory: 0,
            last: (Arc::clone(&program.name), 0),
            frames: vec![Frame::new(program, None)],
        }
    }

    /// The answer, where this instruction asked and was answered.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// The answer of a question that is answered by yes or no.
    pub(crate) fn yes(&mut self) -> Result<Option<bool>, Fault> {
        match self.answer() {
            None => Ok(None),
            Some(Answer::Yes) => Ok(Some(true)),
            Some(Answer::No) => Ok(Some(false)),
            Some(_) => Err(mistaken()),
        }
    }

    /// Counts the octets of a text that is looked at.
    pub(crate) fn look(&mut self, octets: usize) -> Result<(), Fault> {
        Ok(self.meter.charge_octets(octets)?)
    }

    /// Counts octets that the run holds from now on.
    pub(crate) fn hold(&mut self, octets: usize) -> Result<(), Fault> {
        self.memory = self.memory.saturating_add(octets);
        if self.memory > self.limits.memory {
            return Err(Fault::new(format!(
                "the script holds more than {} octets: use shorter variables and fewer edits",
                self.limits.memory
            )));
        }
        Ok(())
    }

    /// Counts octets that the run holds no longer.
    pub(crate) fn release(&mut self, octets: usize) {
        self.memory = self.memory.saturating_sub(octets);
    }

    /// A variable's value; one that was never set is empty.
    pub(crate) fn variable(&self, variable: &Variable) -> Arc<str> {
        let frame = self.frames.last();
        let value = match variable {
            Variable::Local(number) => frame
                .and_then(|frame| frame.locals.get(usize::from(*number)))
                .and_then(Clone::clone),
            Variable::Global(name) => self.globals.get(name).map(Arc::clone),
            Variable::Captured(number) => frame
                .and_then(|frame| frame.captures.get(usize::from(*number)))
                .map(|text| text.as_str().into()),
        };
        value.unwrap_or_default()
    }

    /// Sets a variable; what is longer than allowed is cut (RFC 5229 section 6).
    pub(crate) fn set_variable(&mut self, variable: &Variable, value: &str) -> Result<(), Fault> {
        let most = self.limits.variable;
        let cut = (0..=value.len().min(most))
            .rev()
            .find(|end| value.is_char_boundary(*end))
            .unwrap_or_default();
        let value: Arc<str> = value.get(..cut).unwrap_or_default().into();
        let old = self.variable(variable).len();
        self.hold(value.len())?;
        self.release(old);
        match variable {
            Variable::Local(number) => {
                let place = self
                    .frames
                    .last_mut()
                    .and_then(|frame| frame.locals.get_mut(usize::from(*number)));
                if let Some(place) = place {
                    *place = Some(value);
                }
            }
            Variable::Global(name) => {
                self.globals.insert(Arc::clone(name), value);
            }
            Variable::Captured(_) => {}
        }
        Ok(())
    }

    /// The part that the script is at: that of its innermost loop, or the message.
    pub(crate) fn part(&self) -> usize {
        let frame = self.frames.last();
        let innermost = frame.and_then(|frame| frame.loops.last());
        innermost.map_or(0, |innermost| innermost.part)
    }

    /// Where a matcher leaves what it captures.
    pub(crate) fn captures(&mut self) -> (Option<&mut Vec<String>>, &mut Meter) {
        let captures = self.frames.last_mut().map(|frame| &mut frame.captures);
        (captures, &mut self.meter)
    }

    pub(super) fn go(&mut self, index: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next = index;
        }
    }

    pub(super) fn jump(&mut self, to: u32) {
        self.go(usize::try_from(to).unwrap_or(usize::MAX));
    }

    /// The end of the innermost script.
    pub(super) fn leave(&mut self) {
        self.last = self.place();
        if let Some(frame) = self.frames.pop() {
            let held = frame.locals.iter().flatten().map(|value| value.len()).sum();
            self.release(held);
        }
    }

    /// The end of all.
    pub(super) fn stop(&mut self) {
        self.last = self.place();
        self.stopped = true;
        self.frames.clear();
    }

    /// The script and the line that run.
    pub(super) fn place(&self) -> (Arc<str>, u32) {
        let Some(frame) = self.frames.last() else {
            return self.last.clone();
        };
        let line = frame.program.lines.get(frame.next.saturating_sub(1));
        (
            Arc::clone(&frame.program.name),
            line.copied().unwrap_or_default(),
        )
    }
}

/// A host's answer that doesn't fit its question.
pub(crate) fn mistaken() -> Fault {
    Fault::new("the host's answer does not fit the question: the host is to blame")
}
