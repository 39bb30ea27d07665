//! The addresses that belong to a list beside its own, as
//! `news-bounces+token@example.com` to `news@example.com`.

use crate::address::Address;

/// What an address of a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListRole {
    /// `-owner`: who answers for the list (RFC 2142 section 6).
    Owner,
    /// `-bounces+token`: notices about the list's mail.
    Bounces,
    /// `-request`: whoever wants something of the list (RFC 2142 section 6).
    Request,
    /// `-subscribe`: wants to be on it.
    Subscribe,
    /// `-unsubscribe`: wants to be off it.
    Unsubscribe,
    /// `-confirm+token`: means it.
    Confirm,
    /// `-approve+token`: a moderator lets a message out.
    Approve,
    /// `-reject+token`: a moderator does not.
    Reject,
    /// `-approved+token`: a message that was let out, on its way.
    Approved,
}

impl ListRole {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Owner,
        Self::Bounces,
        Self::Request,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Confirm,
        Self::Approve,
        Self::Reject,
        Self::Approved,
    ];

    /// The word after the list's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Bounces => "bounces",
            Self::Request => "request",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Confirm => "confirm",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Approved => "approved",
        }
    }

    /// The address of `list` for this; `None` when it would be longer than an
    /// address can be (RFC 5321 section 4.5.3.1.1).
    pub fn at(self, list: &Address, token: Option<&str>) -> Option<Address> {
        let (name, role) = (list.local_part(), self.as_str());
        let local_part = match token {
            Some(token) => format!("{name}-{role}+{token}"),
            None => format!("{name}-{role}"),
        };
        Address::new(&local_part, list.domain().clone()).ok()
    }
}

/// An address read as one that belongs to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListAddress {
    /// The list, if there is one of this name.
    pub list: Address,
    /// What it is for.
    pub role: ListRole,
    /// What follows `+`, in lower case.
    pub token: Option<String>,
}

impl ListAddress {
    /// Reads an address; `None` for one that has no such form.
    pub fn read(address: &Address) -> Option<Self> {
        let local_part = address.local_part();
        let (name, token) = match local_part.split_once('+') {
            Some((name, token)) => (name, Some(token.to_lowercase())),
            None => (local_part, None),
        };
        let (name, word) = name.rsplit_once('-')?;
        let role = ListRole::ALL
            .into_iter()
            .find(|role| word.eq_ignore_ascii_case(role.as_str()))?;
        let list = Address::new(name, address.domain().clone()).ok()?;
        Some(Self { list, role, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_list_read_back() {
        let list: Address = "my-news@x.test".parse().unwrap();
        for role in ListRole::ALL {
            for token in [None, Some("abc234")] {
                let address = role.at(&list, token).unwrap();
                let read = ListAddress::read(&address).unwrap();
                assert_eq!((read.list, read.role), (list.clone(), role));
                assert_eq!(read.token.as_deref(), token);
            }
        }
        for other in ["news@x.test", "news-@x.test", "-owner@x.test", "a-b@x.test"] {
            let other = other.parse().unwrap();
            assert_eq!(ListAddress::read(&other), None, "{other}");
        }
        let long: Address = format!("{}@x.test", "l".repeat(60)).parse().unwrap();
        assert_eq!(ListRole::Owner.at(&long, None), None);
    }
}
