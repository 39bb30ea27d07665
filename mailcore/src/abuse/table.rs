//! [`Table`]: records by key, of which there are never more than so many.
//!
//! Where a new one finds no place, the least guilty of a few records goes. A
//! flood of fresh keys drives out other fresh ones and no offender: who could
//! would buy forgiveness with a thousand addresses.

use std::collections::HashMap;
use std::hash::Hash;

/// Records that are looked at to find one that may go.
const LOOK: usize = 16;

/// A bounded map.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    places: HashMap<K, usize>,
    records: Vec<(K, V)>,
    most: usize,
    /// Where the search for one that may go goes on.
    hand: usize,
}

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            places: HashMap::new(),
            records: Vec::new(),
            most: most.max(1),
            hand: 0,
        }
    }

    /// No more than so many from now on; those that there are stay until others
    /// take their places.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = most.max(1);
    }

    pub(super) fn find(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        self.records.get_mut(place).map(|(_, value)| value)
    }

    /// The record of `key`, made by `fresh` where there is none. `guilt` says
    /// how much a record weighs; `None` for one that may not go. When there is
    /// no place there is no record.
    pub(super) fn entry(
        &mut self,
        key: &K,
        fresh: impl FnOnce() -> V,
        guilt: impl FnMut(&mut V) -> Option<u32>,
    ) -> Option<&mut V> {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => self.place(key, fresh, guilt)?,
        };
        self.records.get_mut(place).map(|(_, value)| value)
    }

    fn place(
        &mut self,
        key: &K,
        fresh: impl FnOnce() -> V,
        guilt: impl FnMut(&mut V) -> Option<u32>,
    ) -> Option<usize> {
        let place = if self.records.len() < self.most {
            self.records.push((key.clone(), fresh()));
            self.records.len() - 1
        } else {
            let place = self.least_guilty(guilt)?;
            let record = self.records.get_mut(place)?;
            self.places.remove(&record.0);
            *record = (key.clone(), fresh());
            place
        };
        self.places.insert(key.clone(), place);
        Some(place)
    }

    fn least_guilty(&mut self, mut guilt: impl FnMut(&mut V) -> Option<u32>) -> Option<usize> {
        let mut found = None;
        for _ in 0..LOOK.min(self.records.len()) {
            self.hand = (self.hand + 1) % self.records.len();
            let Some((_, value)) = self.records.get_mut(self.hand) else {
                continue;
            };
            match guilt(value) {
                Some(0) => return Some(self.hand),
                Some(guilt) if found.is_none_or(|(least, _)| guilt < least) => {
                    found = Some((guilt, self.hand));
                }
                _ => {}
            }
        }
        found.map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_keys_drives_no_offender_out() {
        let mut table: Table<u32, u32> = Table::new(100);
        let guilt = |guilt: &mut u32| (*guilt < 5).then_some(*guilt);
        for offender in 0..50 {
            *table.entry(&offender, || 0, guilt).unwrap() = 9;
        }
        for stranger in 1_000..100_000 {
            if let Some(record) = table.entry(&stranger, || 0, guilt) {
                *record += 1;
            }
        }
        assert!((0..50).all(|it| table.find(&it) == Some(&mut 9)));
        assert_eq!(table.records.len(), 100);
        assert_eq!(table.places.len(), 100);
    }

    #[test]
    fn where_all_are_guilty_a_new_one_is_not_kept() {
        let mut table: Table<u32, u32> = Table::new(2);
        for offender in 0..2 {
            table.entry(&offender, || 9, |_| None).unwrap();
        }
        assert!(table.entry(&7, || 0, |_| None).is_none());
        assert!(table.find(&7).is_none());
    }
}
