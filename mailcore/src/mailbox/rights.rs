//! Who may do what with a mailbox, as data: [`Rights`], [`Identifier`],
//! [`effective_rights`] (RFC 4314).
//!
//! Nothing is enforced here.

use std::fmt;

/// A set of rights (RFC 4314 section 2.1). Digits are left to servers there
/// and mean nothing here, so they are not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u16);

/// The letters, in the order of RFC 4314 section 2.1; a right's bit is its
/// place. Stores keep the letters.
const LETTERS: [u8; 12] = *b"lrswipkxtean";

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self((1 << LETTERS.len()) - 1);
    /// `l`: the mailbox is listed and may be subscribed to.
    pub const LOOKUP: Self = Self(1);
    /// `r`: it may be selected, its messages read.
    pub const READ: Self = Self(1 << 1);
    /// `s`: `\Seen` is kept.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: other flags may be changed.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: messages may be added, by APPEND and by COPY into it.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: mail may be sent to it directly.
    pub const POST: Self = Self(1 << 5);
    /// `k`: mailboxes may be made below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: it may be deleted or renamed.
    pub const DELETE_MAILBOX: Self = Self(1 << 7);
    /// `t`: `\Deleted` may be set and cleared.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: messages may be expunged.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: rights on it may be seen and changed.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// `n`: shared annotations may be written (RFC 5257 section 3.4).
    pub const ANNOTATE: Self = Self(1 << 11);

    /// Reads rights as clients write them. `c` and `d` of RFC 2086 stand for
    /// `kx` and `te` (RFC 4314 section 2.1.1). `None` for letters that are no
    /// rights, digits and capitals among them: RFC 4314 section 3.1 has these
    /// refused.
    pub fn parse(text: &[u8]) -> Option<Self> {
        text.iter().try_fold(Self::NONE, |rights, letter| {
            Some(rights | Self::letter(*letter)?)
        })
    }

    fn letter(letter: u8) -> Option<Self> {
        match letter {
            b'c' => Some(Self::CREATE | Self::DELETE_MAILBOX),
            b'd' => Some(Self::DELETE_MESSAGES | Self::EXPUNGE),
            _ => {
                let place = LETTERS.iter().position(|it| *it == letter)?;
                Some(Self(1 << place))
            }
        }
    }

    /// The letters as the responses ACL and MYRIGHTS show them: with `c` where
    /// `k` or `x` is among them and `d` where `t` or `e` is, for clients of
    /// RFC 2086 (RFC 4314 section 2.1.1).
    pub fn with_obsolete(self) -> String {
        let mut text = self.to_string();
        if self.intersects(Self::CREATE | Self::DELETE_MAILBOX) {
            text.push('c');
        }
        if self.intersects(Self::DELETE_MESSAGES | Self::EXPUNGE) {
            text.push('d');
        }
        text
    }

    /// True when every right of `other` is among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when a right of `other` is among these.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True for [`Rights::NONE`].
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The letters without `c` and `d`.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = LETTERS.iter().enumerate();
        held.filter(|(place, _)| self.0 & (1 << place) != 0)
            .try_for_each(|(_, letter)| write!(f, "{}", char::from(*letter)))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// Octets allowed in an identifier.
pub const MAX_IDENTIFIER: usize = 512;

/// Whom an entry of an access control list is about (RFC 4314 section 2): an
/// account, `anyone`, a group (`$name`), or with `-` before it, whom rights
/// are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier(String);

impl Identifier {
    /// The identifier that stands for everybody.
    pub const ANYONE: &'static str = "anyone";

    /// An identifier, unless `text` is empty, longer than [`MAX_IDENTIFIER`],
    /// or holds control characters.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let bare = name.strip_prefix('$').unwrap_or(name);
        let is_good =
            !bare.is_empty() && text.len() <= MAX_IDENTIFIER && !text.chars().any(char::is_control);
        is_good.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when its rights are taken away rather than given.
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    /// Whom it is about, without the sign.
    pub fn name(&self) -> &str {
        self.0.strip_prefix('-').unwrap_or(&self.0)
    }

    /// True when it is about this account or, with `$` before its name, one of
    /// these groups, or everybody.
    pub fn is_about(&self, account: &str, groups: &[&str]) -> bool {
        match self.name().strip_prefix('$') {
            Some(group) => groups.contains(&group),
            None => self.name() == Self::ANYONE || self.name() == account,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// About whom.
    pub identifier: Identifier,
    /// Which rights.
    pub rights: Rights,
}

/// How SETACL changes an entry (RFC 4314 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsChange {
    /// These and no others.
    Replace(Rights),
    /// These too.
    Add(Rights),
    /// Not these.
    Remove(Rights),
}

impl RightsChange {
    /// What stands afterwards.
    pub fn apply(self, rights: Rights) -> Rights {
        match self {
            Self::Replace(new) => new,
            Self::Add(more) => rights | more,
            Self::Remove(fewer) => rights.without(fewer),
        }
    }
}

/// What `account`, being in `groups` (their names without `$`), may do by
/// these entries: the union of what is given to it, to its groups and to
/// everybody, without what is taken from any of them (RFC 4314 section 2).
/// Rights that an owner has anyway are not in the entries and not in the
/// result.
pub fn effective_rights(acl: &[AclEntry], account: &str, groups: &[&str]) -> Rights {
    let (mut given, mut taken) = (Rights::NONE, Rights::NONE);
    for entry in acl {
        if !entry.identifier.is_about(account, groups) {
            continue;
        }
        if entry.identifier.is_negative() {
            taken = taken | entry.rights;
        } else {
            given = given | entry.rights;
        }
    }
    given.without(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(text: &str) -> Rights {
        Rights::parse(text.as_bytes()).unwrap()
    }

    fn acl(entries: &[(&str, &str)]) -> Vec<AclEntry> {
        let entry = |(who, what): &(&str, &str)| AclEntry {
            identifier: Identifier::parse(who).unwrap(),
            rights: rights(what),
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn letters_are_read_and_shown() {
        assert_eq!(rights("lrswipkxtean"), Rights::ALL);
        assert_eq!(rights("trwl").to_string(), "lrwt");
        assert_eq!(rights("cd").to_string(), "kxte");
        assert_eq!(rights("le").with_obsolete(), "led");
        assert_eq!(rights("lx").with_obsolete(), "lxc");
        assert_eq!(rights("lr").with_obsolete(), "lr");
        for bad in ["L", "l r", "z", "0"] {
            assert_eq!(Rights::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(rights("lr").contains(Rights::READ) && !rights("lr").contains(rights("ls")));
    }

    #[test]
    fn identifiers_name_accounts_groups_and_everybody() {
        for bad in ["", "-", "$", "-$", "a\r\nb"] {
            assert_eq!(Identifier::parse(bad), None, "{bad:?}");
        }
        let group = Identifier::parse("-$staff").unwrap();
        assert!(group.is_negative() && group.is_about("a", &["staff"]));
        assert!(!group.is_about("$staff", &[]) && !group.is_about("staff", &[]));
    }

    #[test]
    fn what_is_taken_outweighs_what_is_given() {
        let acl = acl(&[
            ("anyone", "lr"),
            ("fred@x.test", "w"),
            ("$staff", "i"),
            ("-fred@x.test", "r"),
            ("-$interns", "i"),
        ]);
        let of = |account, groups: &[&str]| effective_rights(&acl, account, groups).to_string();
        assert_eq!(of("bob@x.test", &[]), "lr");
        assert_eq!(of("fred@x.test", &["staff"]), "lwi");
        assert_eq!(of("bob@x.test", &["staff", "interns"]), "lr");
        assert_eq!(effective_rights(&[], "bob@x.test", &[]), Rights::NONE);
    }

    #[test]
    fn changes_replace_add_and_remove() {
        let old = rights("lr");
        assert_eq!(RightsChange::Replace(rights("w")).apply(old), rights("w"));
        assert_eq!(RightsChange::Add(rights("w")).apply(old), rights("lrw"));
        assert_eq!(RightsChange::Remove(rights("rw")).apply(old), rights("l"));
    }
}
