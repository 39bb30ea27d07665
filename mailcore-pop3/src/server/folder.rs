//! [`Folders`]: which folder of an account is the maildrop.

use mailcore::account::AccountId;
use mailcore::mailbox::MailboxName;
use mailcore::seams::{Directory, Scope};

/// The setting that names the folder of an account, a domain's accounts or all
/// of them (`mailcore::seams::Settings`).
const SETTING: &str = "pop3.folder";

/// Which folder a session serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Folders {
    /// The one that the directory's setting `pop3.folder` names, else INBOX.
    #[default]
    Chosen,
    /// The one named with the login, `user+folder@domain`; without a name, as
    /// [`Folders::Chosen`].
    ByLogin,
}

/// A login without the folder named in it, and that folder.
pub(super) fn split_login(folders: Folders, login: &str) -> (String, Option<String>) {
    if folders != Folders::ByLogin {
        return (login.to_owned(), None);
    }
    let (local, domain) = match login.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (login, None),
    };
    match (local.split_once('+'), domain) {
        (Some((user, folder)), Some(domain)) => {
            (format!("{user}@{domain}"), Some(folder.to_owned()))
        }
        (Some((user, folder)), None) => (user.to_owned(), Some(folder.to_owned())),
        (None, _) => (login.to_owned(), None),
    }
}

/// The folder that is set for the account. One that can't be looked up, or that
/// no folder can be called, is told to the log, not to the client: mail in INBOX
/// is better than none.
pub(super) async fn chosen(directory: Option<&dyn Directory>, account: &AccountId) -> MailboxName {
    let Some(settings) = directory.and_then(Directory::settings) else {
        return MailboxName::inbox();
    };
    let scope = Scope::Account(account.clone());
    let name = match settings.setting(&scope, SETTING).await {
        Ok(Some(setting)) => MailboxName::parse(&setting.value).map_err(|it| it.to_string()),
        Ok(None) => Ok(MailboxName::inbox()),
        Err(error) => Err(error.to_string()),
    };
    name.unwrap_or_else(|error| {
        tracing::warn!(%account, %error, "no use of {SETTING}; INBOX is served");
        MailboxName::inbox()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_before_the_domain_and_only_where_that_is_allowed() {
        let split = |login| split_login(Folders::ByLogin, login);
        let folder = |name: &str| Some(name.to_owned());
        assert_eq!(
            split("ann+Lists/rust+x@a.test"),
            ("ann@a.test".to_owned(), folder("Lists/rust+x"))
        );
        assert_eq!(split("ann+Ä"), ("ann".to_owned(), folder("Ä")));
        assert_eq!(split("ann@a.test"), ("ann@a.test".to_owned(), None));
        let whole = ("ann+x@a.test".to_owned(), None);
        assert_eq!(split_login(Folders::Chosen, "ann+x@a.test"), whole);
    }
}
