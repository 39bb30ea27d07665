//! `mboxmetadata` and `servermetadata` (RFC 5490 sections 3 and 4): annotations
//! of mailboxes and of the server.

use super::{Extension, WITH_MAILBOXES};
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text};
use crate::engine::matching::{Matching, Options};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, mistaken};
use crate::engine::{Answer, CompileError, Question};

pub(super) static MAILBOX_METADATA: Extension = Extension::new("mboxmetadata")
    .tests(&[("metadata", metadata), ("metadataexists", metadataexists)])
    .at(WITH_MAILBOXES);

pub(super) static SERVER_METADATA: Extension = Extension::new("servermetadata")
    .tests(&[
        ("servermetadata", servermetadata),
        ("servermetadataexists", servermetadataexists),
    ])
    .at(WITH_MAILBOXES);

/// Whose annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Mailbox,
    Server,
}

fn metadata(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    matches(cx, test, Whose::Mailbox)
}

fn servermetadata(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    matches(cx, test, Whose::Server)
}

fn metadataexists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    exists(cx, test, Whose::Mailbox)
}

fn servermetadataexists(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    exists(cx, test, Whose::Server)
}

fn mailbox(
    cx: &mut Compile<'_>,
    args: &mut Args<'_>,
    whose: Whose,
) -> Result<Option<Text>, CompileError> {
    match whose {
        Whose::Mailbox => args.text(cx, "a mailbox").map(Some),
        Whose::Server => Ok(None),
    }
}

fn matches(cx: &mut Compile<'_>, test: &Test, whose: Whose) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    options.without_lists(&args)?;
    let mailbox = mailbox(cx, &mut args, whose)?;
    let entry = args.text(cx, "an annotation's name")?;
    let keys = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(Metadata {
        mailbox,
        entry,
        keys: Some(keys),
    }))
}

/// One question for each name, until one is not there.
fn exists(cx: &mut Compile<'_>, test: &Test, whose: Whose) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let mailbox = mailbox(cx, &mut args, whose)?;
    let entries = args.texts(cx, "a list of annotations")?;
    args.end()?;
    let end = cx.label();
    for entry in entries {
        cx.emit(Metadata {
            mailbox: mailbox.clone(),
            entry,
            keys: None,
        });
        cx.jump_unless(end);
    }
    cx.place(end);
    Ok(Known::Depends)
}

#[derive(Debug)]
struct Metadata {
    mailbox: Option<Text>,
    entry: Text,
    keys: Option<Matching>,
}

impl Instruction for Metadata {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let value = match cx.answer() {
            None => {
                let mailbox = match &self.mailbox {
                    Some(mailbox) => Some(mailbox.value(cx)?.to_string()),
                    None => None,
                };
                let entry = self.entry.value(cx)?.to_string();
                return Ok(Flow::Ask(Question::Annotation { mailbox, entry }));
            }
            Some(Answer::Text(value)) => value,
            Some(Answer::No) => None,
            Some(_) => return Err(mistaken()),
        };
        match (&self.keys, value) {
            (Some(keys), Some(value)) => keys.test(cx, &[value.into()]),
            (keys, value) => Ok(Flow::Result(keys.is_none() && value.is_some())),
        }
    }
}
