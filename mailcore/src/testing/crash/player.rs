//! Plays turns on a store, keeps the model in step, and compares the two.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::disk::{Fault, SimulatedDisk};
use super::compare::differences;
use super::model::Model;
use super::observe::Observed;
use super::script::{ACCOUNTS, Numbers, Turn};
use super::step::{Step, Told, Work};
use super::{Derived, Opened, Subject};
use crate::mailbox::ModSeq;
use crate::queue::EntryState;
use crate::seams::{Clock, CommitError, LeaseLimit, StoreError};
use crate::testing::VirtualClock;

/// Changes of unknown fate that are told apart by trying all combinations.
const MAX_UNCERTAIN: usize = 8;

/// What became of a turn.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// These were refused.
    Refused(Vec<Step>),
    /// The power went.
    Cut,
}

/// See the file's description.
pub(super) struct Player<'a> {
    subject: &'a dyn Subject,
    pub(super) clock: VirtualClock,
    pub(super) disk: SimulatedDisk,
    opened: Option<Opened>,
    pub(super) model: Model,
    /// Refused or cut off, and nothing was acknowledged since: may be there
    /// after a cut.
    uncertain: Vec<Step>,
    /// What a cut decided on; who asked for it asks again.
    redo: Vec<Step>,
    pub(super) numbers: Numbers,
    /// What was done last, for the report.
    pub(super) trail: Vec<String>,
    pub(super) problems: Vec<String>,
    /// How requests must be refused now.
    pub(super) expected: Option<Fault>,
    /// Derived data from when the store was last closed.
    pub(super) old: Option<Derived>,
}

impl<'a> Player<'a> {
    pub(super) fn new(subject: &'a dyn Subject, disk: SimulatedDisk) -> Self {
        Self {
            subject,
            clock: VirtualClock::new(),
            disk,
            opened: None,
            model: Model::new(ACCOUNTS),
            uncertain: Vec::new(),
            redo: Vec::new(),
            numbers: Numbers::default(),
            trail: Vec::new(),
            problems: Vec::new(),
            expected: None,
            old: None,
        }
    }

    /// The same history on another disk.
    pub(super) fn on(&self, disk: SimulatedDisk) -> Self {
        Self {
            model: self.model.clone(),
            uncertain: self.uncertain.clone(),
            numbers: self.numbers.clone(),
            trail: self.trail.clone(),
            clock: self.clock.clone(),
            old: self.old.clone(),
            ..Self::new(self.subject, disk)
        }
    }

    pub(super) fn say(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn note(&mut self, what: String) {
        self.trail.push(what);
    }

    /// Opens the store; false when it can't be opened.
    pub(super) async fn open(&mut self) -> bool {
        match self.subject.open(&self.disk, &self.clock).await {
            Ok(mut opened) => {
                self.problems.append(&mut opened.problems);
                self.model.replaces = opened.stores.storage.abilities().replace;
                self.opened = Some(opened);
                true
            }
            Err(error) => {
                self.note(format!("opening failed: {error}"));
                false
            }
        }
    }

    /// Opens a store that must open.
    pub(super) async fn must_open(&mut self) -> bool {
        let open = self.open().await;
        if !open {
            let why = self.trail.last().cloned().unwrap_or_default();
            self.say(why);
        }
        open
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    pub(super) fn close(&mut self) {
        self.opened = None;
    }

    /// Nothing refused so far may come back, whatever happens.
    pub(super) fn forget_refused(&mut self) {
        self.uncertain.clear();
    }

    /// Too many changes of unknown fate to tell apart.
    pub(super) fn is_lost(&self) -> bool {
        self.uncertain.len() >= MAX_UNCERTAIN
    }

    pub(super) async fn play(&mut self, turn: &Turn) -> Outcome {
        let outcome = match turn {
            Turn::Steps(steps) => self.steps(steps).await,
            Turn::Maintain => {
                self.note("maintain".into());
                let result = match &self.opened {
                    Some(opened) => opened.maintain().await,
                    None => Ok(()),
                };
                match result {
                    Err(error) => {
                        self.note(format!("maintenance failed: {error}"));
                        Outcome::Refused(Vec::new())
                    }
                    Ok(()) => Outcome::Done,
                }
            }
            Turn::Reopen => {
                self.note("reopen".into());
                self.close();
                self.old = Some(self.subject.save_derived());
                match self.open().await {
                    true => Outcome::Done,
                    false => Outcome::Refused(Vec::new()),
                }
            }
        };
        match self.disk.is_cut() {
            true => Outcome::Cut,
            false => outcome,
        }
    }

    async fn steps(&mut self, steps: &[Step]) -> Outcome {
        let Some(opened) = &self.opened else {
            return Outcome::Refused(steps.to_vec());
        };
        let (stores, now) = (&opened.stores, self.clock.now());
        let mut tasks = tokio::task::JoinSet::new();
        for (at, step) in steps.iter().cloned().enumerate() {
            let stores = stores.clone();
            tasks.spawn(async move { (at, step.perform(&stores, now).await) });
        }
        let mut results = Vec::new();
        while let Some(done) = tasks.join_next().await {
            results.push(done.expect("a step that panics fails the test"));
        }
        results.sort_by_key(|(at, _)| *at);
        self.model.pass_moment();
        let before = self.model.clone();
        let mut refused = Vec::new();
        let mut kept = false;
        for (at, result) in results {
            let step = &steps[at];
            match result {
                Ok(told) => {
                    kept = true;
                    self.problems.extend(before.doubts(step, &told));
                    self.acknowledged(step, &told);
                }
                Err(error) => {
                    self.refused(step, &error);
                    refused.push(step.clone());
                }
            }
        }
        if kept && !self.disk.is_cut() {
            self.uncertain.clear();
        }
        self.uncertain.extend(refused.iter().cloned());
        match refused.is_empty() {
            true => Outcome::Done,
            false => Outcome::Refused(refused),
        }
    }

    fn acknowledged(&mut self, step: &Step, told: &Told) {
        self.note(format!("acknowledged {step:?}"));
        if let (Told::Receipt(receipt), Step::Commit(work)) = (told, step) {
            let failed = receipt.appends.iter().filter_map(|it| it.as_ref().err());
            for error in failed.cloned().collect::<Vec<_>>() {
                self.refused(step, &CommitError::Store(error));
            }
            if receipt.appends.len() != work.deliveries.len() {
                self.say("a receipt without an outcome for each delivery".into());
            }
        }
        self.model.apply(step, told);
    }

    /// Checks that a refusal names its cause.
    fn refused(&mut self, step: &Step, error: &CommitError) {
        self.note(format!("refused ({error}) {step:?}"));
        if self.disk.is_cut() {
            return;
        }
        let fits = match (error, self.expected) {
            (CommitError::Store(StoreError::DiskFull), Some(fault)) => fault == Fault::Full,
            (CommitError::Store(StoreError::Unavailable(_)), Some(_)) => true,
            (CommitError::Store(_), Some(Fault::Full)) => false,
            (CommitError::Store(error), Some(_)) => error.is_transient(),
            _ => false,
        };
        if !fits {
            let fault = self.expected;
            self.say(format!(
                "{step:?} was refused with {error:?} under {fault:?}"
            ));
        }
    }

    /// Compares what is seen with the model. After a cut, what was cut off may
    /// be there or not, each change wholly.
    pub(super) async fn look(&mut self, when: &str, after_cut: bool) -> bool {
        let Some(opened) = &self.opened else {
            return false;
        };
        let seen = match Observed::read(&opened.stores, ACCOUNTS).await {
            Ok(seen) => seen,
            Err(_) if self.disk.is_cut() => return false,
            // Reading takes descriptors, too.
            Err(_) if self.expected == Some(Fault::Descriptors) => return true,
            Err(error) => {
                self.say(format!("{when}: the store can't be read: {error}"));
                return false;
            }
        };
        let uncertain = match after_cut {
            true => self.uncertain.clone(),
            false => Vec::new(),
        };
        let mut nearest: Option<Vec<String>> = None;
        for choice in 0..1u32 << uncertain.len().min(MAX_UNCERTAIN) {
            let mut model = self.model.clone();
            let chosen = uncertain.iter().enumerate();
            for (_, step) in chosen.filter(|(at, _)| choice & 1 << at != 0) {
                model.apply(step, &Told::Nothing);
            }
            let found = differences(&model, &seen);
            if found.is_empty() {
                model.adopt(&seen);
                self.model = model;
                if after_cut {
                    self.redo = std::mem::take(&mut self.uncertain);
                }
                return self.tombstones(when).await;
            }
            if nearest.as_ref().is_none_or(|it| found.len() < it.len()) {
                nearest = Some(found);
            }
        }
        let nearest = nearest.unwrap_or_default();
        self.say(format!("{when}: {}", nearest.join("\n    ")));
        false
    }

    /// Every UID that went away is named to who asks what vanished.
    async fn tombstones(&mut self, when: &str) -> bool {
        let Some(opened) = &self.opened else {
            return false;
        };
        let mut problems = Vec::new();
        for (spot, folder) in &self.model.folders {
            let Some(since) = folder.gone.iter().map(|(_, since)| *since).min() else {
                continue;
            };
            let answer = async {
                let mailbox = opened.stores.storage.open(&spot.id(), &spot.name).await?;
                let since = ModSeq::new(since).unwrap_or(ModSeq::MIN);
                mailbox.changes(since).await
            };
            match answer.await {
                Ok(changes) if changes.complete => {
                    let named: BTreeSet<u32> = folder.gone.iter().map(|(uid, _)| *uid).collect();
                    let vanished = &changes.vanished;
                    let untold = named.iter().filter(|uid| {
                        !crate::mailbox::Uid::new(**uid).is_some_and(|it| vanished.contains(it))
                    });
                    for uid in untold {
                        problems.push(format!(
                            "{when}: {spot:?}: nobody is told that UID {uid} went"
                        ));
                    }
                }
                Ok(_) => {}
                Err(error) => problems.push(format!("{when}: {spot:?}: changes: {error}")),
            }
        }
        let sound = problems.is_empty();
        self.problems.append(&mut problems);
        sound
    }

    /// After a cut and the first look: leases are gone, deliveries that are
    /// asked for again are filed once, and life goes on.
    pub(super) async fn go_on(&mut self) -> bool {
        let again: Vec<Step> = std::mem::take(&mut self.redo)
            .into_iter()
            .filter_map(|step| match step {
                Step::Commit(work) if !work.deliveries.is_empty() => Some(Step::Commit(Work {
                    deliveries: work.deliveries,
                    ..Work::default()
                })),
                _ => None,
            })
            .filter(|step| self.can(step))
            .collect();
        self.leases().await;
        for step in again {
            self.play(&Turn::Steps(vec![step])).await;
        }
        for account in 0..ACCOUNTS {
            let work = super::script::delivery(&[account], 500, &mut self.numbers);
            let turn = Turn::Steps(vec![Step::Commit(work)]);
            if let Outcome::Refused(_) = self.play(&turn).await {
                self.say("a sound disk, and a change is refused".into());
            }
        }
        self.look("going on after a cut", false).await
    }

    fn can(&self, step: &Step) -> bool {
        match step {
            Step::Commit(work) => {
                let mut spots = work.deliveries.iter().map(|(spot, ..)| spot);
                spots.all(|it| self.model.folders.contains_key(it))
            }
            _ => true,
        }
    }

    /// Whatever was leased before can be leased again.
    async fn leases(&mut self) {
        let Some(opened) = &self.opened else {
            return;
        };
        let (spool, day) = (&opened.stores.spool, Duration::from_secs(86_400));
        let later = self.clock.now().after(day);
        let due = self
            .model
            .queue
            .values()
            .filter(|(_, it)| it.state == EntryState::Waiting)
            .count();
        match spool
            .lease(later, LeaseLimit::all(usize::MAX >> 1), day)
            .await
        {
            Ok(leased) => {
                let count = leased.len();
                for (entry, lease) in leased {
                    drop(spool.release(entry.id, lease).await);
                }
                if count != due {
                    self.say(format!("{count} of {due} queue entries can be leased"));
                }
            }
            Err(error) => self.say(format!("the queue can't be leased from: {error}")),
        }
    }

    /// The store's own check of itself.
    pub(super) async fn check(&mut self) {
        if let Some(opened) = &self.opened {
            let problems = opened.check().await;
            self.problems.extend(
                problems
                    .into_iter()
                    .map(|it| format!("its own check: {it}")),
            );
        }
    }
}
