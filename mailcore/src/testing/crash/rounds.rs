//! Rounds: each starts with an empty disk, does something to it while a store
//! is used, and tells what was not kept.

use super::super::dice::Dice;
use super::super::disk::{Fault, Ops, SimulatedDisk};
use super::player::{Outcome, Player};
use super::report::{Report, Violation};
use super::script::{Turn, delivery, fixed, random};
use super::step::Step;
use super::{Derived, Subject};
use crate::seams::Clock;

/// Disks that one cut is followed by.
const DISKS_PER_CUT: u64 = 2;
/// How often a refused change is asked for again once nothing is in its way.
const TRIES: usize = 3;
/// Lives of a store in a random round.
const LIVES: u64 = 4;
/// Turns in a life.
const TURNS: u64 = 25;

/// Plays rounds and keeps the score.
pub(super) struct Referee<'a> {
    pub(super) subject: &'a dyn Subject,
    pub(super) report: Report,
}

impl<'a> Referee<'a> {
    /// The fixed run with nothing in its way: the store does what the model
    /// does. Counts the places to cut at.
    pub(super) async fn rehearse(&mut self, seed: u64) {
        let mut player = self.player(seed);
        if player.must_open().await {
            let mut at = 0;
            while let Some(turn) = next(at, &mut player) {
                if let Outcome::Refused(_) = player.play(&turn).await {
                    player.say(format!("{turn:?} was refused, with nothing wrong"));
                }
                if !player.look("with nothing wrong", false).await {
                    break;
                }
                at += 1;
            }
            player.check().await;
        }
        player.close();
        self.report.places = player.disk.count(Ops::CHANGES);
        self.settle(seed, "nothing", player);
    }

    /// One round; its seed decides what it is.
    pub(super) async fn round(&mut self, seed: u64) {
        self.report.rounds += 1;
        let (kind, count) = (seed % 4, seed / 4);
        match kind {
            0 | 1 => {
                self.cut(seed, place(count * 2 + kind, self.report.places))
                    .await
            }
            2 if count % 3 == 2 => self.lasting_fault(seed).await,
            2 => self.fault(seed, place(count, self.report.places)).await,
            _ => self.simulate(seed).await,
        }
    }

    fn player(&self, seed: u64) -> Player<'a> {
        self.subject.restore_derived(&Derived::default());
        Player::new(self.subject, SimulatedDisk::new(seed))
    }

    fn settle(&mut self, seed: u64, round: &str, player: Player<'_>) {
        if !player.problems.is_empty() {
            self.report.violations.push(Violation {
                seed,
                round: round.to_owned(),
                problems: player.problems,
                trail: player.trail,
            });
        }
    }

    /// The power goes after `n` changes of the fixed run.
    async fn cut(&mut self, seed: u64, n: u64) {
        let mut player = self.player(seed);
        player.disk.cut_after(n);
        let mut at = 0;
        if player.open().await {
            while let Some(turn) = next(at, &mut player) {
                match player.play(&turn).await {
                    Outcome::Done => at += 1,
                    Outcome::Cut => break,
                    Outcome::Refused(_) => {
                        player.say(format!("{turn:?} was refused, with nothing wrong"));
                        break;
                    }
                }
            }
        }
        player.close();
        self.report.cuts += 1;
        let derived = self.subject.save_derived();
        for disk in 0..DISKS_PER_CUT {
            let dice = Dice::new(seed.wrapping_mul(DISKS_PER_CUT).wrapping_add(disk));
            let mut next = self.power_on(&player, &derived, &dice).await;
            let name = format!("a power cut after {n} changes, disk {disk}");
            survive(&mut next).await;
            next.close();
            self.settle(seed, &name, next);
        }
        self.settle(seed, "before the cut", player);
    }

    /// The store's history on a disk after the cut, with the derived data as a
    /// cut may leave it; sometimes the power goes again while it recovers.
    async fn power_on(&mut self, player: &Player<'a>, kept: &Derived, dice: &Dice) -> Player<'a> {
        let none = Derived::default();
        let derived = match (dice.below(3), &player.old) {
            (0, _) => &none,
            (1, Some(old)) => old,
            _ => kept,
        };
        if dice.once_in(4) {
            // Only the process was killed; the power goes once somebody has
            // seen what it left.
            self.subject.restore_derived(kept);
            let mut next = player.on(player.disk.after_kill());
            if next.must_open().await && next.look("after a kill", true).await {
                next.close();
                next.disk = next.disk.power_on(dice.roll());
            }
            return next;
        }
        self.subject.restore_derived(derived);
        let mut next = player.on(player.disk.power_on(dice.roll()));
        if dice.once_in(3) {
            self.report.cuts += 1;
            next.disk.cut_after(dice.below(12));
            next.open().await;
            next.close();
            next = next.on(next.disk.power_on(dice.roll()));
        }
        next
    }

    /// One operation of the fixed run fails.
    async fn fault(&mut self, seed: u64, n: u64) {
        self.report.faults += 1;
        let dice = Dice::new(seed);
        let faults = [Fault::Io, Fault::Full, Fault::ReadOnly, Fault::Descriptors];
        let fault = faults[dice.index(faults.len())];
        let (ops, n) = match (fault, dice.below(3)) {
            (Fault::Descriptors, _) => (Ops::CREATE | Ops::OPEN, 1 + n % 60),
            (Fault::Io, 0) => (Ops::SYNCS, 1 + n % 60),
            _ => (Ops::CHANGES, n + 1),
        };
        let mut player = self.player(seed);
        player.expected = Some(fault);
        player.disk.fail_nth(ops, n, fault);
        if player.open().await || player.must_open().await {
            let mut at = 0;
            while let Some(turn) = next(at, &mut player) {
                if !insist(&mut player, turn, fault).await {
                    break;
                }
                at += 1;
            }
            self.reopen_twice(&mut player, &dice).await;
        }
        player.close();
        self.settle(seed, &format!("{fault:?} at the {n}th of {ops:?}"), player);
    }

    /// Closes and opens, then cuts and opens: nothing refused may be there.
    async fn reopen_twice(&mut self, player: &mut Player<'a>, dice: &Dice) {
        player.forget_refused();
        player.close();
        player.disk.heal();
        player.expected = None;
        if player.must_open().await && player.look("after closing and opening", false).await {
            player.close();
            self.report.cuts += 1;
            player.disk = player.disk.power_on(dice.roll());
            survive(player).await;
        }
    }

    /// From some moment on everything fails, or the disk is full, until it is
    /// over.
    async fn lasting_fault(&mut self, seed: u64) {
        self.report.faults += 1;
        let dice = Dice::new(seed);
        let faults = [
            Fault::Io,
            Fault::Full,
            Fault::Full,
            Fault::ReadOnly,
            Fault::Descriptors,
        ];
        let fault = faults[dice.index(faults.len())];
        let (first, length) = (2 + dice.below(23), 1 + dice.below(4));
        let mut player = self.player(seed);
        if player.must_open().await {
            let mut at = 0;
            while let Some(turn) = next(at, &mut player) {
                let turns = at as u64;
                if turns == first {
                    player.expected = Some(fault);
                    match fault {
                        Fault::Full => player.disk.fill(dice.below(100_000)),
                        Fault::Descriptors => {
                            player.disk.fail_from(Ops::CREATE | Ops::OPEN, 1, fault)
                        }
                        _ => player.disk.fail_from(Ops::CHANGES, 1, fault),
                    }
                }
                let during = (first..first + length).contains(&turns);
                let turn = match during && !matches!(turn, Turn::Reopen) {
                    true => bear(&mut player, turn, fault).await,
                    false => Some(turn),
                };
                if let Some(turn) = turn {
                    // Still in the way, and what comes next may rest on it.
                    if during {
                        player.disk.heal();
                    }
                    if !insist(&mut player, turn, fault).await {
                        break;
                    }
                }
                if turns + 1 == first + length {
                    player.disk.heal();
                }
                at += 1;
            }
            player.disk.heal();
            self.reopen_twice(&mut player, &dice).await;
        }
        player.close();
        let name = format!("{fault:?} from turn {first} on for {length} turns");
        self.settle(seed, &name, player);
    }

    /// Random turns, random faults, power cuts, several lives.
    async fn simulate(&mut self, seed: u64) {
        let dice = Dice::new(seed);
        let mut player = self.player(seed);
        if player.must_open().await {
            // Looking at an INBOX makes it, which a fault may refuse.
            player.look("with nothing wrong", false).await;
        }
        for life in 0..LIVES {
            if player.problems.is_empty() {
                self.live(&mut player, &dice).await;
                player.close();
                let derived = self.subject.save_derived();
                self.report.cuts += 1;
                let mut next = self.power_on(&player, &derived, &dice).await;
                next.problems.append(&mut player.problems);
                player = next;
                if player.problems.is_empty() {
                    player
                        .trail
                        .push(format!("the power went; life {}", life + 2));
                    survive(&mut player).await;
                }
                player.close();
            }
        }
        self.settle(seed, "random turns, faults and cuts", player);
    }

    async fn live(&mut self, player: &mut Player<'a>, dice: &Dice) {
        player.disk.cut_after(dice.below(200));
        let mut fault = None;
        if dice.coin() {
            let kinds = [Fault::Io, Fault::Full, Fault::ReadOnly, Fault::Descriptors];
            let chosen = kinds[dice.index(kinds.len())];
            let ops = match chosen {
                Fault::Descriptors => Ops::CREATE | Ops::OPEN,
                _ => [Ops::CHANGES, Ops::SYNCS, Ops::WRITE][dice.index(3)],
            };
            player.disk.fail_nth(ops, 1 + dice.below(60), chosen);
            fault = Some(chosen);
            self.report.faults += 1;
        }
        player.expected = fault;
        for _ in 0..TURNS {
            if !player.is_open() && !player.open().await {
                if player.disk.is_cut() {
                    return;
                }
                continue;
            }
            if player.is_lost() {
                return;
            }
            let now = player.clock.now();
            let turn = random(dice, &player.model, now, &mut player.numbers);
            match player.play(&turn).await {
                Outcome::Cut => return,
                Outcome::Done if dice.once_in(4) => drop(player.look("running", false).await),
                Outcome::Done => {}
                Outcome::Refused(_) if player.is_open() => {
                    player.look("after a refusal", false).await;
                }
                Outcome::Refused(_) => {}
            }
            if !player.problems.is_empty() {
                return;
            }
        }
    }
}

/// The `k`-th place of a walk that comes to each of `places` once.
fn place(k: u64, places: u64) -> u64 {
    let places = places.max(1);
    let golden = (places * 34 / 55).max(1);
    let step = (golden..).find(|it| gcd(*it, places) == 1).unwrap_or(1);
    (k % places) * step % places
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn next(at: usize, player: &mut Player<'_>) -> Option<Turn> {
    fixed(at, &player.model, player.clock.now(), &mut player.numbers)
}

/// What must hold once the power is back.
async fn survive(player: &mut Player<'_>) {
    player.expected = None;
    if player.must_open().await
        && player.look("after the power cut", true).await
        && player.go_on().await
    {
        player.check().await;
        player.close();
        if player.must_open().await {
            player.look("opened once more", false).await;
        }
    }
}

/// Plays a turn of which a fault may refuse something, and asks again.
async fn insist(player: &mut Player<'_>, turn: Turn, fault: Fault) -> bool {
    let mut turn = turn;
    for _ in 0..TRIES {
        match player.play(&turn).await {
            Outcome::Refused(steps) if matches!(turn, Turn::Steps(_)) => {
                turn = Turn::Steps(steps);
                if fault != Fault::Descriptors && !player.look("after a refusal", false).await {
                    return false;
                }
            }
            Outcome::Refused(_) if !player.is_open() => {}
            Outcome::Refused(_) => return player.look("after a refusal", false).await,
            Outcome::Done => return true,
            Outcome::Cut => return false,
        }
        if !player.is_open() && player.open().await {
            return true;
        }
    }
    // A store may lease nothing from the queue until it knows that it can settle
    // it: until a change that needs no lease was taken again.
    let work = delivery(&[0], 500, &mut player.numbers);
    let probed = player.play(&Turn::Steps(vec![Step::Commit(work)])).await;
    if let Outcome::Done = probed
        && let Outcome::Done = player.play(&turn).await
    {
        return true;
    }
    player.say(format!("the fault is over, and {turn:?} is still refused"));
    false
}

/// Plays a turn while something is in its way; what is left to be asked again.
async fn bear(player: &mut Player<'_>, turn: Turn, fault: Fault) -> Option<Turn> {
    let mut turn = turn;
    for _ in 0..TRIES {
        let outcome = player.play(&turn).await;
        if fault != Fault::Descriptors && !player.look("while the fault lasts", false).await {
            return None;
        }
        match outcome {
            Outcome::Refused(steps) if matches!(turn, Turn::Steps(_)) => turn = Turn::Steps(steps),
            Outcome::Refused(_) => return Some(turn),
            Outcome::Done | Outcome::Cut => return None,
        }
    }
    Some(turn)
}
