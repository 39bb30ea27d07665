//! Reads APPEND's arguments, a stretch between two messages' octets at a time.

use std::collections::VecDeque;

use mailcore::mailbox::Flags;
use mailcore::message::DateTime;
use mailcore::time::Timestamp;

use crate::codec::{Cursor, ParseError};

/// What stands before a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub(super) flags: Flags,
    pub(super) internal_date: Option<Timestamp>,
}

/// How octets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Literal,
    /// `literal8`, which may hold NUL (RFC 3516 section 4.4).
    Literal8,
    /// `"UTF8" SP "(" literal8 ")"`: with headers in UTF-8 (RFC 6855 section 4).
    /// Those are taken in any form: refusing them would lose mail that other
    /// servers let in.
    Utf8,
}

/// Where in the arguments a stretch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the mailbox.
    First,
    /// Behind the octets of a message.
    Message(Form),
    /// Behind the octets of a part (RFC 4469).
    Part,
}

/// What is to be done, in the order of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    /// A message begins.
    Begin(Options),
    /// Octets of another message belong to it (RFC 4469 section 3).
    Url(String),
    /// Octets come.
    Octets(Form),
    /// The message is whole.
    End,
}

/// A stretch of the command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Octets of a message follow it, and then what begins at this place.
    Octets(VecDeque<Element>, Place),
    /// A URL as a literal follows it: read again with that.
    Url,
    /// The command ends.
    Last(VecDeque<Element>),
}

/// Which forms of APPEND the session knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Messages {
    One,
    /// MULTIAPPEND (RFC 3502).
    Several,
}

/// ```text
/// append      = "APPEND" SP mailbox 1*append-message
/// append-message = [SP flag-list] [SP date-time] SP append-data
/// append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" /
///               "CATENATE" SP "(" cat-part *(SP cat-part) ")"
/// cat-part    = "TEXT" SP literal / "URL" SP astring
/// ```
/// from `place` on to the next octets of a message, or to the end.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    place: Place,
    messages: Messages,
) -> Result<Stretch, ParseError> {
    let mut elements = VecDeque::new();
    let mut inside = match place {
        Place::First => false,
        Place::Message(form) => {
            if form == Form::Utf8 {
                cursor.expect(b')', "the end of the UTF8 message")?;
            }
            elements.push_back(Element::End);
            false
        }
        Place::Part => goes_on(cursor, &mut elements)?,
    };
    loop {
        if !inside {
            if elements.back() == Some(&Element::End) {
                if cursor.is_at_end() {
                    return Ok(Stretch::Last(elements));
                }
                if messages == Messages::One {
                    return Err(ParseError::TooMuch("messages; one at a time"));
                }
            }
            elements.push_back(Element::Begin(options(cursor)?));
            if !cursor.eat_word("CATENATE") {
                let form = message(cursor)?;
                elements.push_back(Element::Octets(form));
                return Ok(Stretch::Octets(elements, Place::Message(form)));
            }
            cursor.space()?;
            cursor.expect(b'(', "a list of parts")?;
        }
        if cursor.eat_word("TEXT") {
            cursor.space()?;
            let form = literal(cursor)?;
            elements.push_back(Element::Octets(form));
            return Ok(Stretch::Octets(elements, Place::Part));
        }
        if !cursor.eat_word("URL") {
            return Err(ParseError::Expected("TEXT or URL"));
        }
        cursor.space()?;
        if is_announcement(cursor.rest()) {
            return Ok(Stretch::Url);
        }
        elements.push_back(Element::Url(cursor.astring_utf8()?));
        inside = goes_on(cursor, &mut elements)?;
    }
}

/// Behind a part: true when another follows.
fn goes_on(cursor: &mut Cursor<'_>, elements: &mut VecDeque<Element>) -> Result<bool, ParseError> {
    if cursor.eat(b')') {
        elements.push_back(Element::End);
        return Ok(false);
    }
    cursor.space()?;
    Ok(true)
}

/// `[SP flag-list] [SP date-time] SP`
fn options(cursor: &mut Cursor<'_>) -> Result<Options, ParseError> {
    cursor.space()?;
    let mut options = Options::default();
    if cursor.peek() == Some(b'(') {
        options.flags = cursor.flag_list()?;
        cursor.space()?;
    }
    if cursor.peek() == Some(b'"') {
        let text = cursor.string()?;
        let date = DateTime::parse_imap(&text).ok_or(ParseError::Expected("a date-time"))?;
        options.internal_date = Some(date.timestamp());
        cursor.space()?;
    }
    Ok(options)
}

/// `literal / literal8 / "UTF8" SP "(" literal8`
fn message(cursor: &mut Cursor<'_>) -> Result<Form, ParseError> {
    if !cursor.eat_word("UTF8") {
        return literal(cursor);
    }
    cursor.space()?;
    cursor.expect(b'(', "a literal in parentheses")?;
    match literal(cursor)? {
        Form::Literal8 => Ok(Form::Utf8),
        _ => Err(ParseError::Expected("a literal that begins with ~")),
    }
}

/// `["~"] "{" number ["+"] "}" CRLF`, whose octets are still to come.
fn literal(cursor: &mut Cursor<'_>) -> Result<Form, ParseError> {
    let form = match cursor.eat(b'~') {
        true => Form::Literal8,
        false => Form::Literal,
    };
    match is_announcement(cursor.rest()) {
        true => Ok(form),
        false => Err(ParseError::Expected("the message as a literal")),
    }
}

/// `{n}`, `{n+}` and nothing more.
pub(super) fn is_announcement(rest: &[u8]) -> bool {
    rest.first() == Some(&b'{')
        && rest.ends_with(b"}\r\n")
        && memchr::memchr_iter(b'\n', rest).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str, place: Place) -> Result<Stretch, ParseError> {
        read(&mut Cursor::new(text.as_bytes()), place, Messages::Several)
    }

    fn url(text: &str) -> Element {
        Element::Url(text.to_owned())
    }

    #[test]
    fn parts_and_messages_follow_each_other() {
        let begin = || Element::Begin(Options::default());
        assert_eq!(
            elements(" CATENATE (URL /a URL \"/b\" TEXT {4}\r\n", Place::First),
            Ok(Stretch::Octets(
                [
                    begin(),
                    url("/a"),
                    url("/b"),
                    Element::Octets(Form::Literal)
                ]
                .into(),
                Place::Part
            ))
        );
        assert_eq!(
            elements(" URL /c) CATENATE (URL /d)", Place::Part),
            Ok(Stretch::Last(
                [url("/c"), Element::End, begin(), url("/d"), Element::End].into()
            ))
        );
        assert_eq!(
            elements(") ~{7+}\r\n", Place::Message(Form::Utf8)),
            Ok(Stretch::Octets(
                [Element::End, begin(), Element::Octets(Form::Literal8)].into(),
                Place::Message(Form::Literal8)
            ))
        );
    }

    #[test]
    fn a_url_as_a_literal_is_waited_for_and_then_read() {
        let announced = " CATENATE (URL {2}\r\n";
        assert_eq!(elements(announced, Place::First), Ok(Stretch::Url));
        let whole = format!("{announced}/a)");
        let Ok(Stretch::Last(elements)) = elements(&whole, Place::First) else {
            panic!("not read");
        };
        assert_eq!(elements.get(1), Some(&url("/a")));
    }

    #[test]
    fn what_is_off_the_grammar_is_refused() {
        for (text, place) in [
            ("", Place::First),
            (" CATENATE ()", Place::First),
            (" CATENATE (URL)", Place::First),
            (" CATENATE (URL /a", Place::First),
            (" CATENATE (TEXT {3}\r\nabc)", Place::First),
            (" (\\Seen)", Place::First),
            (" UTF8 ({3}\r\n", Place::First),
            ("x", Place::Message(Form::Literal)),
            ("", Place::Message(Form::Utf8)),
            ("", Place::Part),
        ] {
            assert!(elements(text, place).is_err(), "{text:?}");
        }
    }
}
