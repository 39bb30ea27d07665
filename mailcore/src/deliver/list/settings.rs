//! [`ListSettings`]: how a list's mail looks and what is done about its members,
//! set for one list, for the lists of a domain, or for all.

use std::time::Duration;

use thiserror::Error;

use crate::address::Address;
use crate::seams::{Directory, DirectoryError, Scope};

const DAY: u64 = 24 * 3_600;

/// What holds for a list, beside what its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSettings {
    /// What people call it, in List-Id and in rewritten From fields.
    pub name: Option<String>,
    /// What subjects begin with. It breaks signatures that cover the subject.
    pub subject_tag: Option<String>,
    /// Whether the author's address is put in place of by the list's.
    pub from: FromRewriting,
    /// Where old messages can be read, as a URL (RFC 2369 section 3.6).
    pub archive: Option<String>,
    /// Whether anybody may join by mail.
    pub subscribe: ByMail,
    /// Whether members may leave by mail.
    pub unsubscribe: ByMail,
    /// Whether the one who writes gets his message, too, when he is a member.
    pub own_copy: OwnCopy,
    /// For how long a message waits for a moderator.
    pub hold_for: Duration,
    /// On how many days mail for a member must have failed before he gets none any
    /// more; 0 for never.
    pub bounce_limit: u32,
}

impl Default for ListSettings {
    fn default() -> Self {
        Self {
            name: None,
            subject_tag: None,
            from: FromRewriting::Never,
            archive: None,
            subscribe: ByMail::No,
            unsubscribe: ByMail::Confirmed,
            own_copy: OwnCopy::Yes,
            hold_for: Duration::from_secs(5 * DAY),
            bounce_limit: 5,
        }
    }
}

/// When a list writes in its own name, its authors' in the words beside it: a
/// domain may ask others to refuse what has its address in From and no signature
/// of its own that holds (RFC 7489 section 6.3; RFC 7960 section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FromRewriting {
    /// Never: messages go on as they are, and their signatures hold.
    #[default]
    Never,
    /// When the author's domain asks for that.
    Dmarc,
    /// Always.
    Always,
}

/// Whether something can be done by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByMail {
    /// No.
    No,
    /// Yes, once the one whose address it is about has answered a question.
    Confirmed,
}

/// Whether the one who writes gets his message, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnCopy {
    /// He does.
    Yes,
    /// He does not.
    No,
}

/// Why a setting can't be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListSettingError {
    /// There is none of this name.
    #[error("{0:?} is no setting of lists; they are {all}", all = ListSettings::KEYS.join(", "))]
    Unknown(String),
    /// Its value can't be read.
    #[error("{key} can't be {value:?}; write {wanted}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What can be.
        wanted: &'static str,
    },
}

impl ListSettings {
    /// The settings' names.
    pub const KEYS: [&'static str; 9] = [
        "name",
        "subject-tag",
        "from",
        "archive",
        "subscribe",
        "unsubscribe",
        "own-copy",
        "hold-days",
        "bounce-limit",
    ];

    /// The key under which a directory keeps a setting: of one list, at the scope
    /// of its domain; of all lists of a scope without `list`.
    pub fn key(name: &str, list: Option<&Address>) -> String {
        match list {
            Some(list) => format!("list.{name}:{}", list.folded().local_part()),
            None => format!("list.{name}"),
        }
    }

    /// What holds for `list`. What can't be read is passed over, with a word in
    /// the log: mail is not kept back for it.
    ///
    /// # Errors
    /// The directory does not answer.
    pub async fn of(directory: &dyn Directory, list: &Address) -> Result<Self, DirectoryError> {
        let mut all = Self::default();
        let Some(settings) = directory.settings() else {
            return Ok(all);
        };
        let scope = Scope::Domain(list.domain().clone());
        for name in Self::KEYS {
            let own = settings.value(&scope, &Self::key(name, Some(list))).await?;
            let value = match own {
                Some(value) => Some(value),
                None => {
                    let found = settings.setting(&scope, &Self::key(name, None)).await?;
                    found.map(|it| it.value)
                }
            };
            if let Some(value) = value
                && let Err(error) = all.set(name, &value)
            {
                tracing::warn!(%list, %error, "a setting of a list is passed over");
            }
        }
        Ok(all)
    }

    /// Sets one.
    ///
    /// # Errors
    /// What can be instead.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ListSettingError> {
        let key = Self::KEYS.into_iter().find(|key| *key == name);
        let key = key.ok_or_else(|| ListSettingError::Unknown(name.to_owned()))?;
        let wrong = |wanted| ListSettingError::Value {
            key,
            value: value.to_owned(),
            wanted,
        };
        let line = |most: usize, wanted| match value.chars().any(char::is_control) {
            false if !value.is_empty() && value.len() <= most => Ok(Some(value.to_owned())),
            _ => Err(wrong(wanted)),
        };
        match key {
            "name" => self.name = line(128, "up to 128 octets on one line")?,
            "subject-tag" => self.subject_tag = line(64, "up to 64 octets on one line")?,
            "archive" => {
                let url = line(512, "a URL of up to 512 octets")?;
                let is_url = |url: &String| {
                    url.contains(':')
                        && url.bytes().all(|it| it.is_ascii_graphic())
                        && !url.contains(['<', '>'])
                };
                self.archive = Some(url.filter(is_url).ok_or(wrong("a URL"))?);
            }
            "from" => {
                self.from = match value {
                    "never" => FromRewriting::Never,
                    "dmarc" => FromRewriting::Dmarc,
                    "always" => FromRewriting::Always,
                    _ => return Err(wrong("never, dmarc or always")),
                }
            }
            "subscribe" => self.subscribe = by_mail(value).ok_or(wrong("no or confirm"))?,
            "unsubscribe" => self.unsubscribe = by_mail(value).ok_or(wrong("no or confirm"))?,
            "own-copy" => {
                self.own_copy = match value {
                    "yes" => OwnCopy::Yes,
                    "no" => OwnCopy::No,
                    _ => return Err(wrong("yes or no")),
                }
            }
            "hold-days" => {
                let days = value.parse().ok().filter(|days| (1..=365).contains(days));
                let days: u64 = days.ok_or(wrong("a number of days from 1 to 365"))?;
                self.hold_for = Duration::from_secs(days * DAY);
            }
            _ => {
                let limit = value.parse().ok();
                self.bounce_limit = limit.ok_or(wrong("a number, 0 for never"))?;
            }
        }
        Ok(())
    }

    /// What people call the list.
    pub(super) fn name_of<'a>(&'a self, list: &'a Address) -> &'a str {
        self.name.as_deref().unwrap_or(list.local_part())
    }
}

fn by_mail(value: &str) -> Option<ByMail> {
    match value {
        "no" => Some(ByMail::No),
        "confirm" => Some(ByMail::Confirmed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_set_and_says_what_it_may_be() {
        let mut settings = ListSettings::default();
        for (name, good, bad) in [
            ("name", "The news", "two\r\nlines"),
            ("subject-tag", "[news]", ""),
            ("from", "dmarc", "sometimes"),
            ("archive", "https://x.test/news", "<here>"),
            ("subscribe", "confirm", "yes"),
            ("unsubscribe", "no", "yes"),
            ("own-copy", "no", "2"),
            ("hold-days", "14", "0"),
            ("bounce-limit", "0", "-1"),
        ] {
            let before = settings.clone();
            settings.set(name, good).unwrap();
            assert_ne!(settings, before, "{name}");
            let error = settings.set(name, bad).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        let error = settings.set("colour", "red").unwrap_err().to_string();
        assert!(error.contains("subject-tag"), "{error}");
    }
}
