//! `mailserver sieve-test`: what a script would do with a message, without a
//! server, and without doing it.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mailcore::address::Address;
use mailcore::message::{DateTime, Message};
use mailcore::seams::{Clock, SystemClock};
use mailcore_sieve::engine::{
    Action, Answer, Compiler, Environment, Event, Importance, Mailto, Place as Filing, Program,
    Question, RejectKind, Run, Step,
};
use mailcore_sieve::{Extent, MessageMail};
use serde::Serialize;

use super::{CliError, Place, sieve};
use crate::config::{Config, SieveConfig};
use crate::out;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The script; what it includes lies beside it, or with the site's scripts
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// The message, as it would be sent
    #[arg(long, value_name = "FILE")]
    message: PathBuf,
    /// The sender that MAIL would name; nobody unless given
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// The recipient that RCPT would name
    #[arg(long, value_name = "ADDRESS")]
    rcpt_to: Option<String>,
    /// What else the script is told: "now=DATE", "ip=192.0.2.1", "helo=NAME",
    /// "host=NAME", "auth=LOGIN", "spam=0.9", "virus=3", "address=ANOTHER OF THE
    /// USER'S", "mailbox=ONE THAT IS THERE", "seen=yes" for duplicates, or an item
    /// of the environment by its name
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// A line of what is told.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Line<'a> {
    Keep {
        flags: &'a [String],
    },
    Fileinto {
        mailbox: &'a str,
        flags: &'a [String],
        #[serde(skip_serializing_if = "is_false")]
        create: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        mailboxid: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        specialuse: Option<&'a str>,
    },
    Redirect {
        address: &'a str,
    },
    Discard,
    Reject {
        reason: &'a str,
    },
    Ereject {
        reason: &'a str,
    },
    Vacation {
        to: &'a str,
        from: &'a str,
        subject: &'a str,
        reason: &'a str,
        seconds: u64,
    },
    Notify {
        method: &'a str,
        message: Option<&'a str>,
        importance: &'static str,
    },
    Other {
        what: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(it: &bool) -> bool {
    !it
}

/// What the script is told of the world.
#[derive(Debug, Default)]
struct World {
    mailboxes: Option<Vec<String>>,
    seen: bool,
    include: Vec<PathBuf>,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<(), CliError> {
    let config = place.config()?;
    let SieveConfig { settings, .. } = &config.sieve;
    let compiler = settings.compiler();
    let text = sieve::read(&args.script)?;
    let name = args
        .script
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let program = compiler.compile(&name, &text).map_err(|error| {
        let (at, words) = (error.at, error.words);
        CliError::Failed(format!(
            "line {}: {words} (at column {})",
            at.line, at.column
        ))
    })?;
    let octets = std::fs::read(&args.message);
    let octets = octets.map_err(|error| {
        CliError::Failed(format!("can't read {}: {error}", args.message.display()))
    })?;
    let (environment, mut world) = surroundings(args, &config)?;
    world
        .include
        .extend(args.script.parent().map(Path::to_owned));
    world
        .include
        .extend(config.sieve.folder.iter().map(|it| it.join("include")));
    let lines = ran(
        program.into(),
        with_crlf(octets),
        &environment,
        |question| world.answer(&compiler, question),
        &settings.limits,
    )?;
    out::lines(&lines);
    Ok(())
}

/// Lines of a file may end with LF alone; mail's don't.
fn with_crlf(octets: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let before = Cell::new(0);
    for octet in octets {
        if octet == b'\n' && before.replace(octet) != b'\r' {
            out.push(b'\r');
        }
        before.set(octet);
        out.push(octet);
    }
    out
}

/// A line of JSON for each action.
fn ran(
    program: std::sync::Arc<Program>,
    octets: Vec<u8>,
    environment: &Environment,
    answer: impl Fn(&Question) -> Answer,
    limits: &mailcore_sieve::engine::Limits,
) -> Result<Vec<String>, CliError> {
    let message = Message::from_bytes(octets);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(CliError::failed)?;
    let summary = runtime.block_on(message.summarize());
    let summary = summary.map_err(CliError::failed)?;
    let loaded = MessageMail::load(&message, &summary, Extent::Whole, u64::MAX);
    let mail = runtime.block_on(loaded).map_err(CliError::failed)?;
    let mut run = Run::new(program, &mail, environment, limits);
    let mut answered = None;
    loop {
        let step = run.step(answered.take());
        // Exit status 2, as of no other failure here.
        let step = step.map_err(|error| {
            CliError::Usage(format!(
                "line {}: {} (in {})",
                error.line, error.words, error.script
            ))
        })?;
        match step {
            Step::Ask(question) => answered = Some(answer(&question)),
            Step::Done(outcome) => {
                let lines = outcome
                    .actions
                    .iter()
                    .map(|action| serde_json::to_string(&line(action)).map_err(CliError::failed));
                return lines.collect();
            }
        }
    }
}

fn line(action: &Action) -> Line<'_> {
    match action {
        Action::Keep { flags, .. } => Line::Keep { flags },
        Action::FileInto(filed) => filed_into(&filed.place),
        Action::Redirect(redirect) => Line::Redirect {
            address: &redirect.to,
        },
        Action::Discard => Line::Discard,
        Action::Reject(reject) => match reject.kind {
            RejectKind::Ereject => Line::Ereject {
                reason: &reject.reason,
            },
            _ => Line::Reject {
                reason: &reject.reason,
            },
        },
        Action::Vacation(answer) => Line::Vacation {
            to: &answer.to,
            from: &answer.from,
            subject: &answer.subject,
            reason: &answer.reason,
            seconds: answer.seconds,
        },
        Action::Notify(notice) => Line::Notify {
            method: &notice.method,
            message: notice.message.as_deref(),
            importance: match notice.importance {
                Importance::High => "1",
                Importance::Normal => "2",
                Importance::Low => "3",
            },
        },
        Action::Snooze(snooze) => filed_into(&snooze.place),
        other => Line::Other {
            what: format!("{other:?}"),
        },
    }
}

fn filed_into(place: &Filing) -> Line<'_> {
    Line::Fileinto {
        mailbox: &place.mailbox,
        flags: &place.flags,
        create: place.create,
        mailboxid: place.mailbox_id.as_deref(),
        specialuse: place.special_use.as_deref(),
    }
}

/// What the command line says of the delivery, and of the world around it.
fn surroundings(args: &Args, config: &Config) -> Result<(Environment, World), CliError> {
    let mut environment = Environment::new(Event::Delivery);
    let mut world = World::default();
    let now = SystemClock::new().now();
    environment.now = now.secs();
    environment.host = config.hostname.to_string();
    environment.domain = config.hostname.to_string();
    environment.envelope.from = Some(String::new());
    if let Some(from) = &args.mail_from {
        environment.envelope.from = Some(match from.as_str() {
            "" | "<>" => String::new(),
            from => address(from)?.to_string(),
        });
    }
    if let Some(to) = &args.rcpt_to {
        let to = address(to)?;
        environment.domain = to.domain().to_string();
        environment.addresses = vec![to.to_string()];
        environment.envelope.to = Some(to.to_string());
    }
    for set in &args.set {
        let (key, value) = set.split_once('=').ok_or_else(|| {
            CliError::Usage(format!("--set {set}: write a name, \"=\" and a value"))
        })?;
        set_one(&mut environment, &mut world, key, value)?;
    }
    let at = mailcore::time::Timestamp::from_secs(environment.now);
    environment.utc_offset = config.housekeeping.zone.offset(at) / 60;
    Ok((environment, world))
}

fn set_one(
    environment: &mut Environment,
    world: &mut World,
    key: &str,
    value: &str,
) -> Result<(), CliError> {
    let owned = || Some(value.to_owned());
    match key {
        "now" => environment.now = date(value)?,
        "ip" => environment.session.ip = Some(number::<IpAddr>(key, value)?),
        "helo" => environment.session.helo = owned(),
        "host" => environment.session.host = owned(),
        "auth" => environment.envelope.auth = owned(),
        "envid" => environment.envelope.envid = owned(),
        "notify" => environment.envelope.notify = owned(),
        "ret" => environment.envelope.ret = owned(),
        "orcpt" => environment.envelope.orcpt = owned(),
        "spam" => environment.spam = Some(number(key, value)?),
        "virus" => environment.virus = Some(number(key, value)?),
        "separator" => environment.separator = number(key, value)?,
        "address" => environment.addresses.push(address(value)?.to_string()),
        "mailbox" => world
            .mailboxes
            .get_or_insert_default()
            .push(value.to_owned()),
        "seen" => world.seen = value == "yes",
        _ => environment.items.push((key.into(), value.to_owned())),
    }
    Ok(())
}

fn address(text: &str) -> Result<Address, CliError> {
    let parsed = Address::parse(text.trim_matches(['<', '>']));
    parsed.map_err(|error| CliError::Usage(format!("\"{text}\": {error}")))
}

fn number<T: FromStr<Err: std::fmt::Display>>(key: &str, value: &str) -> Result<T, CliError> {
    let parsed = value.parse();
    parsed.map_err(|error| CliError::Usage(format!("--set {key}={value}: {error}")))
}

/// Seconds since 1970, or a date as mail has it.
fn date(value: &str) -> Result<i64, CliError> {
    if let Ok(seconds) = value.parse() {
        return Ok(seconds);
    }
    let date = DateTime::parse(value.as_bytes());
    let date = date.ok_or_else(|| {
        let words = "write \"Sun, 22 Nov 2026 12:00:00 +0000\", or seconds since 1970";
        CliError::Usage(format!("--set now={value}: {words}"))
    })?;
    Ok(date.timestamp().secs())
}

impl World {
    /// What a server without mail, lists and memory would answer.
    fn answer(&self, compiler: &Compiler, question: &Question) -> Answer {
        let there = |name: &String| match &self.mailboxes {
            Some(known) => known.contains(name),
            None => true,
        };
        let yes = match question {
            Question::MailboxesExist(names) => names.iter().all(there),
            Question::Annotation { .. } => return Answer::Text(None),
            Question::Duplicate(_) => self.seen,
            Question::NotifyMethodValid(method) => Mailto::parse(method).is_ok(),
            Question::LookUp { .. } => return Answer::Texts(Vec::new()),
            Question::Include { name, .. } => return self.include(compiler, name),
            _ => false,
        };
        match yes {
            true => Answer::Yes,
            false => Answer::No,
        }
    }

    fn include(&self, compiler: &Compiler, name: &str) -> Answer {
        // A name is no path.
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Answer::No;
        }
        let files = self
            .include
            .iter()
            .flat_map(|folder| [folder.join(format!("{name}.sieve")), folder.join(name)]);
        for file in files {
            if let Ok(octets) = std::fs::read(file) {
                let compiled = compiler.compile(name, &octets);
                return compiled.map_or(Answer::No, |it| Answer::Program(it.into()));
            }
        }
        Answer::No
    }
}
