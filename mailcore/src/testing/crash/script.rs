//! What is done to a store: a fixed run through everything, and random runs.

use std::ops::Range;
use std::time::Duration;

use super::super::dice::Dice;
use super::model::Model;
use super::step::{LINE, NAMESPACE, QueueWork, Spot, Step, Text, Work, progress};
use crate::batch::{Precondition, StateChange};
use crate::mailbox::{FlagChange, Flags, Keyword, MailboxName, SystemFlag};
use crate::queue::EntryState;
use crate::seams::StateKey;
use crate::time::Timestamp;

/// Accounts that have mail.
pub(super) const ACCOUNTS: usize = 2;
/// Larger than what travels in memory.
const LARGE: usize = 70_000;
const SMALL: usize = 700;

/// What comes next.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// Steps at the same time.
    Steps(Vec<Step>),
    /// What the store does for itself now and then.
    Maintain,
    /// Closing and opening.
    Reopen,
}

/// Numbers that are used once.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    last: u64,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn id(&mut self) -> u128 {
        u128::from(self.next())
    }

    fn text(&mut self, size: usize) -> Text {
        let number = self.next();
        Text {
            number,
            size: size.next_multiple_of(LINE),
            prefixed: number.is_multiple_of(2),
        }
    }

    fn events(&mut self, count: u64) -> Range<u128> {
        let first = self.id();
        self.last += count;
        first..first + u128::from(count)
    }
}

fn key(key: &str) -> StateKey {
    StateKey::new(NAMESPACE, key)
}

fn put(name: &str, octet: u8) -> StateChange {
    StateChange::Put {
        key: key(name),
        value: vec![octet; 20],
        expires: Some(Timestamp::from_secs(4_000_000_000)),
    }
}

fn add(name: &str, amount: i64) -> StateChange {
    StateChange::Add {
        key: key(name),
        amount,
        expires: None,
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).expect("the kit's names are names")
}

fn marked() -> FlagChange {
    let keyword = Keyword::new("$Kit").expect("a keyword");
    FlagChange::Add(Flags::from_parts(SystemFlag::Seen as u8, [keyword]))
}

fn deleted() -> FlagChange {
    FlagChange::Add([SystemFlag::Deleted].into_iter().collect())
}

/// A delivery to the inbox of each of these accounts, with all that a batch
/// can have.
pub(super) fn delivery(accounts: &[usize], size: usize, numbers: &mut Numbers) -> Work {
    let text = numbers.text(size);
    let deliveries = accounts
        .iter()
        .map(|it| (Spot::new(*it, "INBOX"), text, numbers.id()))
        .collect();
    Work {
        deliveries,
        state: vec![add("deliveries", 1)],
        events: numbers.events(2),
        ..Work::default()
    }
}

/// Most often waiting.
fn any_state(dice: &Dice, now: Timestamp) -> EntryState {
    match dice.index(8) {
        0 => EntryState::Held,
        1 => EntryState::Bad {
            reason: "a loop".into(),
            until: now.after(Duration::from_secs(dice.below(90))),
        },
        2 => EntryState::Kept {
            until: now.after(Duration::from_secs(dice.below(90))),
        },
        _ => EntryState::Waiting,
    }
}

fn enqueue(size: usize, state: EntryState, now: Timestamp, numbers: &mut Numbers) -> QueueWork {
    let due = progress(0, now, state);
    QueueWork::Enqueue(numbers.id(), numbers.text(size), due)
}

/// The `at`-th turn of the fixed run; `None` after the last.
pub(super) fn fixed(
    at: usize,
    model: &Model,
    now: Timestamp,
    numbers: &mut Numbers,
) -> Option<Turn> {
    let steps = match at {
        0 => vec![Step::Create(Spot::new(0, "INBOX"))],
        1 => vec![Step::Create(Spot::new(1, "INBOX"))],
        2 => vec![Step::Commit(Work {
            queue: vec![enqueue(SMALL, EntryState::Waiting, now, numbers)],
            state: vec![put("first", 1), add("deliveries", 1)],
            ..delivery(&[0, 1], SMALL, numbers)
        })],
        3 => vec![append(0, "INBOX", &[10, 3_000, 40], numbers)],
        4 => vec![Step::Create(Spot::new(0, "work/deep"))],
        5 => vec![Step::Commit(Work {
            queue: vec![enqueue(LARGE, EntryState::Waiting, now, numbers)],
            ..delivery(&[0, 1], LARGE, numbers)
        })],
        6..=9 => first_half(at, model, numbers),
        10 => return Some(Turn::Reopen),
        11..=17 => second_half(at, model, now, numbers),
        18 => vec![Step::Rename(Spot::new(0, "work"), name("job"))],
        19 => vec![append(0, "job", &[SMALL, 2 * LARGE], numbers)],
        20 => return Some(Turn::Maintain),
        21 => vec![Step::Delete(Spot::new(0, "job/deep"))],
        22 => vec![Step::Create(Spot::new(0, "job/deep"))],
        23 => vec![Step::Unsubscribe(Spot::new(1, "elsewhere"))],
        24 => vec![move_first(model, Spot::new(1, "INBOX"), "kept", 2)],
        25 => vec![
            Step::Commit(delivery(&[1], SMALL, numbers)),
            replacement(&Spot::new(0, "job"), "INBOX", model, numbers),
        ],
        _ => return None,
    };
    Some(Turn::Steps(steps))
}

fn append(account: usize, mailbox: &str, sizes: &[usize], numbers: &mut Numbers) -> Step {
    let texts = sizes.iter().map(|size| numbers.text(*size)).collect();
    let flags = [SystemFlag::Flagged].into_iter().collect();
    Step::Append(Spot::new(account, mailbox), texts, flags)
}

fn move_first(model: &Model, from: Spot, to: &str, count: usize) -> Step {
    let uids = model.uids(&from).into_iter().take(count).collect();
    Step::Move(from, uids, name(to))
}

/// Replaces the first message of a mailbox, where the store can; a delivery
/// where it can't or there is none.
fn replacement(from: &Spot, to: &str, model: &Model, numbers: &mut Numbers) -> Step {
    match model.uids(from).first() {
        Some(uid) if model.replaces => {
            Step::Replace(from.clone(), *uid, name(to), numbers.text(SMALL))
        }
        _ => Step::Commit(delivery(&[0], SMALL, numbers)),
    }
}

fn first_half(at: usize, model: &Model, numbers: &mut Numbers) -> Vec<Step> {
    let inbox = Spot::new(0, "INBOX");
    let uids = model.uids(&inbox);
    let first = |count| uids.iter().copied().take(count).collect();
    match at {
        6 => vec![Step::Flags(inbox, first(2), marked())],
        7 => vec![Step::Copy(inbox, first(9), name("work/deep"))],
        8 => together(numbers),
        _ => vec![
            move_first(model, inbox, "work", 2),
            Step::Create(Spot::new(1, "kept")),
        ],
    }
}

/// Changes of several clients that do not touch each other.
fn together(numbers: &mut Numbers) -> Vec<Step> {
    vec![
        Step::Commit(delivery(&[0], SMALL, numbers)),
        Step::Commit(delivery(&[1, 0], LARGE, numbers)),
        Step::Commit(delivery(&[1], 20, numbers)),
        append(1, "INBOX", &[SMALL, SMALL], numbers),
    ]
}

fn second_half(at: usize, model: &Model, now: Timestamp, numbers: &mut Numbers) -> Vec<Step> {
    let inbox = Spot::new(0, "INBOX");
    let uids = model.uids(&inbox);
    let queued: Vec<u128> = model.queue.keys().copied().collect();
    let later = progress(3, now.after(Duration::from_secs(60)), EntryState::Waiting);
    let queue = |queue| {
        vec![Step::Commit(Work {
            queue,
            ..Work::default()
        })]
    };
    match at {
        11 => vec![Step::Flags(
            inbox,
            uids.into_iter().take(2).collect(),
            deleted(),
        )],
        12 => vec![Step::Expunge(inbox, uids)],
        13 => queue(
            queued
                .first()
                .map(|id| QueueWork::Update(*id, later))
                .into_iter()
                .collect(),
        ),
        14 => vec![Step::Subscribe(Spot::new(1, "elsewhere"))],
        15 => vec![Step::Commit(Work {
            preconditions: unchanged(model, "first"),
            state: vec![put("second", 2), StateChange::Remove { key: key("first") }],
            ..delivery(&[0], SMALL, numbers)
        })],
        16 => vec![
            Step::State(vec![add("counter", 5), put("third", 3)]),
            Step::Commit(delivery(&[1], SMALL, numbers)),
            append(0, "INBOX", &[LARGE], numbers),
        ],
        _ => {
            let removed = queued.first().map(|id| QueueWork::Remove(*id));
            let held = enqueue(SMALL, EntryState::Held, now, numbers);
            queue(removed.into_iter().chain([held]).collect())
        }
    }
}

/// That a key has the version that was told.
fn unchanged(model: &Model, name: &str) -> Vec<Precondition> {
    let value = model.state.get(name).filter(|it| it.told);
    let version = value.map(|it| it.version);
    let condition = Precondition::StateIs {
        key: key(name),
        version,
    };
    match model.state.contains_key(name) == version.is_some() {
        true => vec![condition],
        false => Vec::new(),
    }
}

/// A turn by chance.
pub(super) fn random(dice: &Dice, model: &Model, now: Timestamp, numbers: &mut Numbers) -> Turn {
    let folders: Vec<&Spot> = model.folders.keys().collect();
    let spot = folders[dice.index(folders.len())].clone();
    match dice.below(24) {
        0 => Turn::Reopen,
        1 => Turn::Maintain,
        2..=4 => Turn::Steps(
            (0..1 + dice.index(4))
                .map(|_| commit(dice, now, numbers))
                .collect(),
        ),
        _ => Turn::Steps(vec![one(dice, &spot, model, (now, numbers))]),
    }
}

fn size(dice: &Dice) -> usize {
    match dice.below(8) {
        0 => LARGE + dice.index(LARGE),
        1 => 16 * dice.index(4_000),
        _ => dice.index(SMALL),
    }
}

fn commit(dice: &Dice, now: Timestamp, numbers: &mut Numbers) -> Step {
    let accounts: &[usize] = [&[0][..], &[1], &[0, 1]][dice.index(3)];
    let queue = match dice.once_in(3) {
        true => vec![enqueue(size(dice), any_state(dice, now), now, numbers)],
        false => Vec::new(),
    };
    Step::Commit(Work {
        queue,
        ..delivery(accounts, size(dice), numbers)
    })
}

fn one(dice: &Dice, spot: &Spot, model: &Model, (now, numbers): (Timestamp, &mut Numbers)) -> Step {
    let uids: Vec<u32> = model
        .uids(spot)
        .into_iter()
        .filter(|_| dice.coin())
        .collect();
    let others = model
        .folders
        .keys()
        .filter(|it| it.account == spot.account && *it != spot);
    let others: Vec<&Spot> = others.collect();
    let other = (!others.is_empty()).then(|| others[dice.index(others.len())].name.clone());
    let sizes: Vec<usize> = (0..1 + dice.index(3)).map(|_| size(dice)).collect();
    match (dice.below(14), other) {
        (0 | 1, _) => append(spot.account, spot.name.as_str(), &sizes, numbers),
        (2, _) => Step::Flags(spot.clone(), uids, marked()),
        (3 | 4, _) => Step::Flags(spot.clone(), uids, deleted()),
        (5, _) => Step::Expunge(spot.clone(), uids),
        (6, Some(to)) if !uids.is_empty() => Step::Copy(spot.clone(), uids, to),
        (7, Some(to)) if !uids.is_empty() => Step::Move(spot.clone(), uids, to),
        (13, Some(to)) => replacement(spot, to.as_str(), model, numbers),
        (8, _) => mailbox_step(dice, spot, model, numbers),
        (9, _) => Step::State(vec![add("counter", 1), put("value", sizes.len() as u8)]),
        (10, _) => queue_step(dice, model, now),
        (11, _) => match dice.coin() {
            true => Step::Subscribe(spot.clone()),
            false => Step::Unsubscribe(spot.clone()),
        },
        _ => commit(dice, now, numbers),
    }
}

fn mailbox_step(dice: &Dice, spot: &Spot, model: &Model, numbers: &mut Numbers) -> Step {
    let alone = !model
        .folders
        .keys()
        .any(|it| it.account == spot.account && it.name.is_below(&spot.name));
    let new = format!("m{}", numbers.next());
    match dice.below(4) {
        0 if !spot.name.is_inbox() && alone => Step::Delete(spot.clone()),
        1 if !spot.name.is_inbox() => Step::Rename(spot.clone(), name(&new)),
        2 if !spot.name.is_inbox() && spot.name.parent().is_none() => Step::Create(Spot::new(
            spot.account,
            &format!("{}/{new}", spot.name.as_str()),
        )),
        _ => Step::Create(Spot::new(spot.account, &new)),
    }
}

fn queue_step(dice: &Dice, model: &Model, now: Timestamp) -> Step {
    let queued: Vec<u128> = model.queue.keys().copied().collect();
    let queue = match queued.is_empty() {
        true => Vec::new(),
        false => {
            let id = queued[dice.index(queued.len())];
            let due = now.after(Duration::from_secs(dice.below(90)));
            let next = progress(7, due, any_state(dice, now));
            match dice.coin() {
                true => vec![QueueWork::Update(id, next)],
                false => vec![QueueWork::Remove(id)],
            }
        }
    };
    Step::Commit(Work {
        queue,
        state: vec![add("queue", 1)],
        ..Work::default()
    })
}
