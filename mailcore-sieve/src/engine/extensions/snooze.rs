//! `snooze` (draft-ietf-extra-sieve-snooze): mail that comes back at a better
//! time.

use super::{AT_DELIVERY, Extension};
use crate::engine::ast::Command;
use crate::engine::compile::{Args, Compile, Text, Texts};
use crate::engine::flag_set::FlagSet;
use crate::engine::place;
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow, Keep};
use crate::engine::{Action, CompileError, Place, Snooze};

pub(super) static SNOOZE: Extension = Extension::new("snooze")
    .commands(&[("snooze", snooze)])
    .at(AT_DELIVERY);

fn snooze(cx: &mut Compile<'_>, command: &Command) -> Result<(), CompileError> {
    let mut args = Args::command(command)?;
    let mailbox = args.tag_text(cx, "mailbox")?;
    let mailbox_id = args.tag_text(cx, ("mailboxid", "mailboxid"))?;
    let special_use = args.tag_text(cx, ("specialuse", "special-use"))?;
    if mailbox_id.is_some() && special_use.is_some() {
        return Err(args.error("`:mailboxid` and `:specialuse` both name a mailbox: choose one"));
    }
    let create = args.flag(cx, ("create", "mailbox"))?.is_some();
    let add_flags = args.tag_texts(cx, ("addflags", "imap4flags"))?;
    let remove_flags = args.tag_texts(cx, ("removeflags", "imap4flags"))?;
    let weekdays = args.tag_texts(cx, "weekdays")?.unwrap_or_default();
    let zone = args.tag_text(cx, "tzid")?;
    let times = args.texts(cx, "times of the day, such as \"08:00:00\"")?;
    args.end()?;
    for time in times.iter().filter_map(Text::fixed) {
        if read_time(time).is_none() {
            return Err(CompileError::new(command.at, wrong_time(time)));
        }
    }
    for day in weekdays.iter().filter_map(Text::fixed) {
        if read_day(day).is_none() {
            return Err(CompileError::new(command.at, wrong_day(day)));
        }
    }
    cx.emit(Later {
        place: PlaceTexts {
            mailbox,
            mailbox_id,
            special_use,
            create,
        },
        add_flags: add_flags.unwrap_or_default(),
        remove_flags: remove_flags.unwrap_or_default(),
        weekdays,
        zone,
        times,
    });
    Ok(())
}

/// `hh:mm:ss` in seconds; the seconds may be left out.
fn read_time(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let mut part = |below: u32| -> Option<u32> {
        let digits = parts.next()?;
        let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|value| two && *value < below)
    };
    let (hours, minutes) = (part(24)?, part(60)?);
    let seconds = if text.len() > 5 { part(60)? } else { 0 };
    (text.len() <= 8).then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// `0` for Sunday to `6`, as `weekday` of RFC 5260 has them.
fn read_day(text: &str) -> Option<u8> {
    text.parse().ok().filter(|day| *day <= 6 && text.len() == 1)
}

fn wrong_time(text: &str) -> String {
    format!(
        "\"{}\" is no time: write it as \"08:00:00\"",
        text.escape_debug()
    )
}

fn wrong_day(text: &str) -> String {
    format!(
        "\"{}\" is no day: write \"0\" for Sunday to \"6\"",
        text.escape_debug()
    )
}

#[derive(Debug)]
struct PlaceTexts {
    mailbox: Option<Text>,
    mailbox_id: Option<Text>,
    special_use: Option<Text>,
    create: bool,
}

#[derive(Debug)]
struct Later {
    place: PlaceTexts,
    add_flags: Texts,
    remove_flags: Texts,
    weekdays: Texts,
    zone: Option<Text>,
    times: Texts,
}

impl Instruction for Later {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let once = |action: &Action| matches!(action, Action::Snooze(_));
        if cx.actions().iter().any(once) {
            return Err(Fault::new("`snooze` is run twice for one message"));
        }
        let mut weekdays = Vec::new();
        for text in &self.weekdays {
            let text = text.value(cx)?;
            weekdays.push(read_day(&text).ok_or_else(|| Fault::new(wrong_day(&text)))?);
        }
        let mut times = Vec::new();
        for text in &self.times {
            let text = text.value(cx)?;
            times.push(read_time(&text).ok_or_else(|| Fault::new(wrong_time(&text)))?);
        }
        weekdays.sort_unstable();
        weekdays.dedup();
        times.sort_unstable();
        times.dedup();
        if times.is_empty() {
            return Err(Fault::new("`snooze` needs a time of the day"));
        }
        let limit = cx.limits.variable;
        let remove_flags = place::flags(Some(&self.remove_flags), cx)?;
        let snooze = Snooze {
            place: self.place(cx)?,
            remove_flags: FlagSet::of(remove_flags, limit).into_vec(),
            weekdays,
            times,
            zone: optional(&self.zone, cx)?,
            form: cx.form(),
        };
        cx.act(Action::Snooze(Box::new(snooze)), Keep::Cancelled)?;
        Ok(Flow::Next)
    }
}

impl Later {
    fn place(&self, cx: &mut Context<'_>) -> Result<Place, Fault> {
        let place = &self.place;
        let inbox = cx.environment.inbox.clone();
        Ok(Place {
            mailbox: optional(&place.mailbox, cx)?.unwrap_or(inbox),
            mailbox_id: optional(&place.mailbox_id, cx)?,
            special_use: optional(&place.special_use, cx)?,
            create: place.create,
            flags: place::flags(Some(&self.add_flags), cx)?,
        })
    }
}

fn optional(text: &Option<Text>, cx: &mut Context<'_>) -> Result<Option<String>, Fault> {
    match text {
        Some(text) => Ok(Some(text.value(cx)?.to_string())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_full() {
        assert_eq!(read_time("08:30:01"), Some(30_601));
        assert_eq!(read_time("23:59"), Some(86_340));
        for wrong in [
            "24:00:00",
            "8:00:00",
            "08:60",
            "08:00:",
            "08:00:00:00",
            "",
            "08:00:00 ",
        ] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
        assert_eq!(read_day("6"), Some(6));
        assert_eq!(read_day("7"), None);
        assert_eq!(read_day("06"), None);
    }
}
