//! What a rule asks of a message.

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// True when the test must not hold.
    pub not: bool,
    /// What is asked.
    pub test: Test,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Test {
    /// Conditions of their own.
    Group(Join, Vec<Condition>),
    /// Whether something is like one of these texts.
    Text(Subject, How, Vec<String>),
    /// Whether all of these header fields are there.
    Exists(Vec<String>),
    /// Whether it came by a list (RFC 2369, RFC 2919).
    FromList,
    /// How large it is, in octets.
    Size(SizeBound, u64),
    /// Whether some part says that it is an attachment (RFC 2183).
    Attachment,
    /// How spam-like it is, in percent (RFC 5235).
    Spam(SpamBound, u8),
    /// What the test for viruses said (RFC 5235).
    Virus(Virus),
    /// The day on which it arrives: `2026-12-24`.
    Date(TimeBound, String),
    /// The time of the day at which it arrives: `18:00:00`.
    Time(TimeBound, String),
    /// The day of the week on which it arrives.
    Weekday(Vec<Weekday>),
}

/// How conditions are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Join {
    /// All have to hold.
    #[default]
    All,
    /// One has to.
    Any,
}

/// What is compared with texts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A value of one of these header fields, names in lower case.
    Header(Vec<String>),
    /// An address in one of these header fields.
    Address(Vec<String>, Part),
    /// The envelope's sender; empty for nobody.
    Sender(Part),
    /// The envelope's recipient.
    Recipient(Part),
    /// The text, without what marks it up.
    Body,
    /// The name of an attachment.
    AttachmentName,
    /// A part's type: `application/pdf`.
    AttachmentType,
    /// The result of a test of the filters: `dnsbl`, `spf`.
    Finding(String),
}

/// How it is compared, capitals or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum How {
    /// It is the text.
    Is,
    /// The text is in it.
    Contains,
    /// It begins with the text.
    Begins,
    /// It ends with the text.
    Ends,
    /// It is like the pattern, `*` standing for any characters and `?` for one
    /// (RFC 5228 section 2.7.1).
    Matches,
    /// The regular expression finds something in it.
    Regex,
}

impl How {
    /// All, with the words for them.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("is", Self::Is),
        ("contains", Self::Contains),
        ("begins", Self::Begins),
        ("ends", Self::Ends),
        ("matches", Self::Matches),
        ("regex", Self::Regex),
    ];
}

/// Which part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Part {
    /// All of it.
    #[default]
    All,
    /// What stands before the `@`.
    User,
    /// What stands behind it.
    Domain,
}

/// A bound of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeBound {
    /// Larger.
    Over,
    /// Smaller.
    Under,
}

/// A bound of likeness to spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpamBound {
    /// So much or more.
    AtLeast,
    /// Less, or not tested at all.
    Below,
}

/// What a test for viruses said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Virus {
    /// It was not asked.
    Untested,
    /// It found nothing.
    Clean,
    /// It found something that is in the message still.
    Infected,
}

impl Virus {
    pub(crate) const ALL: [(&'static str, Self); 3] = [
        ("untested", Self::Untested),
        ("clean", Self::Clean),
        ("infected", Self::Infected),
    ];
}

/// A bound of days and of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeBound {
    /// Then or later.
    From,
    /// Then or earlier.
    Until,
}

/// A day of the week, in the numbers of RFC 5260 section 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "days")]
pub enum Weekday {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl Weekday {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("sun", Self::Sunday),
        ("mon", Self::Monday),
        ("tue", Self::Tuesday),
        ("wed", Self::Wednesday),
        ("thu", Self::Thursday),
        ("fri", Self::Friday),
        ("sat", Self::Saturday),
    ];
}

impl Condition {
    /// The test has to hold.
    pub fn is(test: Test) -> Self {
        Self { not: false, test }
    }

    /// The test must not hold.
    pub fn not(test: Test) -> Self {
        Self { not: true, test }
    }

    /// The one way to write what may be written in several: a group of one is that
    /// one, a pattern with one star at its end is a beginning, names of fields are in lower case, days are
    /// in their order.
    pub(crate) fn normal(mut self) -> Self {
        match &mut self.test {
            Test::Group(_, conditions) => {
                let taken = std::mem::take(conditions).into_iter();
                *conditions = taken.map(Self::normal).collect();
                if let [_] = conditions.as_slice()
                    && let Some(inner) = conditions.pop()
                {
                    let not = self.not != inner.not;
                    return Self { not, ..inner };
                }
            }
            Test::Text(subject, how, values) => {
                if let Subject::Header(names) | Subject::Address(names, _) = subject {
                    lower(names);
                }
                if *how == How::Matches {
                    plain_pattern(how, values);
                }
            }
            Test::Exists(names) => lower(names),
            Test::Weekday(days) => {
                days.sort();
                days.dedup();
            }
            _ => {}
        }
        self
    }
}

fn lower(names: &mut [String]) {
    for name in names {
        name.make_ascii_lowercase();
    }
}

fn plain_pattern(how: &mut How, values: &mut Vec<String>) {
    let all = |cut: fn(&str) -> Option<String>| -> Option<Vec<String>> {
        values.iter().map(|value| cut(value)).collect()
    };
    let plain = match all(beginning) {
        Some(texts) => Some((How::Begins, texts)),
        None => all(ending).map(|texts| (How::Ends, texts)),
    };
    if let Some((plain, texts)) = plain {
        (*how, *values) = (plain, texts);
    }
}

/// The text of a pattern that is a text and a star.
fn beginning(pattern: &str) -> Option<String> {
    literal(pattern.strip_suffix('*')?)
}

fn ending(pattern: &str) -> Option<String> {
    literal(pattern.strip_prefix('*')?)
}

/// The text that a pattern without wildcards stands for; `None` for one with
/// them, for none, and where the backslash has nothing to quote.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' | '?' => return None,
            '\\' => text.push(rest.next()?),
            _ => text.push(c),
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The pattern that stands for a text itself.
pub(super) fn quoted_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
