//! Which events a reader asked for.

use super::{Event, EventName};
use crate::account::AccountId;
use crate::address::{Address, Domain};

/// Chooses events by name, account and domain. Each list that is not empty must
/// have one that fits; without any, all events pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    names: Vec<EventName>,
    accounts: Vec<AccountId>,
    domains: Vec<Domain>,
}

impl EventFilter {
    /// Lets all events pass.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of these names alone.
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item = EventName>) -> Self {
        self.names.extend(names);
        self
    }

    /// Events about these accounts alone.
    #[must_use]
    pub fn accounts(mut self, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        self.accounts.extend(accounts);
        self
    }

    /// Events about these domains alone: that of an account named by its
    /// address, or of an address in `from`, `to` or `login`.
    #[must_use]
    pub fn domains(mut self, domains: impl IntoIterator<Item = Domain>) -> Self {
        self.domains.extend(domains);
        self
    }

    /// True when a reader asked for the event. That some are missing is told to
    /// every reader.
    pub fn passes(&self, event: &Event) -> bool {
        event.name == EventName::Gap
            || (self.passes_name(event) && self.passes_account(event) && self.passes_domain(event))
    }

    fn passes_name(&self, event: &Event) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| event.is(name))
    }

    fn passes_account(&self, event: &Event) -> bool {
        let account = event.account.as_ref();
        self.accounts.is_empty() || account.is_some_and(|it| self.accounts.contains(it))
    }

    fn passes_domain(&self, event: &Event) -> bool {
        let about = |text: &str| {
            let address = Address::parse(text.trim_matches(['<', '>']));
            address.is_ok_and(|address| self.domains.contains(address.domain()))
        };
        let account = event.account.as_ref().map(AccountId::as_str);
        let fields = ["from", "to", "login"].map(|name| event.field(name));
        let texts = fields.into_iter().chain([account]).flatten();
        self.domains.is_empty() || texts.flat_map(str::split_whitespace).any(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventId;
    use crate::time::Timestamp;

    fn event(name: EventName) -> Event {
        Event {
            id: EventId(1),
            at: Timestamp::EPOCH,
            name,
            trace: None,
            account: Some(AccountId::new("ann@a.test")),
            fields: Vec::new(),
        }
    }

    #[test]
    fn an_event_passes_when_every_list_has_one_that_fits() {
        let filed = event(EventName::MessageNew).with("to", "bob@b.test <c@c.test>");
        let domain = |text: &str| Domain::parse(text).unwrap();
        let ann = AccountId::new("ann@a.test");
        let filter = EventFilter::all()
            .names([EventName::MessageNew, EventName::Login])
            .accounts([ann]);
        assert!(filter.passes(&filed));
        assert!(!filter.passes(&event(EventName::Logout)));
        assert!(filter.passes(&event(EventName::Gap)));
        for (name, passes) in [("a.test", true), ("c.test", true), ("d.test", false)] {
            let filter = filter.clone().domains([domain(name)]);
            assert_eq!(filter.passes(&filed), passes, "{name}");
        }
    }

    #[test]
    fn a_message_that_was_read_is_one_whose_flags_were_set() {
        let seen = event(EventName::FlagsSet).with("flags", "\\Flagged \\Seen");
        let filter = |name| EventFilter::all().names([name]);
        assert!(filter(EventName::MessageRead).passes(&seen));
        assert!(filter(EventName::FlagsSet).passes(&seen));
        assert!(!filter(EventName::MessageTrash).passes(&seen));
        let cleared = event(EventName::FlagsClear).with("flags", "\\Seen");
        assert!(!filter(EventName::MessageRead).passes(&cleared));
    }
}
