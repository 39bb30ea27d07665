//! GETMETADATA and SETMETADATA (RFC 5464).

use mailcore::mailbox::{Annotation, EntryName, MailboxName};

use super::{Started, failure};
use crate::codec::{Cursor, Encoder, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::{MetadataCode, ResponseCode};
use crate::wording::{self, Status};

/// Entries that one command names.
const MAX_NAMED: usize = 200;

const NO_ENTRY: ParseError = ParseError::Expected("an entry below /shared or /private");

/// What GETMETADATA asks for.
#[derive(Debug)]
struct Wanted {
    /// None: of the server.
    mailbox: Option<MailboxName>,
    entries: Vec<EntryName>,
    options: Options,
}

/// `getmetadata-options`
#[derive(Debug, Default)]
struct Options {
    max_size: Option<usize>,
    depth: usize,
}

/// `getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`;
/// the examples of RFC 5464 section 4.2 have the options behind the mailbox.
pub(super) fn start_get(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let mut before = None;
    if cursor.peek() == Some(b'(') {
        before = Some(options(cursor)?);
        cursor.space()?;
    }
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let behind = match starts_options(cursor) {
        true => {
            let options = options(cursor)?;
            cursor.space()?;
            Some(options)
        }
        false => None,
    };
    let wanted = Wanted {
        mailbox,
        entries: entries(cursor)?,
        options: before.or(behind).unwrap_or_default(),
    };
    cursor.end()?;
    let of_host = match wanted.mailbox {
        None => cx.config.server_annotations(),
        Some(_) => Vec::new(),
    };
    Started::ask(
        Question::Annotations(wanted.mailbox.clone()),
        move |cx, answer| match answer {
            Answer::Annotations(kept) => wanted.respond(cx, kept, of_host),
            other => failure(&other),
        },
    )
}

impl Wanted {
    /// What there is of the entries asked for, and NIL for those that are not
    /// there.
    fn respond(&self, cx: &mut Context, kept: Vec<Annotation>, of_host: Vec<Annotation>) -> Status {
        let (mut values, mut longest) = (Vec::new(), 0);
        let all: Vec<Annotation> = of_host.into_iter().chain(kept).collect();
        for name in &self.entries {
            let found = all.iter().filter(|it| {
                let depth = name.depth_of(&it.entry);
                depth.is_some_and(|depth| depth <= self.options.depth)
            });
            let mut is_there = false;
            for annotation in found {
                is_there |= annotation.entry == *name;
                let size = annotation.value.len();
                if self.options.max_size.is_some_and(|most| size > most) {
                    longest = longest.max(size);
                } else {
                    values.push((&annotation.entry, Some(&*annotation.value)));
                }
            }
            if !is_there && self.options.depth == 0 {
                values.push((name, None));
            }
        }
        if !values.is_empty() {
            respond(&mut cx.out.encoder(), self.mailbox.as_ref(), &values);
        }
        let done = Status::ok("GETMETADATA completed");
        match longest {
            0 => done,
            size => done.with(ResponseCode::Metadata(MetadataCode::LongEntries(size))),
        }
    }
}

/// `setmetadata = "SETMETADATA" SP mailbox SP entry-values`
pub(super) fn start_set(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    cursor.expect(b'(', "a list of entries and values")?;
    let mut changes = Vec::new();
    loop {
        let entry = entry(cursor)?;
        cursor.space()?;
        let value = value(cursor)?;
        if changes.len() >= MAX_NAMED {
            return Err(ParseError::TooMuch("entries"));
        }
        changes.push((entry, value));
        if cursor.eat(b')') {
            break;
        }
        cursor.space()?;
    }
    cursor.end()?;
    let most = cx.config.annotation_size;
    if changes
        .iter()
        .any(|(_, it)| it.as_ref().is_some_and(|it| it.len() > most))
    {
        return Started::done(wording::annotation_too_big(most));
    }
    // What all see of the server is the host's to set.
    if mailbox.is_none() && changes.iter().any(|(entry, _)| entry.is_shared()) {
        return Started::done(wording::annotation_is_the_hosts());
    }
    let question = Question::Annotate {
        mailbox,
        changes,
        limit: cx.config.max_annotations,
    };
    Started::ask(question, |_, answer| match answer {
        Answer::Done => Status::ok("SETMETADATA completed"),
        Answer::TooManyAnnotations => wording::too_many_annotations(),
        other => failure(&other),
    })
}

/// The empty string stands for the server.
fn mailbox(cursor: &mut Cursor<'_>) -> Result<Option<MailboxName>, ParseError> {
    let text = cursor.mailbox_text()?;
    match text.as_str() {
        "" => Ok(None),
        name => MailboxName::parse(name)
            .map(Some)
            .map_err(|_| ParseError::MailboxName),
    }
}

/// An entry begins with a slash, an option with a letter.
fn starts_options(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.rest(), [b'(', letter, ..] if letter.is_ascii_alphabetic())
}

fn options(cursor: &mut Cursor<'_>) -> Result<Options, ParseError> {
    cursor.expect(b'(', "a list of options")?;
    let mut options = Options::default();
    loop {
        if cursor.eat_word("MAXSIZE") {
            cursor.space()?;
            options.max_size = Some(usize::try_from(cursor.number()?).unwrap_or(usize::MAX));
        } else if cursor.eat_word("DEPTH") {
            cursor.space()?;
            options.depth = depth(cursor)?;
        } else {
            return Err(ParseError::Expected("MAXSIZE or DEPTH"));
        }
        if cursor.eat(b')') {
            return Ok(options);
        }
        cursor.space()?;
    }
}

/// `scope-opt = "DEPTH" SP ("0" / "1" / "infinity")`
fn depth(cursor: &mut Cursor<'_>) -> Result<usize, ParseError> {
    for (word, depth) in [("0", 0), ("1", 1), ("infinity", usize::MAX)] {
        if cursor.eat_word(word) {
            return Ok(depth);
        }
    }
    Err(ParseError::Expected("0, 1 or infinity"))
}

/// `entries = entry / "(" entry *(SP entry) ")"`
fn entries(cursor: &mut Cursor<'_>) -> Result<Vec<EntryName>, ParseError> {
    if !cursor.eat(b'(') {
        return Ok(vec![asked(cursor)?]);
    }
    let mut entries = Vec::new();
    loop {
        let entry = asked(cursor)?;
        if entries.len() >= MAX_NAMED {
            return Err(ParseError::TooMuch("entries"));
        }
        if !entries.contains(&entry) {
            entries.push(entry);
        }
        if cursor.eat(b')') {
            return Ok(entries);
        }
        cursor.space()?;
    }
}

fn entry(cursor: &mut Cursor<'_>) -> Result<EntryName, ParseError> {
    let name = cursor.astring()?;
    EntryName::parse(&name).ok_or(NO_ENTRY)
}

/// As [`entry`]; all of `/shared` or of `/private` may be asked for, too.
fn asked(cursor: &mut Cursor<'_>) -> Result<EntryName, ParseError> {
    let name = cursor.astring()?;
    EntryName::parse(&name)
        .or_else(|| EntryName::top(&name))
        .ok_or(NO_ENTRY)
}

/// `value = nstring / literal8`
fn value(cursor: &mut Cursor<'_>) -> Result<Option<Vec<u8>>, ParseError> {
    cursor.eat(b'~');
    Ok(cursor.nstring()?.map(std::borrow::Cow::into_owned))
}

/// `metadata-resp = "METADATA" SP mailbox SP entry-values`
fn respond(
    out: &mut Encoder<'_>,
    mailbox: Option<&MailboxName>,
    values: &[(&EntryName, Option<&[u8]>)],
) {
    out.raw("* METADATA ");
    match mailbox {
        Some(name) => out.mailbox(name),
        None => out.raw("\"\""),
    };
    for (at, (entry, value)) in values.iter().enumerate() {
        out.raw(if at == 0 { " (" } else { " " });
        out.astring(entry.as_str().as_bytes()).raw(" ");
        match value {
            // Only a literal8 may hold NUL (RFC 3516 section 4.2).
            Some(value) if value.contains(&0) => {
                out.raw("~{").number(value.len() as u64).raw("}").crlf();
                out.octets(value)
            }
            value => out.nstring(*value),
        };
    }
    out.raw(")").crlf();
}
