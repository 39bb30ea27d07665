//! One field of a crontab: which values it takes and how they are written.

use std::fmt;

use super::CrontabError;

/// The five fields, in the order in which they are written.
pub(super) const FIELDS: [Field; 5] = [
    Field::Minute,
    Field::Hour,
    Field::DayOfMonth,
    Field::Month,
    Field::DayOfWeek,
];

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Sunday when it ends a range.
const LAST_SUNDAY: u8 = 7;

/// A field of a [`Crontab`](super::Crontab).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or `jan` to `dec`.
    Month,
    /// 0 to 7, both of which are Sunday, or `sun` to `sat`.
    DayOfWeek,
}

/// The values of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Values {
    /// A bit for each.
    pub(super) set: u64,
    /// Written with `*` first: the field restricts nothing by itself.
    pub(super) starred: bool,
}

impl Field {
    /// The lowest value, and the highest that `*` stands for.
    fn bounds(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 6),
        }
    }

    /// The highest value that may be written.
    fn highest(self) -> u8 {
        match self {
            Self::DayOfWeek => LAST_SUNDAY,
            _ => self.bounds().1,
        }
    }

    /// What may be written here, in words.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Minute => "0-59",
            Self::Hour => "0-23",
            Self::DayOfMonth => "1-31",
            Self::Month => "1-12 or jan-dec",
            Self::DayOfWeek => "0-7 (0 and 7 are Sunday) or sun-sat",
        }
    }

    /// The values of a field's text.
    pub(super) fn parse(self, text: &str) -> Result<Values, CrontabError> {
        let mut set = 0;
        for item in text.split(',') {
            set |= self.item(item)?;
        }
        if self == Self::DayOfWeek && set & 1 << LAST_SUNDAY != 0 {
            set = (set | 1) & !(1 << LAST_SUNDAY);
        }
        Ok(Values {
            set,
            starred: text.starts_with('*'),
        })
    }

    /// `*`, `a`, `a-b`, `*/n` or `a-b/n`.
    fn item(self, text: &str) -> Result<u64, CrontabError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => self.bounds(),
            Some((first, last)) => (self.value(first, text)?, self.end(last, text)?),
            None if step.is_some() => return Err(CrontabError::StepOnValue(self, text.into())),
            None => {
                let value = self.value(range, text)?;
                (value, value)
            }
        };
        if last < first {
            return Err(CrontabError::Backwards(self, text.into()));
        }
        let most = (last - first).max(1);
        let step = match step {
            None => 1,
            Some(step) => match number(step) {
                Some(step) if (1..=most).contains(&step) => step,
                _ => return Err(CrontabError::Step(self, text.into(), most)),
            },
        };
        let values = (first..=last).step_by(usize::from(step));
        Ok(values.fold(0, |set, value| set | 1 << value))
    }

    /// The end of a range, where Sunday comes after Saturday.
    fn end(self, word: &str, item: &str) -> Result<u8, CrontabError> {
        match self {
            Self::DayOfWeek if word.eq_ignore_ascii_case("sun") => Ok(LAST_SUNDAY),
            _ => self.value(word, item),
        }
    }

    fn value(self, word: &str, item: &str) -> Result<u8, CrontabError> {
        let named = |names: &[&str], first: usize| {
            let at = names
                .iter()
                .position(|name| word.eq_ignore_ascii_case(name))?;
            u8::try_from(at + first).ok()
        };
        let value = match self {
            Self::Month => named(&MONTHS, 1),
            Self::DayOfWeek => named(&WEEKDAYS, 0),
            _ => None,
        };
        value
            .or_else(|| number(word))
            .filter(|value| (self.bounds().0..=self.highest()).contains(value))
            .ok_or_else(|| CrontabError::Value(self, item.into()))
    }
}

/// Digits alone: `+5` is no number here.
fn number(word: &str) -> Option<u8> {
    let digits = word.bytes().all(|octet| octet.is_ascii_digit());
    word.parse().ok().filter(|_| digits)
}

impl Values {
    pub(super) fn has(self, value: u32) -> bool {
        self.next(value) == Some(value)
    }

    /// The first value that is `from` or more.
    pub(super) fn next(self, from: u32) -> Option<u32> {
        next_bit(self.set, from)
    }
}

/// The first bit set that is `from` or higher.
pub(super) fn next_bit(set: u64, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}
