//! Schedules against a model that goes through time minute by minute, and by
//! example.

use proptest::prelude::*;

use super::super::Utc;
use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 2026-01-01 00:00 UTC, a Thursday.
const START: i64 = 1_767_225_600;

fn crontab(text: &str) -> Crontab {
    text.parse().unwrap()
}

fn wrong(text: &str) -> String {
    text.parse::<Crontab>().unwrap_err().to_string()
}

/// A place whose clocks change at these moments.
#[derive(Debug, Clone)]
struct Place {
    first: i32,
    changes: Vec<(i64, i32)>,
}

impl Zone for Place {
    fn offset(&self, at: Timestamp) -> i32 {
        let past = self
            .changes
            .iter()
            .rev()
            .find(|(when, _)| *when <= at.secs());
        past.map_or(self.first, |(_, offset)| *offset)
    }
}

/// The offset +1 h, an hour more from 2026-03-29 01:00 UTC until 2026-10-25
/// 01:00 UTC: Central Europe.
fn europe() -> Place {
    Place {
        first: 3600,
        changes: vec![(1_774_746_000, 7200), (1_792_890_000, 3600)],
    }
}

/// The first `count` runs after `from`.
fn runs(text: &str, zone: &dyn Zone, from: i64, count: usize) -> Vec<i64> {
    let crontab = crontab(text);
    let mut at = Timestamp::from_secs(from);
    let mut runs = Vec::new();
    for _ in 0..count {
        at = crontab.next_after(at, zone).unwrap();
        runs.push(at.secs());
    }
    runs
}

#[test]
fn the_presets_and_names_mean_what_cron_means_by_them() {
    let next = |text| {
        let hours = runs(text, &Utc, START + 1, 2).into_iter();
        hours.map(|at| (at - START) / HOUR).collect::<Vec<_>>()
    };
    assert_eq!(next("@hourly"), [1, 2]);
    assert_eq!(next("@daily"), [24, 48]);
    assert_eq!(next("@midnight"), [24, 48]);
    assert_eq!(next("@weekly"), [3 * 24, 10 * 24], "Sundays");
    assert_eq!(next("@monthly"), [31 * 24, 59 * 24]);
    assert_eq!(next("@Yearly"), [365 * 24, 730 * 24]);
    assert_eq!(next("@annually"), next("0 0 1 JAN *"));
    assert_eq!(next("0 0 * * 7"), next("0 0 * * sun"));
    assert_eq!(next("0 0 * * sat-sun"), [2 * 24, 3 * 24]);
    assert_eq!(next("0 0 * * 5-7/2"), [24, 3 * 24], "Friday, Sunday");
}

#[test]
fn either_day_field_matches_when_both_are_restricted_and_both_must_otherwise() {
    let days = |text| {
        let days = runs(text, &Utc, START, 4).into_iter();
        days.map(|at| (at - START) / DAY + 1).collect::<Vec<_>>()
    };
    assert_eq!(
        days("0 12 13 * fri"),
        [2, 9, 13, 16],
        "the 13th and Fridays"
    );
    assert_eq!(days("0 12 */2 * fri"), [9, 23, 44, 58], "odd Fridays");
    assert_eq!(days("0 12 13 * *"), [13, 44, 72, 103]);
}

#[test]
fn a_time_that_is_skipped_runs_at_the_skip_and_one_that_comes_twice_once() {
    let zone = europe();
    let (spring, autumn) = (zone.changes[0].0, zone.changes[1].0);
    assert_eq!(
        runs("30 2 * * *", &zone, spring - DAY, 3),
        [
            spring - DAY + 30 * MINUTE,
            spring,
            spring + DAY - 30 * MINUTE
        ]
        .map(|at| at),
        "02:30 is skipped: 03:00 it is"
    );
    assert_eq!(
        runs("*/30 * * * *", &zone, spring - HOUR, 4),
        [spring - HOUR / 2, spring, spring + HOUR / 2, spring + HOUR],
        "nothing twice at the skip"
    );
    assert_eq!(
        runs("30 2 * * *", &zone, autumn - DAY, 2),
        [autumn - HOUR / 2, autumn + DAY + HOUR / 2],
        "the first 02:30 of two"
    );
}

#[test]
fn what_is_wrong_is_named_with_the_field_and_what_would_be_right() {
    assert_eq!(
        wrong("0 0 0 * * *"),
        "a schedule has five fields (minute hour day-of-month month day-of-week), not 6; there \
         is none for seconds or years"
    );
    assert!(wrong("").contains("five fields"));
    assert_eq!(
        wrong("0 24 * * *"),
        "the hour can't be \"24\"; it is *, or of 0-23: lists (a,b), ranges (a-b), steps (*/n, \
         a-b/n)"
    );
    for (text, words) in [
        ("60 * * * *", ["minute", "0-59"]),
        ("* * 0 * *", ["day of month", "1-31"]),
        ("* * * 13 *", ["month", "jan-dec"]),
        ("* * * * 8", ["day of week", "sun-sat"]),
        ("* * * * mon,", ["day of week", "\"\""]),
        ("* * * monday *", ["month", "\"monday\""]),
        ("+5 * * * *", ["minute", "\"+5\""]),
        ("-5 * * * *", ["minute", "\"-5\""]),
        ("50-10 * * * *", ["minute", "two ranges"]),
        ("5/10 * * * *", ["minute", "a-b/n"]),
        ("*/0 * * * *", ["minute", "1 to 59"]),
        ("*/90 * * * *", ["minute", "1 to 59"]),
        ("0 0-6/7 * * *", ["hour", "1 to 6"]),
        ("@reboot", ["@reboot", "@daily"]),
        ("0 0 31 2 *", ["0 0 31 2 *", "never comes"]),
        ("0 0 31 4,6,9,11 *", ["never", "no year"]),
    ] {
        let told = wrong(text);
        assert!(
            words.iter().all(|word| told.contains(word)),
            "{text}: {told}"
        );
    }
    assert!(wrong(&"0,".repeat(200)).contains("256 octets"));
}

#[test]
fn rare_days_are_found_and_time_ends() {
    // Leap days on a weekend: 2032, 2048.
    let next = runs("0 0 29 2 */6", &Utc, START, 2);
    assert_eq!(next, [1_961_625_600, 2_466_547_200]);
    for last in [253_402_300_799, i64::MAX / 1_000, i64::MAX] {
        let end = Timestamp::from_secs(last);
        assert_eq!(crontab("* * * * *").next_after(end, &Utc), None);
    }
    let begin = Timestamp::from_millis(i64::MIN);
    assert!(crontab("* * * * *").next_after(begin, &Utc).is_some());
}

#[test]
fn a_schedule_is_shown_as_it_was_written() {
    assert_eq!(crontab(" 0  3\t* * MON ").to_string(), "0 3 * * MON");
    assert_eq!(crontab("@daily").to_string(), "@daily");
}

/// A field's text and the values it stands for.
fn field(low: u8, high: u8) -> impl Strategy<Value = (String, Vec<u8>)> {
    let item = (low..=high, low..=high).prop_flat_map(move |(a, b)| {
        let (first, last) = (a.min(b), a.max(b));
        (Just((first, last)), 1..=(last - first).max(1), 0..3u8)
    });
    let item = item.prop_map(|((first, last), step, form)| match form {
        0 => (first.to_string(), vec![first]),
        1 => (format!("{first}-{last}"), (first..=last).collect()),
        _ => (
            format!("{first}-{last}/{step}"),
            (first..=last).step_by(usize::from(step)).collect(),
        ),
    });
    let list = prop::collection::vec(item, 1..4).prop_map(|items| {
        let (texts, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        (texts.join(","), values.concat())
    });
    let starred = (1..=high - low).prop_map(move |step| {
        let values = (low..=high).step_by(usize::from(step)).collect();
        (format!("*/{step}"), values)
    });
    prop_oneof![
        2 => Just(("*".to_owned(), (low..=high).collect::<Vec<u8>>())),
        3 => list,
        1 => starred,
    ]
}

/// A schedule's text and its fields' values.
fn schedule() -> impl Strategy<Value = (String, [Vec<u8>; 5])> {
    let months = prop_oneof![3 => Just(("*".to_owned(), (1..=12).collect())), 1 => field(1, 12)];
    (
        field(0, 59),
        field(0, 23),
        field(1, 31),
        months,
        field(0, 6),
    )
        .prop_map(|fields| {
            let (a, b, c, d, e) = fields;
            let text = [&a.0, &b.0, &c.0, &d.0, &e.0].map(String::as_str).join(" ");
            (text, [a.1, b.1, c.1, d.1, e.1])
        })
}

/// Clocks that change up to four times, by minutes or by a day.
fn place() -> impl Strategy<Value = Place> {
    let offset = (-14 * 60..14 * 60).prop_map(|minutes: i32| minutes * 60);
    let change = (4..12i64, 0..24 * 60i64, offset.clone());
    (offset, prop::collection::vec(change, 0..4)).prop_map(|(first, steps)| {
        let mut at = START;
        let changes = steps.into_iter().map(|(days, minutes, offset)| {
            at += days * DAY + minutes * MINUTE;
            (at, offset)
        });
        Place {
            first,
            changes: changes.collect(),
        }
    })
}

fn is_meant(text: &str, fields: &[Vec<u8>; 5], local: i64) -> bool {
    let date = Date::from_days(local.div_euclid(DAY));
    let weekday = (date.days() + 4).rem_euclid(7);
    let minute = local.rem_euclid(DAY) / MINUTE;
    let has = |field: usize, value: i64| fields[field].contains(&u8::try_from(value).unwrap());
    let words: Vec<&str> = text.split(' ').collect();
    let by_date = has(2, i64::from(date.day()));
    let by_weekday = has(4, weekday);
    let days = if words[2].starts_with('*') || words[4].starts_with('*') {
        by_date && by_weekday
    } else {
        by_date || by_weekday
    };
    has(0, minute % 60) && has(1, minute / 60) && has(3, i64::from(date.month())) && days
}

/// The runs within `days` after `from`, found minute by minute: what clocks
/// show for the first time, or skip over, has its turn.
fn model(text: &str, fields: &[Vec<u8>; 5], zone: &Place, (from, days): (i64, i64)) -> Vec<i64> {
    let local = |at| at + i64::from(zone.offset(Timestamp::from_secs(at)));
    let begin = from - 3 * DAY;
    let mut shown = local(begin);
    let mut runs = Vec::new();
    for at in (begin..=from + days * DAY).step_by(MINUTE as usize) {
        let new = (shown + MINUTE..=local(at)).step_by(MINUTE as usize);
        if new.clone().any(|local| is_meant(text, fields, local)) && at > from {
            runs.push(at);
        }
        shown = shown.max(local(at));
    }
    runs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_next_run_is_the_one_that_the_model_finds(
        (text, fields) in schedule(),
        zone in place(),
        from in 0..10 * 24 * 60i64,
    ) {
        let Ok(crontab) = text.parse::<Crontab>() else {
            // 30 February and the like; no other schedule is refused.
            prop_assert!(wrong(&text).contains("never comes"), "{text}");
            return Ok(());
        };
        let from = START + from * MINUTE;
        let expected = model(&text, &fields, &zone, (from, 20));
        let mut at = Timestamp::from_secs(from);
        for run in expected {
            at = crontab.next_after(at, &zone).unwrap();
            prop_assert_eq!(at, Timestamp::from_secs(run), "{}", text);
        }
        let after = crontab.next_after(at, &zone).unwrap();
        prop_assert!(after.secs() > from + 20 * DAY);
    }

    #[test]
    fn what_is_written_reads_back((text, _) in schedule()) {
        if let Ok(crontab) = text.parse::<Crontab>() {
            prop_assert_eq!(crontab.to_string().parse::<Crontab>().unwrap(), crontab);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[@*0-9a-z,/ -]{0,40}") {
        let _ = text.parse::<Crontab>();
    }
}
