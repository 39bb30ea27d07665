//! [`NameLists`]: names on lists of names, unless they are excepted.

use std::sync::Arc;

use mailcore::address::Domain;

use super::results;
use super::{DnsLists, NameExceptions, Subject, Zone};
use crate::pipeline::Said;

/// Lists of names, and names for which they don't count.
#[derive(Debug, Clone)]
pub(super) struct NameLists {
    pub(super) lists: DnsLists,
    pub(super) zones: Vec<Arc<Zone>>,
    pub(super) exceptions: NameExceptions,
}

impl NameLists {
    pub(super) fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self {
            lists,
            zones: zones.into_iter().map(Arc::new).collect(),
            exceptions: NameExceptions::default(),
        }
    }

    /// What lists say of these names.
    pub(super) async fn look(&self, names: &[Domain]) -> Vec<Said> {
        let mut subjects = Vec::new();
        let asked = names.iter().filter(|name| !self.exceptions.contains(name));
        for subject in asked.flat_map(subjects_of) {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        if subjects.is_empty() {
            return Vec::new();
        }
        let mut listings = self.lists.ask(&self.zones, &subjects).await;
        // A name and the domain that it belongs to are one sender to one list.
        listings.keep_worst_of_each_zone();
        results::of(&listings)
    }
}

/// A name and, where it is known what that is, the domain that was registered:
/// some lists answer for all names below a domain, some for the domain alone.
fn subjects_of(name: &Domain) -> Vec<Subject> {
    let subject = Subject::host(name);
    #[cfg(feature = "psl")]
    if let Some(registered) = crate::registered_domain(name) {
        let registered = Subject::Name(registered);
        if registered != subject {
            return vec![subject, registered];
        }
    }
    vec![subject]
}
