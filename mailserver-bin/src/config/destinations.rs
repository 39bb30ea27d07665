//! `[queue.destination]` and `[[queue.rate]]`: what one destination is given,
//! and how long one is left alone that can't be reached.

use std::time::Duration;

use mailcore::address::Domain;
use mailcore::queue::{DestinationLimits, Rate};

use super::file::{At, Section};

/// A pause below it would be none.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Reads both tables, which are in `[queue]`.
pub(super) fn destinations(queue: &Section<'_, '_>, limits: &mut DestinationLimits) {
    let section = queue.section("destination", "[queue.destination]");
    widths(&section, limits);
    pauses(&section, limits);
    section.finish();
    let rates = queue.sections("rate", "[[queue.rate]]");
    for section in rates.unwrap_or_default() {
        rate(&section, limits);
        section.finish();
    }
}

fn widths(section: &Section<'_, '_>, limits: &mut DestinationLimits) {
    let first = section.number("first_connections");
    let most = section.count("connections");
    limits.max_jobs = most.unwrap_or(limits.max_jobs);
    let Some(first) = first else {
        // One key alone must not contradict the other's default.
        limits.first_jobs = limits.first_jobs.min(limits.max_jobs);
        return;
    };
    let most = limits.max_jobs;
    match usize::try_from(first.value) {
        Ok(first) if (1..=most).contains(&first) => limits.first_jobs = first,
        _ => section.problem(
            first.line,
            format!("first_connections must be 1 to {most}, the most that connections allows"),
        ),
    }
}

fn pauses(section: &Section<'_, '_>, limits: &mut DestinationLimits) {
    let first = pause(section, "pause");
    let longest = pause(section, "longest_pause");
    if let Some(longest) = longest {
        limits.longest_pause = longest.value;
        limits.first_pause = limits.first_pause.min(longest.value);
    }
    if let Some(first) = first {
        limits.first_pause = first.value;
        match longest {
            Some(longest) if longest.value < first.value => {
                section.problem(
                    longest.line,
                    "longest_pause must be at least as long as pause",
                );
            }
            _ => limits.longest_pause = limits.longest_pause.max(first.value),
        }
    }
}

fn pause(section: &Section<'_, '_>, key: &'static str) -> Option<At<Duration>> {
    let time = section.duration(key)?;
    if time.value < SHORTEST_PAUSE {
        section.problem(time.line, format!("{key} must be a second or more"));
    }
    Some(time)
}

fn rate(section: &Section<'_, '_>, limits: &mut DestinationLimits) {
    let domain = section.string("domain");
    let messages = section.number("messages").and_then(|number| {
        let messages = u32::try_from(number.value).ok().filter(|it| *it > 0);
        if messages.is_none() {
            let most = u32::MAX;
            section.problem(number.line, format!("messages must be 1 to {most}"));
        }
        messages
    });
    let per = section.duration("per").and_then(|per| {
        if per.value.is_zero() {
            section.problem(per.line, "per must be a second or more");
        }
        Some(per.value).filter(|per| !per.is_zero())
    });
    for key in ["messages", "per"] {
        if !section.has(key) {
            section.problem(
                section.line(),
                format!("{key} is missing in [[queue.rate]]"),
            );
        }
    }
    let (Some(messages), Some(per)) = (messages, per) else {
        return;
    };
    let rate = Rate { messages, per };
    let Some(domain) = domain else {
        if limits.rate.replace(rate).is_some() {
            let words = "two rates without a domain; one holds for all that have none of their own";
            section.problem(section.line(), words);
        }
        return;
    };
    match Domain::parse(domain.value) {
        Ok(name) => {
            if limits.rates.insert(name, rate).is_some() {
                let words = format!("there are two rates for \"{}\"", domain.value);
                section.problem(domain.line, words);
            }
        }
        Err(error) => section.problem(domain.line, format!("domain: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::resolve;
    use super::*;

    const SERVER: &str = "[server]\nhostname = \"mail.example.com\"\n";

    #[test]
    fn a_destination_is_given_what_the_file_says() {
        let text = format!(
            "{SERVER}[queue.destination]\nconnections = 3\npause = \"2h\"\n\
             [[queue.rate]]\nmessages = 10\nper = \"1m\"\n\
             [[queue.rate]]\ndomain = \"Slow.test\"\nmessages = 1\nper = \"1h\"\n"
        );
        let config = resolve(Path::new("x.toml"), &text).unwrap();
        let limits = config.runner.destinations;
        assert_eq!((limits.first_jobs, limits.max_jobs), (3, 3));
        let hours = |count: u64| Duration::from_secs(count * 3_600);
        assert_eq!(limits.first_pause, hours(2));
        assert_eq!(limits.longest_pause, hours(2));
        assert_eq!(limits.rate.unwrap().messages, 10);
        let slow = limits.rates.get(&"slow.test".parse().unwrap()).unwrap();
        assert_eq!((slow.messages, slow.per), (1, hours(1)));
    }

    #[test]
    fn every_wrong_limit_is_reported_with_its_line() {
        let text = format!(
            "{SERVER}[queue]\nleased = 10\nkeep_bad = \"0s\"\nnotices_from = \"nobody\"\n\
             [queue.destination]\nconnections = 2\nfirst_connections = 3\npause = \"1h\"\n\
             longest_pause = \"1m\"\nwidth = 3\n\
             [[queue.rate]]\ndomain = \"-\"\nmessages = 0\n\
             [[queue.rate]]\nmessages = 1\nper = \"1s\"\n\
             [[queue.rate]]\nmessages = 1\nper = \"1s\"\n"
        );
        let problems = resolve(Path::new("x.toml"), &text).unwrap_err().to_string();
        for (line, words) in [
            (4, "leased must be at least 64"),
            (5, "keep_bad must be"),
            (6, "notices_from: "),
            (9, "first_connections must be 1 to 2"),
            (11, "longest_pause must be at least as long as pause"),
            (12, "unknown key \"width\""),
            (13, "per is missing"),
            (15, "messages must be 1"),
            (19, "two rates without a domain"),
        ] {
            let found = problems
                .lines()
                .any(|it| it.contains(&format!("x.toml:{line}:")) && it.contains(words));
            assert!(found, "{line} {words}\n{problems}");
        }
    }
}
