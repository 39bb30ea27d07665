//! The interpreter: a [`Program`] and a message become an [`Outcome`], with
//! questions to the host on the way.

mod act;
mod changes;
mod context;
mod header;
mod known;

use std::sync::Arc;

pub(crate) use self::act::Keep;
pub(crate) use self::changes::{Changes, End};
pub(crate) use self::context::{Context, Frame, Loop, mistaken};
pub(crate) use self::header::Header;
pub(crate) use self::known::What;
use super::matcher::OutOfSteps;
use super::program::Op;
use super::{Answer, Environment, Limits, Mail, Outcome, Program, Question, RunError};

/// Steps that a question costs: the host may have to read what it keeps.
const QUESTION: u64 = 500;

/// What an instruction leads to.
#[derive(Debug)]
pub(crate) enum Flow {
    /// The next instruction.
    Next,
    /// A test's result.
    Result(bool),
    /// A question: once it is answered, the same instruction runs again and finds
    /// the answer in [`Context::answer`].
    Ask(Question),
    /// Another script, then the next instruction.
    Call(Frame),
}

/// Why a run can't go on; the run adds where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(String);

impl Fault {
    /// With these words.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl From<OutOfSteps> for Fault {
    fn from(error: OutOfSteps) -> Self {
        Self(error.to_string())
    }
}

/// What a run came to, for now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a question waits for its answer"]
pub enum Step {
    /// The host answers with the next call of [`Run::step`].
    Ask(Question),
    /// The end.
    Done(Outcome),
}

/// A program that is run for a message.
#[derive(Debug)]
pub struct Run<'a> {
    context: Context<'a>,
    // What the last test said.
    result: bool,
    asked: bool,
    over: bool,
}

impl<'a> Run<'a> {
    /// A run from the program's beginning.
    pub fn new(
        program: Arc<Program>,
        mail: &'a dyn Mail,
        environment: &'a Environment,
        limits: &'a Limits,
    ) -> Self {
        Self {
            context: Context::new(program, mail, environment, limits),
            result: false,
            asked: false,
            over: false,
        }
    }

    /// Runs on to the next question or to the end. The first call brings no answer,
    /// each other the one to the question before.
    pub fn step(&mut self, answer: Option<Answer>) -> Result<Step, RunError> {
        if self.over || self.asked != answer.is_some() {
            return Err(self.error(Fault::new(
                "the host brought an answer that was not asked for, or none: it is to blame",
            )));
        }
        self.context.answer = answer;
        self.asked = false;
        match self.run() {
            Ok(Some(question)) => {
                self.asked = true;
                Ok(Step::Ask(question))
            }
            Ok(None) => {
                self.over = true;
                self.context
                    .outcome()
                    .map(Step::Done)
                    .map_err(|fault| self.error(fault))
            }
            Err(fault) => {
                self.over = true;
                Err(self.error(fault))
            }
        }
    }

    fn error(&self, fault: Fault) -> RunError {
        let (script, line) = self.context.place();
        RunError::new(script, line, fault.0)
    }

    fn run(&mut self) -> Result<Option<Question>, Fault> {
        while let Some(frame) = self.context.frames.last() {
            let program = Arc::clone(&frame.program);
            if let Some(question) = self.frame(&program)? {
                return Ok(Some(question));
            }
        }
        Ok(None)
    }

    /// Runs the innermost script until it ends, calls another one or asks.
    fn frame(&mut self, program: &Program) -> Result<Option<Question>, Fault> {
        loop {
            let Some(frame) = self.context.frames.last_mut() else {
                return Ok(None);
            };
            let index = frame.next;
            let Some(op) = program.code.get(index) else {
                self.context.leave();
                return Ok(None);
            };
            frame.next = index + 1;
            self.context.meter.charge(1)?;
            match op {
                Op::Do(instruction) => match instruction.run(&mut self.context)? {
                    Flow::Next => {}
                    Flow::Result(result) => self.result = result,
                    Flow::Ask(question) => {
                        self.context.meter.charge(QUESTION)?;
                        self.context.go(index);
                        return Ok(Some(question));
                    }
                    Flow::Call(frame) => {
                        self.context.frames.push(frame);
                        return Ok(None);
                    }
                },
                Op::Set(result) => self.result = *result,
                Op::Not => self.result = !self.result,
                Op::Jump(to) => self.context.jump(*to),
                Op::JumpIf(to) if self.result => self.context.jump(*to),
                Op::JumpUnless(to) if !self.result => self.context.jump(*to),
                Op::JumpIf(_) | Op::JumpUnless(_) => {}
                Op::Stop => {
                    self.context.stop();
                    return Ok(None);
                }
                // In the first script it is a stop (RFC 6609 section 3.3).
                Op::Return if self.context.frames.len() == 1 => {
                    self.context.stop();
                    return Ok(None);
                }
                Op::Return => {
                    self.context.leave();
                    return Ok(None);
                }
            }
        }
    }
}
