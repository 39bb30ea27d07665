//! [`ScriptedRules`]: recipients' rules as a test wants them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::address::Address;
use crate::seams::{Rules, RulesInput, Ruling};

type Rule = dyn Fn(&RulesInput<'_>) -> Ruling + Send + Sync;

/// Rules by a closure, which remember for whom they were asked.
pub struct ScriptedRules {
    rule: Box<Rule>,
    asked: Mutex<Vec<Address>>,
}

impl ScriptedRules {
    /// Rules that say what `rule` says.
    pub fn new(rule: impl Fn(&RulesInput<'_>) -> Ruling + Send + Sync + 'static) -> Self {
        Self {
            rule: Box::new(rule),
            asked: Mutex::default(),
        }
    }

    /// The recipients that they were asked for, one for each time.
    pub fn asked(&self) -> Vec<Address> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for ScriptedRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRules").finish_non_exhaustive()
    }
}

#[async_trait]
impl Rules for ScriptedRules {
    async fn evaluate(&self, input: &RulesInput<'_>) -> Ruling {
        let asked = self.asked.lock();
        let mut asked = asked.unwrap_or_else(PoisonError::into_inner);
        asked.push(input.recipient.clone());
        drop(asked);
        (self.rule)(input)
    }
}
