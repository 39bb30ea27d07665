//! Runs scripts in tests: a script and a message in, what happens out, one line for
//! each action.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each test file uses some of it, and fails by it"
)]

use std::fmt::Write;
use std::sync::Arc;

use mailcore_sieve::engine::{
    Action, Answer, Compiler, Environment, Event, Form, Limits, Mail, Outcome, Place, PlainMail,
    Question, RejectKind, Run, RunError, Step,
};

/// What surrounds a run.
pub struct World {
    /// The compiler.
    pub compiler: Compiler,
    /// The surroundings.
    pub environment: Environment,
    /// The limits.
    pub limits: Limits,
    /// Answers the questions.
    pub host: Box<dyn Fn(&Question) -> Answer>,
}

impl World {
    /// A delivery from `from@example.org` to `user+detail@example.com`, whose host
    /// knows nothing.
    pub fn new() -> Self {
        let mut environment = Environment::new(Event::Delivery);
        environment.envelope.from = Some("from@example.org".into());
        environment.envelope.to = Some("user+detail@example.com".into());
        environment.addresses = vec!["user@example.com".into()];
        environment.domain = "example.com".into();
        environment.host = "mx.example.com".into();
        // 2026-11-22T12:00:00Z
        environment.now = 1_795_348_800;
        Self {
            compiler: Compiler::new(),
            environment,
            limits: Limits::default(),
            host: Box::new(|_| Answer::No),
        }
    }

    /// With an answer to each question.
    pub fn host(mut self, host: impl Fn(&Question) -> Answer + 'static) -> Self {
        self.host = Box::new(host);
        self
    }

    /// What the script does with the message: a line for each action, or the words
    /// of the error after `error: `.
    pub fn run(&self, script: &str, message: &str) -> Vec<String> {
        match self.outcome(script, message) {
            Ok(lines) => lines,
            Err(words) => vec![format!("error: {words}")],
        }
    }

    fn outcome(&self, script: &str, message: &str) -> Result<Vec<String>, String> {
        let outcome = self.evaluate(script, &mail(message))?;
        let lines = outcome
            .actions
            .iter()
            .map(|action| line(action, &outcome.forms));
        Ok(lines.collect())
    }

    /// What the script comes to, or the words of its error.
    pub fn finish(&self, script: &str, message: &str) -> Result<Outcome, String> {
        self.evaluate(script, &mail(message))
    }

    /// The messages that the script files and sends on, lines ending with LF.
    pub fn messages(&self, script: &str, message: &str) -> Vec<String> {
        let mail = mail(message);
        let outcome = self.evaluate(script, &mail).expect(script);
        let form = |action: &Action| match action {
            Action::Keep { form, .. } => Some(*form),
            Action::FileInto(filed) => Some(filed.form),
            Action::Redirect(redirect) => Some(redirect.form),
            _ => None,
        };
        let forms = outcome.actions.iter().filter_map(form);
        let message = |form: usize| match &outcome.forms[form] {
            Form::Written(octets) => octets.to_vec(),
            form => {
                let header = form.header(mail.header(0)).expect("a header");
                [header.as_slice(), mail.body(0)].concat()
            }
        };
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).replace("\r\n", "\n");
        forms.map(message).map(text).collect()
    }

    fn evaluate(&self, script: &str, mail: &PlainMail) -> Result<Outcome, String> {
        let program = self
            .compiler
            .compile("test", script.as_bytes())
            .map_err(|error| error.to_string())?;
        let mut run = Run::new(Arc::new(program), mail, &self.environment, &self.limits);
        let mut answer = None;
        loop {
            match run
                .step(answer.take())
                .map_err(|error: RunError| error.to_string())?
            {
                Step::Ask(question) => answer = Some((self.host)(&question)),
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }
}

/// The message of a text; its lines may end with LF alone.
fn mail(text: &str) -> PlainMail {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    PlainMail::new(text.into_bytes())
}

/// Runs a script in a plain [`World`] and compares.
#[track_caller]
pub fn check(script: &str, message: &str, expected: &[&str]) {
    assert_eq!(World::new().run(script, message), expected, "{script}");
}

/// Whether a test is true for a message; `required` are the extensions.
#[track_caller]
pub fn holds(required: &[&str], test: &str, message: &str) -> bool {
    let required: Vec<String> = required.iter().map(|name| format!("{name:?}")).collect();
    let require = match required.as_slice() {
        [] => String::new(),
        names => format!("require [{}];\n", names.join(", ")),
    };
    let script = format!("{require}if {test} {{ discard; }}");
    match World::new().run(&script, message).as_slice() {
        [one] if one == "discard" => true,
        [one] if one == "keep" => false,
        other => panic!("{test}: {other:?}"),
    }
}

/// The error that a script doesn't compile with.
#[track_caller]
pub fn refused(script: &str) -> String {
    Compiler::new()
        .compile("test", script.as_bytes())
        .expect_err(script)
        .to_string()
}

/// An action as a line.
fn line(action: &Action, forms: &[Form]) -> String {
    let (mut line, form) = match action {
        Action::Keep { flags, form } => (format!("keep{}", shown(flags)), *form),
        Action::FileInto(filed) => (format!("fileinto {}", place(&filed.place)), filed.form),
        Action::Redirect(redirect) => {
            let mut line = format!(
                "redirect {}{}",
                if redirect.list { ":list " } else { "" },
                redirect.to
            );
            for (name, value) in [("notify", &redirect.notify), ("ret", &redirect.ret)] {
                if let Some(value) = value {
                    let _ = write!(line, " {name}={value}");
                }
            }
            (line, redirect.form)
        }
        Action::Discard => ("discard".into(), 0),
        Action::Reject(reject) => {
            let kind = match reject.kind {
                RejectKind::Reject => "reject",
                RejectKind::Ereject => "ereject",
                RejectKind::Defer => "defer",
            };
            (format!("{kind} {:?}", reject.reason), 0)
        }
        Action::Vacation(vacation) => (
            format!(
                "vacation to={} from={} subject={:?} seconds={} reason={:?}",
                vacation.to, vacation.from, vacation.subject, vacation.seconds, vacation.reason
            ),
            0,
        ),
        other => (format!("{other:?}"), 0),
    };
    match forms.get(form) {
        Some(Form::Edited(edits)) => {
            let _ = write!(line, " edited {edits:?}");
        }
        Some(Form::Written(octets)) => {
            let _ = write!(line, " written {:?}", String::from_utf8_lossy(octets));
        }
        _ => {}
    }
    line
}

fn shown(flags: &[String]) -> String {
    if flags.is_empty() {
        String::new()
    } else {
        format!(" ({})", flags.join(" "))
    }
}

fn place(place: &Place) -> String {
    let mut line = place.mailbox.clone();
    if let Some(id) = &place.mailbox_id {
        let _ = write!(line, " id={id}");
    }
    if let Some(special_use) = &place.special_use {
        let _ = write!(line, " use={special_use}");
    }
    if place.create {
        line.push_str(" create");
    }
    line + &shown(&place.flags)
}
