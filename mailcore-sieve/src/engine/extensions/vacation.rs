//! `vacation` (RFC 5230) and `vacation-seconds` (RFC 6131): senders are told that
//! the owner is away, each once in a while. Whether this sender was told already
//! the host knows; whether anybody may be told at all is decided here.

mod original;

use super::fcc::Fcc;
use super::{AT_DELIVERY, Extension};
use crate::engine::ast::{Argument, Command, Value};
use crate::engine::compile::{Args, Compile, Text, Texts, values};
use crate::engine::correspondent::{OwnAddresses, reads_answers};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Vacation, address_syntax};

use original::Original;

const DAY: u64 = 86_400;
/// Days between two answers unless the script says (RFC 5230 section 4.1).
const USUAL_DAYS: u64 = 7;

pub(super) static VACATION: Extension = Extension::new("vacation")
    .commands(&[("vacation", vacation)])
    .at(AT_DELIVERY);

pub(super) static SECONDS: Extension = Extension::new("vacation-seconds")
    .implies(&["vacation"])
    .at(AT_DELIVERY);

fn vacation(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let days = args.tag_number(cx, "days")?;
    let seconds = args.tag_number(cx, ("seconds", "vacation-seconds"))?;
    if days.is_some() && seconds.is_some() {
        return Err(args.error("`:days` and `:seconds` are the same thing: write one of them"));
    }
    let subject = args.tag_text(cx, "subject")?;
    let from = args.tag_text(cx, "from")?;
    if let Some(fixed) = from.as_ref().and_then(Text::fixed)
        && !fixed.contains('@')
    {
        return Err(args.error("`:from` is an address: write \"Name <user@example.org>\""));
    }
    let addresses = args.tag_texts(cx, "addresses")?;
    let mime = args.flag(cx, "mime")?.is_some();
    let handle = args.tag_text(cx, "handle")?;
    let fcc = Fcc::take(&mut args, cx)?;
    let reason = args.text(cx, "the reason, as a string")?;
    args.end()?;
    let handle = match handle {
        Some(handle) => handle,
        None => Text::Fixed(cx.intern(&handle_of(&command.arguments))),
    };
    let seconds = period(cx, days, seconds);
    cx.emit(Answer {
        seconds,
        subject,
        from,
        addresses: addresses.unwrap_or_default(),
        mime,
        handle,
        fcc,
        reason,
    });
    Ok(())
}

/// Seconds within the limits.
fn period(cx: &Compile<'_>, days: Option<u64>, seconds: Option<u64>) -> u64 {
    let limits = cx.limits();
    let (wanted, least) = match seconds {
        Some(seconds) => (seconds, limits.vacation_least),
        None => {
            let days = days.unwrap_or(USUAL_DAYS);
            (days.saturating_mul(DAY), limits.vacation_least.max(DAY))
        }
    };
    wanted.min(limits.vacation_most).max(least)
}

/// What tells this answer from others of the script: its arguments as they are
/// written, no variable filled in (RFC 5230 section 4.2). Each is hashed with its
/// name and its length, lest two answers look the same.
fn handle_of(arguments: &[Argument]) -> String {
    let mut hash = Fnv::default();
    let mut tag = "";
    for argument in arguments {
        match &argument.value {
            Value::Tag(name) => {
                tag = name;
                if name == "mime" {
                    hash.add("mime", "");
                    tag = "";
                }
            }
            Value::Text(text) => {
                match tag {
                    "" => hash.add("reason", text),
                    "subject" | "from" => hash.add(tag, text),
                    _ => {}
                }
                tag = "";
            }
            Value::List(_) | Value::Number(_) => tag = "",
        }
    }
    format!("{:032x}", hash.0)
}

/// FNV-1a of 128 bits. Nobody gains by finding two reasons of one hash but the
/// owner of the script, who may as well name both by `:handle`.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn add(&mut self, name: &str, text: &str) {
        let length = text.len().to_string();
        for part in [name, ":", &length, ":", text, "\n"] {
            for octet in part.bytes() {
                self.0 ^= u128::from(octet);
                self.0 = self
                    .0
                    .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            }
        }
    }
}

#[derive(Debug)]
struct Answer {
    seconds: u64,
    subject: Option<Text>,
    from: Option<Text>,
    addresses: Texts,
    mime: bool,
    handle: Text,
    fcc: Fcc,
    reason: Text,
}

impl Instruction for Answer {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        // RFC 5230 section 4.7 has one answer to a message.
        if cx
            .actions()
            .iter()
            .any(|it| matches!(it, Action::Vacation(_)))
        {
            return Err(Fault::new("`vacation` is run twice for one message"));
        }
        if let Some((to, original)) = self.asked_for(cx)? {
            let answer = self.answer(cx, to, original)?;
            cx.act(Action::Vacation(Box::new(answer)), Keep::Left)?;
        }
        Ok(Flow::Next)
    }
}

impl Answer {
    /// Who is to be told, and of what message; `None` for nobody.
    fn asked_for(&self, cx: &mut Context<'_>) -> Result<Option<(String, Original)>, Fault> {
        let environment = cx.environment;
        let more = values(&self.addresses, cx)?;
        let known = environment.addresses.iter().chain(&environment.envelope.to);
        let own = OwnAddresses::new(
            known
                .map(String::as_str)
                .chain(more.iter().map(|address| &**address)),
        );
        let Some(sender) = environment.envelope.from.as_deref() else {
            return Ok(None);
        };
        if !reads_answers(sender, &own) {
            return Ok(None);
        }
        // The message as it came: a script that edits its header must not make
        // answers to lists of it.
        let header = cx.mail.header(0);
        cx.look(header.len())?;
        let original = Original::read(cx.mail, header, &own);
        Ok(original.map(|original| (sender.to_owned(), original)))
    }

    fn answer(
        &self,
        cx: &mut Context<'_>,
        to: String,
        original: Original,
    ) -> Result<Vacation, Fault> {
        let environment = cx.environment;
        let from = match &self.from {
            Some(from) => from.value(cx)?.to_string(),
            None => String::new(),
        };
        // RFC 5230 section 4.3: what is no address is passed over.
        let from = match address_syntax::address(&from) {
            Some(_) => one_line(&from),
            None => {
                let own = environment.addresses.first();
                let own = own.or(environment.envelope.to.as_ref());
                own.cloned().unwrap_or_default()
            }
        };
        let subject = match &self.subject {
            Some(subject) => one_line(&subject.value(cx)?),
            None if original.subject.is_empty() => "Automated reply".to_owned(),
            None => format!("Auto: {}", original.subject),
        };
        Ok(Vacation {
            to,
            from,
            subject,
            reason: self.reason.value(cx)?.to_string(),
            mime: self.mime,
            in_reply_to: original.message_id,
            references: original.references,
            handle: self.handle.value(cx)?.to_string(),
            seconds: self.seconds,
            fcc: self.fcc.value(cx)?,
        })
    }
}

/// What goes into a header field has no line ends.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(char::is_control)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    words.join(" ")
}
