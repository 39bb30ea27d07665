//! Conditions from Sieve tests.

use super::super::FINDING_PREFIX;
use super::super::condition::{
    Condition, How, Join, Part, SizeBound, SpamBound, Subject, Test, TimeBound, Virus, Weekday,
};
use super::super::lower::{LIST_FIELDS, NAME_FIELDS, NAME_PARAMETERS, NUMERIC, UNICODE};
use super::arguments::Arguments;
use super::{Import, Refused};
use crate::engine::ast;
use crate::engine::ast::Value;

/// Tags with a value behind them.
const VALUED: [&str; 4] = ["comparator", "value", "count", "param"];

impl Import {
    pub(super) fn condition(&self, test: &ast::Test) -> Result<Condition, Refused> {
        let arguments = &mut Arguments::new(&test.name, test.at, &test.arguments, &VALUED);
        let inner = match test.name.as_str() {
            "not" => {
                let Some(inner) = test.tests.first() else {
                    return arguments.refused("lacks a test");
                };
                let inner = self.condition(inner)?;
                return Ok(Condition {
                    not: !inner.not,
                    ..inner
                });
            }
            "allof" => Test::Group(Join::All, self.all(&test.tests)?),
            "anyof" => Test::Group(Join::Any, self.all(&test.tests)?),
            "header" => self.header(arguments)?,
            "address" => self.address(arguments)?,
            "envelope" => self.envelope(arguments)?,
            "body" => {
                arguments.tag("text");
                self.text(arguments, Subject::Body)?
            }
            "environment" => {
                let how = how(arguments)?;
                let item = self.plain(arguments.text()?, arguments.at)?;
                let Some(name) = item.strip_prefix(FINDING_PREFIX) else {
                    return arguments.refused("asks what rules don't");
                };
                self.compared(arguments, Subject::Finding(name.to_owned()), how)?
            }
            "exists" => {
                let names = arguments.texts()?;
                Test::Exists(self.plain_all(names, arguments)?)
            }
            "size" => size(arguments)?,
            "spamtest" => spam(arguments)?,
            "virustest" => virus(arguments)?,
            "currentdate" => self.moment(arguments)?,
            _ => return arguments.refused("can't be the condition of a rule"),
        };
        arguments.end()?;
        Ok(Condition::is(inner))
    }

    fn plain_all(&self, texts: Vec<&str>, at: &Arguments<'_>) -> Result<Vec<String>, Refused> {
        let texts = texts.into_iter();
        texts.map(|text| self.plain(text, at.at)).collect()
    }

    fn header(&self, arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
        if arguments.tag("mime") {
            return self.attachment(arguments);
        }
        let how = how(arguments)?;
        let names = arguments.texts()?;
        let names = self.plain_all(names, arguments)?;
        let test = self.compared(arguments, Subject::Header(names), how)?;
        Ok(match &test {
            Test::Text(Subject::Header(names), How::Contains, texts)
                if *names == LIST_FIELDS && *texts == [""] =>
            {
                Test::FromList
            }
            _ => test,
        })
    }

    fn attachment(&self, arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
        if !arguments.tag("anychild") {
            return arguments.refused(":mime without :anychild can't be written as a rule");
        }
        let parameters = arguments.value("param");
        let (of_type, of_content) = (arguments.tag("type"), arguments.tag("contenttype"));
        let how = how(arguments)?;
        let fields = arguments.texts()?;
        let texts = arguments.texts()?;
        let alike = |a: &[&str], b: &[&str]| a.len() == b.len() && same(a, b);
        if let Some(parameters) = parameters {
            let parameters = arguments.texts_in(parameters)?;
            if !alike(&parameters, &NAME_PARAMETERS) || !alike(&fields, &NAME_FIELDS) {
                return arguments.refused("looks into parameters that rules don't know");
            }
            let texts = self.plain_all(texts, arguments)?;
            return Ok(Test::Text(Subject::AttachmentName, how, texts));
        }
        if of_content && alike(&fields, &["content-type"]) {
            let texts = self.plain_all(texts, arguments)?;
            return Ok(Test::Text(Subject::AttachmentType, how, texts));
        }
        let attached = alike(&fields, &["content-disposition"]) && alike(&texts, &["attachment"]);
        match of_type && how == How::Is && attached {
            true => Ok(Test::Attachment),
            false => arguments.refused("looks into parts in a way that rules don't"),
        }
    }

    fn address(&self, arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
        let part = part(arguments);
        let how = how(arguments)?;
        let names = arguments.texts()?;
        let names = self.plain_all(names, arguments)?;
        self.compared(arguments, Subject::Address(names, part), how)
    }

    fn envelope(&self, arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
        let part = part(arguments);
        let how = how(arguments)?;
        let which = arguments.texts()?;
        let subject = match which.as_slice() {
            [which] if which.eq_ignore_ascii_case("from") => Subject::Sender(part),
            [which] if which.eq_ignore_ascii_case("to") => Subject::Recipient(part),
            _ => return arguments.refused("asks for more than the sender or the recipient"),
        };
        self.compared(arguments, subject, how)
    }

    fn text(&self, arguments: &mut Arguments<'_>, subject: Subject) -> Result<Test, Refused> {
        let how = how(arguments)?;
        self.compared(arguments, subject, how)
    }

    fn compared(
        &self,
        arguments: &mut Arguments<'_>,
        subject: Subject,
        how: How,
    ) -> Result<Test, Refused> {
        let texts = arguments.texts()?;
        let texts = self.plain_all(texts, arguments)?;
        Ok(Test::Text(subject, how, texts))
    }

    fn moment(&self, arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
        let relation = arguments.text_behind("value")?;
        if relation.is_none() {
            how(arguments)?;
        }
        let part = arguments.text()?.to_ascii_lowercase();
        let texts = arguments.texts()?;
        let texts = self.plain_all(texts, arguments)?;
        let bound = match relation {
            Some("ge") => Some(TimeBound::From),
            Some("le") => Some(TimeBound::Until),
            _ => None,
        };
        match (part.as_str(), bound, texts.as_slice()) {
            ("date", Some(bound), [day]) => Ok(Test::Date(bound, day.clone())),
            ("time", Some(bound), [time]) => Ok(Test::Time(bound, time.clone())),
            ("weekday", None, days) if relation.is_none() => {
                let days: Option<Vec<Weekday>> = days.iter().map(|day| weekday(day)).collect();
                match days {
                    Some(days) => Ok(Test::Weekday(days)),
                    None => arguments.refused("names a day that is none"),
                }
            }
            _ => arguments.refused("asks for a time in a way that rules don't"),
        }
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    let number: usize = text.parse().ok()?;
    Weekday::ALL.get(number).map(|(_, day)| *day)
}

fn same(a: &[&str], b: &[&str]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Takes the match type and the comparator.
fn how(arguments: &mut Arguments<'_>) -> Result<How, Refused> {
    let types = [
        ("is", How::Is),
        ("contains", How::Contains),
        ("matches", How::Matches),
        ("regex", How::Regex),
    ];
    let found = types.into_iter().find(|(tag, _)| arguments.tag(tag));
    let comparator = arguments.text_behind("comparator")?;
    match comparator {
        None | Some("i;ascii-casemap" | UNICODE) => {}
        Some(other) => {
            return arguments.refused(&format!("compares by {other}, which rules don't"));
        }
    }
    Ok(found.map_or(How::Is, |(_, how)| how))
}

fn part(arguments: &mut Arguments<'_>) -> Part {
    let user = arguments.tag("localpart");
    let domain = arguments.tag("domain");
    arguments.tag("all");
    match (user, domain) {
        (true, _) => Part::User,
        (_, true) => Part::Domain,
        _ => Part::All,
    }
}

fn size(arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
    let over = arguments.tag("over");
    let under = arguments.tag("under");
    match (&arguments.next()?.value, over, under) {
        (Value::Number(octets), true, false) => Ok(Test::Size(SizeBound::Over, *octets)),
        (Value::Number(octets), false, true) => Ok(Test::Size(SizeBound::Under, *octets)),
        _ => arguments.refused("needs :over or :under and a number"),
    }
}

/// Takes `:value "ge" :comparator "i;ascii-numeric" "70"`.
fn graded<'s>(arguments: &mut Arguments<'s>) -> Result<(&'s str, &'s str), Refused> {
    let relation = arguments.text_behind("value")?;
    let comparator = arguments.text_behind("comparator")?;
    match (relation, comparator) {
        (Some(relation), Some(NUMERIC)) => Ok((relation, arguments.text()?)),
        _ => arguments.refused("needs :value and :comparator \"i;ascii-numeric\""),
    }
}

fn spam(arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
    let percent = arguments.tag("percent");
    let (relation, value) = graded(arguments)?;
    let bound = match relation {
        "ge" => Some(SpamBound::AtLeast),
        "lt" => Some(SpamBound::Below),
        _ => None,
    };
    let value: Option<u8> = value.parse().ok();
    // Without :percent there are 10 grades (RFC 5235 section 3.2).
    let value = value.map(|value| {
        if percent {
            value
        } else {
            value.saturating_mul(10)
        }
    });
    match (bound, value) {
        (Some(bound), Some(value)) => Ok(Test::Spam(bound, value)),
        _ => arguments.refused("compares in a way that rules don't: write \"ge\" or \"lt\""),
    }
}

fn virus(arguments: &mut Arguments<'_>) -> Result<Test, Refused> {
    match graded(arguments)? {
        ("eq", "0") => Ok(Test::Virus(Virus::Untested)),
        ("eq", "1") => Ok(Test::Virus(Virus::Clean)),
        ("ge", "4") => Ok(Test::Virus(Virus::Infected)),
        _ => arguments.refused("asks what rules don't: untested, clean and infected are known"),
    }
}
