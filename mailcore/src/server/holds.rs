//! [`Holds`]: what one session at a time may have, over all services of a
//! server.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The names of what is held. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Holds(Arc<Mutex<HashSet<Arc<str>>>>);

/// Something held, given back when dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    name: Arc<str>,
}

impl Holds {
    /// Takes what `name` stands for; `None` while somebody else has it. Names
    /// begin with the protocol's, so that none takes another's.
    pub fn take(&self, name: &str) -> Option<Hold> {
        let name: Arc<str> = name.into();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(Arc::clone(&name)).then(|| Hold {
            holds: self.clone(),
            name,
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_free_when_its_holder_is_gone() {
        let holds = Holds::default();
        let hold = holds.clone().take("pop3 ann").expect("nobody has it");
        assert!(holds.take("pop3 ann").is_none());
        assert!(holds.take("pop3 bob").is_some());
        drop(hold);
        assert!(holds.take("pop3 ann").is_some());
    }
}
