//! Which mail a test waits for: [`to`], [`from`], [`subject`] and the others,
//! combined by [`Matcher::and`], [`Matcher::or`] and `!`.
//!
//! ```
//! use mailcore::testing::matchers::{attachment, subject, to};
//!
//! let invoice = to("ann@app.test").and(subject("invoice")).and(!attachment("draft.pdf"));
//! assert_eq!(
//!     format!("{invoice:?}"),
//!     r#"to ann@app.test and subject contains "invoice" and no attachment "draft.pdf""#
//! );
//! ```

use std::fmt;
use std::ops::Not;
use std::sync::Arc;

use super::mail::CapturedMail;
use super::near::likeness;

/// Says of a message whether it is the one.
#[derive(Clone)]
#[must_use]
pub struct Matcher(Kind);

type Judge = Arc<dyn Fn(&CapturedMail) -> bool + Send + Sync>;

#[derive(Clone)]
enum Kind {
    Anything,
    To(String),
    From(String),
    Subject(String),
    SubjectIs(String),
    Header(String, String),
    Text(String),
    Attachment(String),
    Where(String, Judge),
    And(Vec<Matcher>),
    Or(Vec<Matcher>),
    Not(Box<Matcher>),
}

/// Every message.
pub fn anything() -> Matcher {
    Matcher(Kind::Anything)
}

/// Mail for this address, by its envelope; letter case does not matter.
pub fn to(address: impl ToString) -> Matcher {
    Matcher(Kind::To(address.to_string()))
}

/// Mail from this address, by its envelope or its From field; letter case does
/// not matter. `""` is the sender of notices.
pub fn from(address: impl ToString) -> Matcher {
    Matcher(Kind::From(address.to_string()))
}

/// The decoded subject contains this; letter case does not matter.
pub fn subject(part: impl Into<String>) -> Matcher {
    Matcher(Kind::Subject(part.into()))
}

/// The decoded subject is exactly this.
pub fn subject_is(whole: impl Into<String>) -> Matcher {
    Matcher(Kind::SubjectIs(whole.into()))
}

/// A header field of this name contains this, decoded; letter case does not
/// matter.
pub fn header(name: impl Into<String>, part: impl Into<String>) -> Matcher {
    Matcher(Kind::Header(name.into(), part.into()))
}

/// The decoded text or HTML contains this.
pub fn text(part: impl Into<String>) -> Matcher {
    Matcher(Kind::Text(part.into()))
}

/// There is an attachment of this file name.
pub fn attachment(name: impl Into<String>) -> Matcher {
    Matcher(Kind::Attachment(name.into()))
}

/// Whatever else: `words` say in a failure what was wanted.
pub fn matching(
    words: impl Into<String>,
    judge: impl Fn(&CapturedMail) -> bool + Send + Sync + 'static,
) -> Matcher {
    Matcher(Kind::Where(words.into(), Arc::new(judge)))
}

impl Matcher {
    /// Both.
    pub fn and(self, other: Self) -> Self {
        let mut all = match self.0 {
            Kind::And(all) => all,
            one => vec![Self(one)],
        };
        all.push(other);
        Self(Kind::And(all))
    }

    /// At least one of both.
    pub fn or(self, other: Self) -> Self {
        let mut any = match self.0 {
            Kind::Or(any) => any,
            one => vec![Self(one)],
        };
        any.push(other);
        Self(Kind::Or(any))
    }

    /// True of the message that is waited for.
    pub fn matches(&self, mail: &CapturedMail) -> bool {
        match &self.0 {
            Kind::Anything => true,
            Kind::To(address) => mail
                .recipients
                .iter()
                .any(|it| same(&it.to_string(), address)),
            Kind::From(address) => senders(mail).iter().any(|it| same(it, address)),
            Kind::Subject(part) => contains(&mail.subject, part),
            Kind::SubjectIs(whole) => mail.subject == *whole,
            Kind::Header(name, part) => mail.headers(name).iter().any(|it| contains(it, part)),
            Kind::Text(part) => mail.text.contains(part) || mail.html.contains(part),
            Kind::Attachment(name) => mail.attachment(name).is_some(),
            Kind::Where(_, judge) => judge(mail),
            Kind::And(all) => all.iter().all(|it| it.matches(mail)),
            Kind::Or(any) => any.iter().any(|it| it.matches(mail)),
            Kind::Not(other) => !other.matches(mail),
        }
    }

    /// What does not hold of this message, in words.
    pub(super) fn misses(&self, mail: &CapturedMail) -> Vec<String> {
        match &self.0 {
            _ if self.matches(mail) => Vec::new(),
            Kind::And(all) => all.iter().flat_map(|it| it.misses(mail)).collect(),
            _ => vec![match self.saw(mail) {
                Some(saw) => format!("{self:?}: it is {saw}"),
                None => format!("{self:?}"),
            }],
        }
    }

    /// How near a message comes: 0 to 1.
    pub(super) fn nearness(&self, mail: &CapturedMail) -> f64 {
        let of = |all: &[Self]| all.iter().map(|it| it.nearness(mail)).collect::<Vec<f64>>();
        match &self.0 {
            _ if self.matches(mail) => 1.0,
            Kind::And(all) => of(all).iter().sum::<f64>() / all.len().max(1) as f64,
            Kind::Or(any) => of(any).into_iter().fold(0.0, f64::max),
            // What does not hold counts less than the least that does.
            _ => 0.9 * self.wanted_and_seen(mail),
        }
    }

    fn wanted_and_seen(&self, mail: &CapturedMail) -> f64 {
        let best = |wanted: &str, seen: Vec<String>| {
            let each = seen.iter().map(|it| likeness(wanted, it));
            each.fold(0.0, f64::max)
        };
        match &self.0 {
            Kind::To(it) => best(
                it,
                mail.recipients.iter().map(ToString::to_string).collect(),
            ),
            Kind::From(it) => best(it, senders(mail)),
            Kind::Subject(it) | Kind::SubjectIs(it) => likeness(it, &mail.subject),
            Kind::Header(name, it) => best(it, mail.headers(name)),
            Kind::Attachment(it) => best(
                it,
                mail.attachments.iter().map(|it| it.name.clone()).collect(),
            ),
            _ => 0.0,
        }
    }

    /// What the message has in the place that was looked at.
    fn saw(&self, mail: &CapturedMail) -> Option<String> {
        let listed = |all: Vec<String>| match all.len() {
            0 => "missing".to_owned(),
            _ => all.join(", "),
        };
        match &self.0 {
            Kind::To(_) => Some(listed(
                mail.recipients.iter().map(ToString::to_string).collect(),
            )),
            Kind::From(_) => Some(format!("<{}>", mail.reverse_path)),
            Kind::Subject(_) | Kind::SubjectIs(_) => Some(format!("{:?}", mail.subject)),
            Kind::Header(name, _) => Some(listed(mail.headers(name))),
            Kind::Text(_) => Some(format!("{:?}", beginning(&mail.text, &mail.html))),
            Kind::Attachment(_) => Some(listed(
                mail.attachments.iter().map(|it| it.name.clone()).collect(),
            )),
            _ => None,
        }
    }
}

/// Not that.
impl Not for Matcher {
    type Output = Self;

    fn not(self) -> Self {
        Self(Kind::Not(Box::new(self)))
    }
}

impl fmt::Debug for Matcher {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Self], word: &str| {
            for (index, it) in all.iter().enumerate() {
                let before = if index == 0 { "" } else { word };
                match &it.0 {
                    Kind::And(_) | Kind::Or(_) => write!(f, "{before}({it:?})")?,
                    _ => write!(f, "{before}{it:?}")?,
                }
            }
            Ok(())
        };
        match &self.0 {
            Kind::Anything => f.write_str("anything"),
            Kind::To(address) => write!(f, "to {address}"),
            Kind::From(address) => write!(f, "from <{address}>"),
            Kind::Subject(part) => write!(f, "subject contains {part:?}"),
            Kind::SubjectIs(whole) => write!(f, "subject is {whole:?}"),
            Kind::Header(name, part) => write!(f, "{name} contains {part:?}"),
            Kind::Text(part) => write!(f, "text contains {part:?}"),
            Kind::Attachment(name) => write!(f, "attachment {name:?}"),
            Kind::Where(words, _) => f.write_str(words),
            Kind::And(all) => joined(f, all, " and "),
            Kind::Or(any) => joined(f, any, " or "),
            Kind::Not(other) => match &other.0 {
                Kind::And(_) | Kind::Or(_) => write!(f, "not ({other:?})"),
                Kind::Attachment(_) => write!(f, "no {other:?}"),
                _ => write!(f, "not {other:?}"),
            },
        }
    }
}

/// The envelope's sender, and the From field's where it names another.
fn senders(mail: &CapturedMail) -> Vec<String> {
    let mut senders = vec![mail.reverse_path.to_string()];
    if mail.reverse_path.is_null() {
        return senders;
    }
    let summary = crate::message::HeaderEnvelope::parse(&crate::message::Header::new(&mail.octets));
    let named = summary.from.iter().filter_map(|it| it.mailbox());
    senders.extend(named.map(|it| String::from_utf8_lossy(&it.address()).into_owned()));
    senders
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Enough of a body to know it by.
fn beginning(text: &str, html: &str) -> String {
    let body = if text.trim().is_empty() { html } else { text };
    body.chars().take(120).collect()
}
