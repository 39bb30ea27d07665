//! `date` (RFC 5260): the tests `date` and `currentdate`.

use std::sync::Arc;

use super::Extension;
use crate::engine::ast::Test;
use crate::engine::compile::{Args, Compile, Known, Text};
use crate::engine::fields::Fields;
use crate::engine::matching::{Matching, Options};
use crate::engine::mime::date::{Moment, offset};
use crate::engine::program::Instruction;
use crate::engine::run::{Context, Fault, Flow};
use crate::engine::{CompileError, Position};

pub(super) static DATE: Extension =
    Extension::new("date").tests(&[("date", date), ("currentdate", current_date)]);

/// The clock that a date is read on (RFC 5260 section 4.1).
#[derive(Debug)]
enum Zone {
    /// The site's.
    Local,
    /// The one that the date was written by.
    Original,
    Named(Text),
}

#[derive(Debug)]
struct TestDate {
    /// None for now.
    fields: Option<Fields>,
    zone: Zone,
    part: Text,
    matching: Matching,
}

fn date(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let selection = Fields::tags(cx, &mut args)?;
    let original = args.flag(cx, "originalzone")?;
    let zone = match (zone(cx, &mut args)?, original) {
        (Some(_), Some(at)) => {
            let words = "`:zone` and `:originalzone` can't go together: choose one";
            return Err(CompileError::new(at, words));
        }
        (Some(named), None) => Zone::Named(named),
        (None, Some(_)) => Zone::Original,
        (None, None) => Zone::Local,
    };
    let name = args.text(cx, "the name of a header field")?;
    let fields = Some(selection.names([name].into()));
    finish(cx, args, options, (fields, zone))
}

fn current_date(cx: &mut Compile<'_>, test: &Test) -> Result<Known, CompileError> {
    let mut args = Args::test(test)?;
    let options = Options::take(cx, &mut args)?;
    let zone = zone(cx, &mut args)?.map_or(Zone::Local, Zone::Named);
    finish(cx, args, options, (None, zone))
}

fn zone(cx: &mut Compile<'_>, args: &mut Args<'_>) -> Result<Option<Text>, CompileError> {
    let at = args.at();
    let zone = args.tag_text(cx, "zone")?;
    if let Some(fixed) = zone.as_ref().and_then(Text::fixed)
        && offset(fixed).is_none()
    {
        return Err(CompileError::new(at, NO_ZONE));
    }
    Ok(zone)
}

const NO_ZONE: &str = "a zone is written as \"+0100\" or \"-0530\"";

fn finish(
    cx: &mut Compile<'_>,
    mut args: Args<'_>,
    options: Options,
    (fields, zone): (Option<Fields>, Zone),
) -> Result<Known, CompileError> {
    let at = args.peek().map_or(args.at(), |argument| argument.at);
    let part = args.text(cx, "a part of a date")?;
    check_part(&part, at)?;
    let matching = options.keys(cx, &mut args)?;
    args.end()?;
    Ok(cx.emit_test(TestDate {
        fields,
        zone,
        part,
        matching,
    }))
}

fn check_part(part: &Text, at: Position) -> Result<(), CompileError> {
    let epoch = Moment { at: 0, offset: 0 };
    match part.fixed() {
        Some(fixed) if part_of(epoch, fixed).is_none() => Err(CompileError::new(at, NO_PART)),
        _ => Ok(()),
    }
}

const NO_PART: &str = "a part of a date is one of \"year\", \"month\", \"day\", \"date\", \"julian\", \
\"hour\", \"minute\", \"second\", \"time\", \"iso8601\", \"std11\", \"zone\", \"weekday\"";

impl Instruction for TestDate {
    fn run(&self, cx: &mut Context<'_>) -> Result<Flow, Fault> {
        let Some(mut moment) = self.moment(cx)? else {
            return self.matching.test(cx, &[]);
        };
        match &self.zone {
            Zone::Local => moment.offset = cx.environment.utc_offset,
            Zone::Original => {}
            Zone::Named(zone) => {
                moment.offset = offset(&zone.value(cx)?).ok_or_else(|| Fault::new(NO_ZONE))?;
            }
        }
        let part = self.part.value(cx)?;
        let value = part_of(moment, &part).ok_or_else(|| Fault::new(NO_PART))?;
        self.matching.test(cx, &[Arc::from(value)])
    }
}

impl TestDate {
    /// The date; of fields, the first one's.
    fn moment(&self, cx: &mut Context<'_>) -> Result<Option<Moment>, Fault> {
        let Some(fields) = &self.fields else {
            let now = cx.environment.now;
            return Ok(Some(Moment { at: now, offset: 0 }));
        };
        let Some((part, index)) = fields.places(cx)?.first().copied() else {
            return Ok(None);
        };
        let text = cx.field_text(part, index)?;
        cx.look(text.len())?;
        Ok(Moment::parse(&text))
    }
}

/// RFC 5260 section 4.2.
fn part_of(moment: Moment, part: &str) -> Option<String> {
    let clock = moment.clock();
    let date = format!("{:04}-{:02}-{:02}", clock.year, clock.month, clock.day);
    let time = format!("{:02}:{:02}:{:02}", clock.hour, clock.minute, clock.second);
    Some(match part.to_ascii_lowercase().as_str() {
        "year" => format!("{:04}", clock.year),
        "month" => format!("{:02}", clock.month),
        "day" => format!("{:02}", clock.day),
        "date" => date,
        // Days since 17 November 1858.
        "julian" => (clock.days + 40_587).to_string(),
        "hour" => format!("{:02}", clock.hour),
        "minute" => format!("{:02}", clock.minute),
        "second" => format!("{:02}", clock.second),
        "time" => time,
        "iso8601" => {
            let mut zone = moment.zone();
            zone.insert(zone.len().min(3), ':');
            let zone = if moment.offset == 0 { "Z" } else { &zone };
            format!("{date}T{time}{zone}")
        }
        "std11" => moment.std11(),
        "zone" => moment.zone(),
        "weekday" => clock.weekday().to_string(),
        _ => return None,
    })
}
