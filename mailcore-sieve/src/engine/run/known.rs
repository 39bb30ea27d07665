//! Values that tests have looked at before: scripts ask for the same few fields many
//! times.

use std::sync::Arc;

use super::{Context, Fault};
use crate::engine::address_part::AddressPart;

/// What of a field is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Its text.
    Text,
    /// This part of its addresses.
    Addresses(AddressPart),
}

/// Values by their fields' names.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    // Names of a program are one copy each, so that its address tells it.
    name: Arc<str>,
    what: What,
    values: Values,
}

/// The values of all fields of a name.
type Values = Arc<[Arc<str>]>;

/// Entries that are kept; more names than these are looked up each time.
const MAX_ENTRIES: usize = 64;

impl Known {
    /// Nothing is known any more, as the message was changed.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
    }

    fn find(&self, name: &Arc<str>, what: What) -> Option<Values> {
        self.entries
            .iter()
            .find(|entry| Arc::ptr_eq(&entry.name, name) && entry.what == what)
            .map(|entry| Arc::clone(&entry.values))
    }

    fn learn(&mut self, name: &Arc<str>, what: What, values: &Values) {
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(Entry {
                name: Arc::clone(name),
                what,
                values: Arc::clone(values),
            });
        }
    }
}

impl Context<'_> {
    /// The values of the message's fields of this name.
    pub(crate) fn values(&mut self, name: &Arc<str>, what: What) -> Result<Values, Fault> {
        if let Some(values) = self.known.find(name, what) {
            return Ok(values);
        }
        let mut values: Vec<Arc<str>> = Vec::new();
        for index in self.fields_named(0, name)? {
            match what {
                What::Text => values.push(self.field_text(0, index)?),
                What::Addresses(part) => self.add_addresses((0, index), part, &mut values)?,
            }
        }
        let values: Values = values.into();
        self.known.learn(name, what, &values);
        Ok(values)
    }

    /// Adds a part of each address of a field.
    pub(crate) fn add_addresses(
        &mut self,
        (part, index): (usize, usize),
        address_part: AddressPart,
        values: &mut Vec<Arc<str>>,
    ) -> Result<(), Fault> {
        let separator = self.environment.separator;
        let addresses = self.field_addresses(part, index)?;
        values.extend(
            addresses
                .iter()
                .filter_map(|address| address_part.of(address, separator))
                .map(Arc::from),
        );
        Ok(())
    }
}
