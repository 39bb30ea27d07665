//! `[queue]`: when mail is tried again, and for how long what was delivered is
//! kept. Where it goes is [`resolve`](super::resolve)'s.

use std::time::Duration;

use mailcore::queue::RetrySchedule;

use super::Config;
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
