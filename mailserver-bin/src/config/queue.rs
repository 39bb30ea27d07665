//! `[queue]`: when mail is tried again, for how long what is done with is kept,
//! what notices are like. What one destination is given is
//! [`super::destinations`]'s, where mail goes
//! [`resolve`](super::resolve)'s.

use std::time::Duration;

use mailcore::address::Address;
use mailcore::queue::{RetrySchedule, RunnerConfig};

use super::Config;
use super::destinations;
use super::file::{At, Section};
use super::schedule::keep_or_never;

/// For the message viewer: two weeks.
pub(super) const KEEP_DELIVERED: Duration = Duration::from_secs(14 * 24 * 3_600);

pub(super) fn queue(queue: &Section<'_, '_>, config: &mut Config) {
    let waits = queue.strings("retry");
    let expire = queue.duration("expire");
    if waits.is_some() || expire.is_some() {
        retry_schedule(queue, waits, expire, config);
    }
    if let Some(text) = queue.string("delay_notice") {
        let after = match text.value {
            "never" => None,
            _ => queue
                .parse_duration("delay_notice", text)
                .map(|at| at.value),
        };
        config.schedule = config.schedule.clone().with_delay_notice(after);
    }
    if let Some(count) = queue.count("deliveries") {
        config.limits.deliveries = count;
    }
    if let Some(keep_for) = keep_or_never(queue, "keep_delivered") {
        config.keep_delivered = Some(keep_for).filter(|keep_for| !keep_for.is_zero());
    }
    in_hand(queue, config);
    bad_and_notices(queue, &mut config.runner);
    destinations::destinations(queue, &mut config.runner.destinations);
}

/// Fewer entries than deliveries would leave some of these idle for ever.
fn in_hand(queue: &Section<'_, '_>, config: &mut Config) {
    let deliveries = config.limits.deliveries;
    let Some(leased) = queue.number("leased") else {
        config.runner.max_leased = config.runner.max_leased.max(deliveries);
        return;
    };
    match usize::try_from(leased.value) {
        Ok(count) if count >= deliveries => config.runner.max_leased = count,
        _ => queue.problem(
            leased.line,
            format!("leased must be at least {deliveries}, the deliveries at a time"),
        ),
    }
}

fn bad_and_notices(queue: &Section<'_, '_>, runner: &mut RunnerConfig) {
    if let Some(keep_for) = queue.duration("keep_bad") {
        if keep_for.value.is_zero() {
            let words = "keep_bad must be more than nothing: bad mail waits for a decision";
            queue.problem(keep_for.line, words);
        }
        runner.keep_bad = keep_for.value;
    }
    if let Some(text) = queue.string("notices_from") {
        match Address::parse(text.value) {
            Ok(address) => runner.notices_from = Some(address),
            Err(error) => queue.problem(text.line, format!("notices_from: {error}")),
        }
    }
    runner.returned_in_full = queue
        .size("returned_in_full")
        .unwrap_or(runner.returned_in_full);
}

fn retry_schedule(
    queue: &Section<'_, '_>,
    waits: Option<Vec<At<&str>>>,
    expire: Option<At<Duration>>,
    config: &mut Config,
) {
    let line = waits
        .iter()
        .flatten()
        .map(|at| at.line)
        .next()
        .or(expire.map(|at| at.line))
        .unwrap_or(queue.line());
    let waits = match waits {
        Some(waits) => waits
            .into_iter()
            .filter_map(|text| queue.parse_duration("retry", text))
            .map(|at| at.value)
            .collect(),
        None => [1, 2, 4, 6, 8]
            .map(|halves| Duration::from_secs(1_800 * halves))
            .to_vec(),
    };
    let expire = expire.map_or(Duration::from_secs(168 * 3_600), |at| at.value);
    match RetrySchedule::new(waits, expire) {
        Ok(schedule) => config.schedule = schedule,
        Err(error) => queue.problem(line, format!("retry: {error}")),
    }
}
