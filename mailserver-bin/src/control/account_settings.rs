//! Settings of accounts: words of the components that read them, by name.

use mailcore::account::AccountId;
use mailcore::mailbox::MailboxName;
use mailcore::seams::{Scope, Settings};

use super::admin::{Admin, words};

/// A setting that an account may have.
struct Known {
    key: &'static str,
    check: fn(&str) -> Result<(), String>,
}

/// All of them. A name that nothing reads would be a wish that nobody hears.
const KNOWN: [Known; 1] = [Known {
    key: "pop3.folder",
    check: |text| MailboxName::parse(text).map(drop).map_err(words),
}];

/// A setting as it is wanted; `None` to have it taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    key: &'static str,
    value: Option<String>,
}

/// Reads `KEY=VALUE`; nothing behind the sign takes the setting away.
pub(super) fn parse(text: &str) -> Result<Wanted, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("\"{text}\" is no setting; write KEY=VALUE"))?;
    let Some(known) = KNOWN.iter().find(|known| known.key == key) else {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.key).collect();
        let names = names.join(", ");
        return Err(format!("there is no setting \"{key}\"; there are: {names}"));
    };
    let value = (!value.is_empty()).then(|| value.to_owned());
    if let Some(value) = &value {
        (known.check)(value).map_err(|error| format!("{key}: {error}"))?;
    }
    let key = known.key;
    Ok(Wanted { key, value })
}

impl Admin {
    pub(super) async fn set_for_account(
        &self,
        id: AccountId,
        settings: &[Wanted],
    ) -> Result<(), String> {
        let scope = Scope::Account(id);
        for Wanted { key, value } in settings {
            let set = self.directory.set(&scope, key, value.as_deref()).await;
            set.map_err(words)?;
        }
        Ok(())
    }

    /// What is set for the account itself, a row each.
    pub(super) async fn settings_of(&self, id: AccountId) -> Result<Vec<Vec<String>>, String> {
        let held = self.directory.values(&Scope::Account(id)).await;
        let known = |key: &str| KNOWN.iter().any(|known| known.key == key);
        let held = held.map_err(words)?.into_iter();
        let rows = held.filter(|(key, _)| known(key));
        Ok(rows
            .map(|(key, value)| vec![key.to_string(), value.to_string()])
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_one_that_is_read_with_a_value_that_can_be_used() {
        let wanted = |value: Option<&str>| {
            Ok(Wanted {
                key: "pop3.folder",
                value: value.map(str::to_owned),
            })
        };
        assert_eq!(
            parse("pop3.folder=Archive/2026"),
            wanted(Some("Archive/2026"))
        );
        assert_eq!(parse("pop3.folder=a=b"), wanted(Some("a=b")));
        assert_eq!(parse("pop3.folder="), wanted(None));
        for wrong in ["pop3.folder", "pop3.foldr=x", "pop3.folder=a//b", "=x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
