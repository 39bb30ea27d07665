//! [`Cache`]: what lists answered, for as long as that holds.
//!
//! A resolver may keep answers, too; a host's own need not, and a client that
//! connects a hundred times a minute is asked about once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use mailcore::address::Domain;
use mailcore::time::Monotonic;

/// Answers by name. When there are too many, those that end first go.
#[derive(Debug)]
pub(super) struct Cache<T> {
    most: usize,
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    answers: HashMap<Domain, (T, Place)>,
    by_end: BTreeMap<Place, Domain>,
    next: u64,
}

/// When an answer ends, and a number that keeps those of one moment apart.
type Place = (Monotonic, u64);

impl<T: Clone> Cache<T> {
    /// Keeps `most` answers.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::new(Kept {
                answers: HashMap::new(),
                by_end: BTreeMap::new(),
                next: 0,
            }),
        }
    }

    /// The answer, when it still holds.
    pub(super) fn find(&self, name: &Domain, now: Monotonic) -> Option<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, (until, _)) = kept.answers.get(name)?;
        (*until > now).then(|| answer.clone())
    }

    /// Keeps an answer until then.
    pub(super) fn keep(&self, name: Domain, answer: T, until: Monotonic, now: Monotonic) {
        if until <= now || self.most == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (until, kept.next);
        kept.next = kept.next.wrapping_add(1);
        if let Some((_, old)) = kept.answers.insert(name.clone(), (answer, place)) {
            kept.by_end.remove(&old);
        }
        kept.by_end.insert(place, name);
        kept.drop_ended(now);
        while kept.answers.len() > self.most {
            kept.drop_first();
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(kept.answers.len(), kept.by_end.len());
        kept.answers.len()
    }
}

impl<T> Kept<T> {
    fn drop_ended(&mut self, now: Monotonic) {
        while (self.by_end.first_key_value()).is_some_and(|((until, _), _)| *until <= now) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, name)) = self.by_end.pop_first() {
            self.answers.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_holds_for_its_time() {
        let cache = Cache::new(10);
        cache.keep(name("a.test"), 1, at(10), at(0));
        cache.keep(name("b.test"), 2, at(0), at(0));
        assert_eq!(cache.find(&name("a.test"), at(9)), Some(1));
        assert_eq!(cache.find(&name("a.test"), at(10)), None);
        assert_eq!(cache.find(&name("b.test"), at(0)), None);
        cache.keep(name("a.test"), 3, at(30), at(11));
        assert_eq!(cache.find(&name("a.test"), at(29)), Some(3));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn of_too_many_answers_those_that_end_first_go() {
        let cache = Cache::new(3);
        for place in 0..100 {
            cache.keep(
                name(&format!("x{place}.test")),
                place,
                at(1_000 - place),
                at(0),
            );
            assert!(cache.len() <= 3);
        }
        assert_eq!(cache.find(&name("x0.test"), at(0)), Some(0));
        assert_eq!(cache.find(&name("x1.test"), at(0)), Some(1));
        assert_eq!(cache.find(&name("x99.test"), at(0)), None);
    }
}
