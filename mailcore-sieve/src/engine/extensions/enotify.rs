//! `enotify` (RFC 5435): somebody is told that mail came, by mail (RFC 5436) or by
//! what else the host knows.

use super::fcc::Fcc;
use super::vacation::one_line;
use super::{Extension, WITH_MAILBOXES};
use crate::engine::ast::{Command, Test};
use crate::engine::compile::{Args, Compile, Known, Text, Texts, values};
use crate::engine::correspondent::wants_no_answer;
use crate::engine::matching::{Matching, Options};
use crate::engine::mime::header::unfold;
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Header, Keep};
use crate::engine::{Action, CompileError, Importance, Mailto, Notify, Question, address_syntax};

pub(super) static ENOTIFY: Extension = Extension::new("enotify")
    .commands(&[("notify", notify)])
    .tests(&[
        ("valid_notify_method", valid_notify_method),
        ("notify_method_capability", notify_method_capability),
    ])
    .at(WITH_MAILBOXES);

fn notify(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let from = args.tag_text(cx, "from")?;
    let importance = args.tag_text(cx, "importance")?;
    if let Some(fixed) = importance.as_ref().and_then(Text::fixed)
        && read_importance(fixed).is_none()
    {
        return Err(args.error("`:importance` is \"1\" (high), \"2\" or \"3\" (low)"));
    }
    let options = args.tag_texts(cx, "options")?.unwrap_or_default();
    for option in &options {
        if let Some(fixed) = option.fixed()
            && read_option(fixed).is_none()
        {
            return Err(args.error("write each of `:options` as \"name=value\""));
        }
    }
    let message = args.tag_text(cx, "message")?;
    let fcc = Fcc::take(&mut args, cx)?;
    let method = args.text(cx, "whom to notify, such as \"mailto:user@example.org\"")?;
    args.end()?;
    if let Some(fixed) = method.fixed()
        && is_mailto(fixed)
        && let Err(error) = Mailto::parse(fixed)
    {
        return Err(CompileError::new(command.at, error.to_string()));
    }
    cx.emit(Tell {
        from,
        importance,
        options,
        message,
        fcc,
        method,
    });
    Ok(())
}

fn read_importance(text: &str) -> Option<Importance> {
    match text {
        "1" => Some(Importance::High),
        "2" => Some(Importance::Normal),
        "3" => Some(Importance::Low),
        _ => None,
    }
}

/// RFC 5435 section 3.5.
fn read_option(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
    let good = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(is_name)
        && !value.contains(['\0', '\r', '\n']);
    good.then(|| (name.to_ascii_lowercase(), value.to_owned()))
}

fn is_mailto(method: &str) -> bool {
    method
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"))
}

#[derive(Debug)]
struct Tell {
    from: Option<Text>,
    importance: Option<Text>,
    options: Texts,
    message: Option<Text>,
    fcc: Fcc,
    method: Text,
}

impl Instruction for Tell {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let method = self.method.value(cx)?.to_string();
        if is_mailto(&method) {
            Mailto::parse(&method).map_err(|error| Fault::new(error.to_string()))?;
            // RFC 5436 section 2.7: word of what a program sent goes round.
            if sent_by_program(cx)? {
                return Ok(Flow::Next);
            }
        } else {
            match cx.yes()? {
                None => return Ok(Flow::Ask(Question::NotifyMethodValid(method))),
                Some(true) => {}
                Some(false) => {
                    let words = format!("nobody can be notified by \"{method}\" here");
                    return Err(Fault::new(words));
                }
            }
        }
        let notify = self.notify(cx, method)?;
        let told = cx.actions().iter().any(|action| match action {
            Action::Notify(it) => it.method == notify.method && it.message == notify.message,
            _ => false,
        });
        if !told {
            cx.act(Action::Notify(Box::new(notify)), Keep::Left)?;
        }
        Ok(Flow::Next)
    }
}

impl Tell {
    fn notify(&self, cx: &mut Context<'_>, method: String) -> Result<Notify, Fault> {
        let line = |text: &Option<Text>, cx: &mut Context<'_>| -> Result<Option<String>, Fault> {
            match text {
                Some(text) => Ok(Some(one_line(&text.value(cx)?))),
                None => Ok(None),
            }
        };
        let from = line(&self.from, cx)?;
        let importance = match line(&self.importance, cx)? {
            Some(text) => read_importance(&text)
                .ok_or_else(|| Fault::new("`:importance` is \"1\" (high), \"2\" or \"3\" (low)"))?,
            None => Importance::Normal,
        };
        let options = values(&self.options, cx)?;
        let message = match &self.message {
            Some(message) => Some(message.value(cx)?.to_string()),
            None => None,
        };
        Ok(Notify {
            // What is no address is passed over (RFC 5435 section 3.3).
            from: from.filter(|from| address_syntax::address(from).is_some()),
            importance,
            options: options.iter().filter_map(|it| read_option(it)).collect(),
            message,
            fcc: self.fcc.value(cx)?,
            method,
        })
    }
}

fn sent_by_program(cx: &mut Context<'_>) -> Result<bool, Fault> {
    let header = cx.mail.header(0);
    cx.look(header.len())?;
    let mut fields = Header::split(header).fields.into_iter();
    Ok(fields.any(|field| {
        field.is("auto-submitted")
            && wants_no_answer(&field.name, &String::from_utf8_lossy(&unfold(&field.raw)))
    }))
}

/// One question for each method, until one is not valid.
fn valid_notify_method(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let methods = args.texts(cx, "a list of URIs")?;
    args.end()?;
    let end = cx.label();
    for method in methods {
        cx.emit(Valid {
            method,
            capability: None,
        });
        cx.jump_unless(end);
    }
    cx.place(end);
    Ok(Known::Depends)
}

fn notify_method_capability(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    options.without_lists(&args)?;
    let method = args.text(cx, "an URI")?;
    let name = args.text(cx, "a capability, such as \"online\"")?;
    let keys = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(Valid {
        method,
        capability: Some((name, keys)),
    }))
}

#[derive(Debug)]
struct Valid {
    method: Text,
    capability: Option<(Text, Matching)>,
}

impl Instruction for Valid {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let method = self.method.value(cx)?.to_string();
        let by_mail = is_mailto(&method);
        let valid = if by_mail {
            Mailto::parse(&method).is_ok()
        } else {
            match cx.yes()? {
                None => return Ok(Flow::Ask(Question::NotifyMethodValid(method))),
                Some(valid) => valid,
            }
        };
        let Some((name, keys)) = self.capability.as_ref().filter(|_| valid) else {
            return Ok(Flow::Result(valid && self.capability.is_none()));
        };
        // Who reads mail is not seen from here (RFC 5436 section 2.2); a copy can
        // be filed of what is mail (RFC 8580 section 4).
        let value = match name.value(cx)?.to_ascii_lowercase().as_str() {
            "online" => "maybe",
            "fcc" if by_mail => "yes",
            "fcc" => "no",
            _ => return Ok(Flow::Result(false)),
        };
        keys.test(cx, &[value.into()])
    }
}
