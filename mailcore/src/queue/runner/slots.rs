//! How many jobs run at once, and which kind may not take all of them:
//! [`Slots`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::line::{Line, Rank};

/// What kind of job asks for a slot. Local jobs are short and first attempts
/// mostly succeed; neither must wait behind a thousand retries that time out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// To a mailbox or a hook here; may use every slot.
    Local,
    /// To another host for the first time; nine slots of ten.
    First,
    /// To another host once more; three slots of four.
    Retry,
}

const LANES: [Lane; 3] = [Lane::Local, Lane::First, Lane::Retry];

/// The slots that all jobs share.
#[derive(Debug)]
pub(super) struct Slots {
    all: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    local: Kind,
    first: Kind,
    retry: Kind,
}

#[derive(Debug, Default)]
struct Kind {
    running: usize,
    line: Line<SlotPermit>,
}

/// The right to run one job.
#[derive(Debug)]
pub(super) struct SlotPermit {
    slots: Arc<Slots>,
    lane: Lane,
}

impl Slots {
    pub(super) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all: all.max(1),
            state: Mutex::default(),
        })
    }

    /// Slots that retries may use.
    pub(super) fn for_retries(&self) -> usize {
        (self.all * 3).div_ceil(4)
    }

    /// Waits for a slot. Dropping the future leaves the line.
    pub(super) async fn take(self: &Arc<Self>, lane: Lane, rank: Rank) -> Option<SlotPermit> {
        let woken = self.state().kind(lane).line.join(rank);
        self.hand_out();
        // An error would mean that the line was cleared; ours never is.
        woken.await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free slots to the most urgent who may have them.
    fn hand_out(self: &Arc<Self>) {
        while let Some((wake, lane)) = self.next() {
            // Sent with no lock held: a permit that nobody takes comes back.
            let slots = Arc::clone(self);
            drop(wake.send(SlotPermit { slots, lane }));
        }
    }

    fn next(&self) -> Option<(oneshot::Sender<SlotPermit>, Lane)> {
        let mut state = self.state();
        let mut best: Option<(Rank, Lane)> = None;
        for lane in LANES {
            if self.has_room(&state, lane)
                && let Some(rank) = state.kind(lane).line.first()
                && best.is_none_or(|(least, _)| rank < least)
            {
                best = Some((rank, lane));
            }
        }
        let (_, lane) = best?;
        let kind = state.kind(lane);
        let wake = kind.line.next()?;
        kind.running += 1;
        Some((wake, lane))
    }

    fn has_room(&self, state: &State, lane: Lane) -> bool {
        let remote = state.first.running + state.retry.running;
        let room = remote + state.local.running < self.all;
        let room_outside = remote < (self.all * 9).div_ceil(10);
        match lane {
            Lane::Local => room,
            Lane::First => room && room_outside,
            Lane::Retry => room && room_outside && state.retry.running < self.for_retries(),
        }
    }
}

impl State {
    fn kind(&mut self, lane: Lane) -> &mut Kind {
        match lane {
            Lane::Local => &mut self.local,
            Lane::First => &mut self.first,
            Lane::Retry => &mut self.retry,
        }
    }
}

impl Drop for SlotPermit {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        let kind = state.kind(self.lane);
        kind.running = kind.running.saturating_sub(1);
        drop(state);
        self.slots.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Priority;
    use crate::queue::Urgency;
    use crate::time::Timestamp;

    fn rank(minute: i64, priority: i8) -> Rank {
        let due = Timestamp::from_secs(minute * 60);
        Rank::new(due, Urgency::new(Priority::new(priority).unwrap(), 1))
    }

    #[tokio::test]
    async fn retries_leave_slots_to_first_attempts_and_these_to_local_mail() {
        let slots = Slots::new(20);
        let mut held = Vec::new();
        let mut waiting = Vec::new();
        for (lane, most) in [(Lane::Retry, 15), (Lane::First, 18), (Lane::Local, 20)] {
            for _ in 0..30 {
                let mut take = Box::pin(slots.take(lane, rank(0, 0)));
                match futures_poll(take.as_mut()) {
                    Some(permit) => held.push(permit),
                    None => waiting.push(take),
                }
            }
            assert_eq!(held.len(), most);
        }
        drop((held, waiting));
        assert!(futures_poll(Box::pin(slots.take(Lane::Retry, rank(0, 0))).as_mut()).is_some());
    }

    #[tokio::test]
    async fn the_urgent_go_first_and_what_waited_long_before_them() {
        let slots = Slots::new(1);
        let held = slots.take(Lane::First, rank(0, 0)).await;
        let ranks = [(100, 0), (100, 9), (150, -9), (50, 3), (-90, -9), (100, 0)];
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for (at, (minute, priority)) in ranks.into_iter().enumerate() {
            let (slots, order) = (Arc::clone(&slots), Arc::clone(&order));
            tasks.spawn(async move {
                let _slot = slots.take(Lane::First, rank(minute, priority)).await;
                order.lock().unwrap().push(at);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), [4, 1, 3, 0, 5, 2]);
    }

    fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = Option<T>>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => None,
        }
    }
}
