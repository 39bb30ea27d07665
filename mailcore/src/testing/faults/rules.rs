//! [`Rules`]: when which fault strikes, the same for every seam.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::FaultPlan;

/// What is planned for one wrapped seam.
#[derive(Debug)]
pub(super) struct Rules<F> {
    plan: FaultPlan,
    seam: &'static str,
    state: Mutex<State<F>>,
}

#[derive(Debug)]
struct State<F> {
    calls: u64,
    by_call: BTreeMap<u64, F>,
    calls_of: BTreeMap<String, u64>,
    by_subject: BTreeMap<String, F>,
    /// Once in so many calls, one of these.
    chance: Option<(u64, Vec<F>)>,
}

impl<F: Clone + Debug> Rules<F> {
    pub(super) fn new(plan: FaultPlan, seam: &'static str) -> Self {
        let state = State {
            calls: 0,
            by_call: BTreeMap::new(),
            calls_of: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            chance: None,
        };
        Self {
            plan,
            seam,
            state: Mutex::new(state),
        }
    }

    pub(super) fn at(&self, call: u64, fault: F) {
        self.state().by_call.insert(call, fault);
    }

    pub(super) fn on(&self, subject: String, fault: F) {
        self.state().by_subject.insert(subject, fault);
    }

    pub(super) fn heal(&self, subject: &str) {
        self.state().by_subject.remove(subject);
    }

    pub(super) fn sometimes(&self, once_in: u64, faults: &[F]) {
        self.state().chance = Some((once_in.max(1), faults.to_vec()));
    }

    /// Counts a call about `subject`; the fault that strikes it, of those that
    /// can (`fits`).
    pub(super) fn meet(&self, subject: &str, fits: impl Fn(&F) -> bool) -> Option<F> {
        self.plan.stir();
        let mut state = self.state();
        state.calls += 1;
        let calls_of = state.calls_of.entry(subject.to_owned()).or_default();
        *calls_of += 1;
        let count = *calls_of;
        if self.plan.is_calm() {
            return None;
        }
        let planned = state.by_call.get(&state.calls);
        let planned = planned.or_else(|| state.by_subject.get(subject));
        let fault = match planned.filter(|fault| fits(fault)) {
            Some(fault) => fault.clone(),
            None => self.by_chance(&state, subject, count, fits)?,
        };
        drop(state);
        let told = format!("{fault:?}");
        self.plan.note(self.seam, subject, count, &told);
        Some(fault)
    }

    fn by_chance(
        &self,
        state: &State<F>,
        subject: &str,
        count: u64,
        fits: impl Fn(&F) -> bool,
    ) -> Option<F> {
        let (once_in, faults) = state.chance.as_ref()?;
        let fitting: Vec<&F> = faults.iter().filter(|fault| fits(fault)).collect();
        let drawn = self.plan.draw(&format!("{} {subject}", self.seam), count);
        if fitting.is_empty() || !drawn.is_multiple_of(*once_in) {
            return None;
        }
        let index = usize::try_from(drawn / once_in % fitting.len() as u64).unwrap_or(0);
        fitting.get(index).map(|fault| (*fault).clone())
    }

    /// As [`Rules::meet`], for a seam all of whose faults can strike any call.
    pub(super) fn strike(&self, subject: &str) -> Option<F> {
        self.meet(subject, |_| true)
    }

    pub(super) fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a wrapped seam the methods by which its faults are planned.
macro_rules! planned {
    ($seam:ty, $fault:ty) => {
        impl $seam {
            /// The `call`-th call, counted from 1, meets this fault.
            pub fn at(&self, call: u64, fault: $fault) -> &Self {
                self.rules.at(call, fault);
                self
            }

            /// Every call about `subject` meets this fault, until it is healed.
            pub fn on(&self, subject: &str, fault: $fault) -> &Self {
                self.rules.on(subject.to_owned(), fault);
                self
            }

            /// Calls about `subject` are good again.
            pub fn heal(&self, subject: &str) -> &Self {
                self.rules.heal(subject);
                self
            }

            /// Once in so many calls meets one of these faults.
            pub fn sometimes(&self, once_in: u64, faults: &[$fault]) -> &Self {
                self.rules.sometimes(once_in, faults);
                self
            }
        }
    };
}

pub(super) use planned;
