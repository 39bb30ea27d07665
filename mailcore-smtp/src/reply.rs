//! SMTP replies: [`ReplyCode`], [`Reply`] and its encoding (RFC 5321 section
//! 4.2, enhanced codes per RFC 2034).
//!
//! Which reply a situation deserves is for each side's `wording.rs` to say.

mod parser;

use std::borrow::Cow;
use std::fmt;

use mailcore::status::{EnhancedStatusCode, Status, StatusClass};

pub use parser::{ReplyError, ReplyParser};

/// Octets of a reply line with its code and CRLF (RFC 5321 section 4.5.3.1.5).
pub const MAX_REPLY_LINE: usize = 512;

/// Octets of text that fit on a line after `250-5.999.999 `.
const MAX_TEXT: usize = MAX_REPLY_LINE - "250-5.999.999 \r\n".len();

/// Octets of a reply that go into statuses and notices.
const MAX_TOLD: usize = 8 * 1_024;

/// `Reply-code = %x32-35 %x30-35 %x30-39`: 200 to 599. The second digit may be
/// up to 9, since deployed servers write what the grammar does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

/// What the first digit of a reply says (RFC 5321 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// `2yz`: done.
    Completed,
    /// `3yz`: go on, more is awaited.
    Intermediate,
    /// `4yz`: not now.
    Transient,
    /// `5yz`: never.
    Permanent,
}

impl ReplyCode {
    /// A code, if it is within 200 to 599.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What its first digit says.
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Completed,
            3 => Severity::Intermediate,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }

    /// The class that an enhanced code of this reply has; 3yz has none.
    pub const fn status_class(self) -> Option<StatusClass> {
        match self.severity() {
            Severity::Completed => Some(StatusClass::Success),
            Severity::Intermediate => None,
            Severity::Transient => Some(StatusClass::Transient),
            Severity::Permanent => Some(StatusClass::Permanent),
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $doc:literal;)*) => {
        impl ReplyCode {
            $(#[doc = $doc] pub const $name: Self = Self($code);)*
        }
    };
}

codes! {
    HELP = 214, "Help message.";
    READY = 220, "Service ready.";
    CLOSING = 221, "Service closing the channel.";
    AUTHENTICATED = 235, "Authentication succeeded (RFC 4954 section 6).";
    OK = 250, "Done.";
    NOTHING_WAITS = 251, "No messages wait for the node (RFC 1985 section 5.1).";
    CANNOT_VERIFY = 252, "Cannot VRFY the user, but will take a message and try.";
    QUEUE_STARTED = 253, "Messages that wait for the node are started (RFC 1985).";
    CHALLENGE = 334, "The text is a SASL challenge (RFC 4954 section 4).";
    START_INPUT = 354, "Start mail input.";
    UNAVAILABLE = 421, "Service not available, closing the channel.";
    MAILBOX_BUSY = 450, "Mailbox unavailable for now.";
    LOCAL_ERROR = 451, "Local error in processing.";
    NO_STORAGE = 452, "Insufficient system storage, or too many recipients.";
    AUTH_UNAVAILABLE = 454, "Temporary authentication failure, or TLS not available.";
    QUEUE_UNABLE = 458, "The node's messages can't be started (RFC 1985 section 5.1).";
    NODE_DENIED = 459, "The node is not allowed (RFC 1985 section 5.1).";
    UNRECOGNISED = 500, "Syntax error, command unrecognised.";
    BAD_ARGUMENTS = 501, "Syntax error in parameters or arguments.";
    NOT_IMPLEMENTED = 502, "Command not implemented.";
    BAD_SEQUENCE = 503, "Bad sequence of commands.";
    PARAMETER_NOT_IMPLEMENTED = 504, "Command parameter not implemented.";
    NO_MAIL = 521, "The host takes no mail (RFC 7504 section 3).";
    AUTH_REQUIRED = 530, "Authentication, or STARTTLS, required.";
    AUTH_FAILED = 535, "Authentication credentials invalid.";
    ENCRYPTION_REQUIRED = 538, "Encryption required for the mechanism.";
    MAILBOX_UNAVAILABLE = 550, "Mailbox unavailable, or refused by policy.";
    EXCEEDED_STORAGE = 552, "Exceeded storage allocation, or message too large.";
    NAME_NOT_ALLOWED = 553, "Mailbox name not allowed.";
    FAILED = 554, "Transaction failed.";
    UNKNOWN_PARAMETER = 555, "MAIL or RCPT parameter not recognised.";
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A whole reply of one or more lines.
///
/// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code
/// [ SP textstring ] CRLF`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    enhanced: Option<EnhancedStatusCode>,
    lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A reply without enhanced code. A text too long for one line is folded
    /// over several.
    pub fn new(code: ReplyCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            enhanced: None,
            lines: fold(clean(text.into())),
        }
    }

    /// The same with `class.subject.detail` before the text, the class taken
    /// from `code` as RFC 2034 section 4 demands. Without effect on 3yz.
    #[must_use]
    pub fn enhanced(mut self, subject: u16, detail: u16) -> Self {
        self.enhanced = self.code.status_class().map(|class| EnhancedStatusCode {
            class,
            subject,
            detail,
        });
        self
    }

    /// A reply whose lines are given one by one, and are not folded: EHLO's
    /// keywords, a SASL challenge.
    pub fn from_lines(code: ReplyCode, lines: impl IntoIterator<Item = Cow<'static, str>>) -> Self {
        Self {
            code,
            enhanced: None,
            lines: lines.into_iter().map(clean).collect(),
        }
    }

    /// A reply that says `status`. Its class decides between `transient` and
    /// `permanent`; a success is said as 250.
    pub fn from_status(status: &Status, transient: ReplyCode, permanent: ReplyCode) -> Self {
        let code = match status.code.class {
            StatusClass::Success => ReplyCode::OK,
            StatusClass::Transient => transient,
            StatusClass::Permanent => permanent,
        };
        Self::new(code, status.text.clone()).enhanced(status.code.subject, status.code.detail)
    }

    /// The same with `?` for every character that is not ASCII: what a peer is
    /// told that knows RFC 5321 alone (section 4.2, `textstring`).
    #[must_use]
    pub fn in_ascii(mut self) -> Self {
        for line in self.lines.iter_mut().filter(|line| !line.is_ascii()) {
            let ascii: String = line
                .chars()
                .map(|c| if c.is_ascii() { c } else { '?' })
                .collect();
            *line = ascii.into();
        }
        self
    }

    /// The code.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced code, when there is one.
    pub fn enhanced_code(&self) -> Option<EnhancedStatusCode> {
        self.enhanced
    }

    /// The texts of the lines, without codes. At least one.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(AsRef::as_ref)
    }

    /// The text, its lines joined by spaces.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// True for 2yz.
    pub fn is_completed(&self) -> bool {
        self.code.severity() == Severity::Completed
    }

    /// The reply as a status: its enhanced code, or `x.0.0` of its class where
    /// it has none, and its text, cut to 8 KiB. A 3yz is told as a permanent 5.5.0: nobody
    /// asks for the status of an answer that only says "go on".
    pub fn to_status(&self) -> Status {
        let class = self.code.status_class();
        let code = self.enhanced.unwrap_or_else(|| match class {
            Some(class) => EnhancedStatusCode {
                class,
                subject: 0,
                detail: 0,
            },
            None => EnhancedStatusCode::permanent(5, 0),
        });
        Status::new(code, told(self.text()))
    }

    /// The lines with their codes, one after the other, as notices quote them
    /// (RFC 3461 section 9.2). `None` where code and [`Reply::to_status`] say the
    /// same.
    pub fn transcribed(&self) -> Option<String> {
        if self.lines.len() == 1 && self.enhanced.is_some() {
            return None;
        }
        let mut octets = Vec::new();
        self.encode(&mut octets);
        let text = String::from_utf8(octets).ok()?;
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Some(told(lines.join(" ")))
    }

    /// Appends the reply to `out` as it goes over the wire.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let prefix = self
            .enhanced
            .map(|code| format!("{code} "))
            .unwrap_or_default();
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            out.extend_from_slice(self.code.to_string().as_bytes());
            out.push(if at == last { b' ' } else { b'-' });
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        if let Some(code) = self.enhanced {
            write!(f, "{code} ")?;
        }
        f.write_str(&self.text())
    }
}

/// A text cut to what is told.
fn told(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TOLD));
    text
}

/// No text from anywhere can start a line of its own.
fn clean(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().any(char::is_control) {
        return text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>()
            .into();
    }
    text
}

/// Breaks a long text at spaces where it can.
fn fold(text: Cow<'static, str>) -> Vec<Cow<'static, str>> {
    if text.len() <= MAX_TEXT {
        return vec![text];
    }
    let mut lines: Vec<Cow<'static, str>> = Vec::new();
    let mut rest: &str = &text;
    while rest.len() > MAX_TEXT {
        let head = rest
            .get(..rest.floor_char_boundary(MAX_TEXT))
            .unwrap_or(rest);
        let end = head.rfind(' ').filter(|&at| at > 0).unwrap_or(head.len());
        let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        lines.push(line.to_owned().into());
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    if !rest.is_empty() {
        lines.push(rest.to_owned().into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_carries_both_codes() {
        assert_eq!(
            wire(&Reply::new(ReplyCode::OK, "fine").enhanced(1, 5)),
            "250 2.1.5 fine\r\n"
        );
        let lines = ["a".into(), "b".into()];
        assert_eq!(
            wire(&Reply::from_lines(ReplyCode::OK, lines).enhanced(0, 0)),
            "250-2.0.0 a\r\n250 2.0.0 b\r\n"
        );
        assert_eq!(
            wire(&Reply::from_lines(ReplyCode::CHALLENGE, ["".into()]).enhanced(0, 0)),
            "334 \r\n"
        );
    }

    #[test]
    fn a_host_that_says_much_is_quoted_in_part() {
        let lines = (0..200).map(|_| "\u{e9}".repeat(2_000).into());
        let reply = Reply::from_lines(ReplyCode::MAILBOX_BUSY, lines);
        assert!(reply.to_status().text.len() <= MAX_TOLD);
        let said = reply.transcribed().unwrap();
        assert!((MAX_TOLD - 1..=MAX_TOLD).contains(&said.len()));
    }

    #[test]
    fn no_text_adds_a_line_or_passes_the_line_limit() {
        assert_eq!(
            wire(&Reply::new(ReplyCode::OK, "a\r\n550 b")),
            "250 a  550 b\r\n"
        );
        let long = Reply::new(ReplyCode::FAILED, "слово ".repeat(400)).enhanced(7, 1);
        assert!(
            wire(&long)
                .split_inclusive("\r\n")
                .all(|line| line.len() <= MAX_REPLY_LINE)
        );
        assert_eq!(long.text().trim_end(), "слово ".repeat(400).trim_end());
    }

    #[test]
    fn ascii_is_what_is_left_for_old_peers() {
        assert_eq!(
            wire(&Reply::new(ReplyCode::FAILED, "no ящик").in_ascii()),
            "554 no ????\r\n"
        );
    }

    #[test]
    fn a_status_keeps_its_class() {
        let status = Status::transient(2, 2, "over quota");
        let reply = Reply::from_status(&status, ReplyCode::NO_STORAGE, ReplyCode::EXCEEDED_STORAGE);
        assert_eq!(wire(&reply), "452 4.2.2 over quota\r\n");
        assert_eq!(reply.to_status(), status);
    }
}
