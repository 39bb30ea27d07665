//! A long life among hosts whose temper changes by the day, with faults of DNS,
//! lines and disk in between and restarts at any time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mailcore::event::{EventCursor, EventName, StoredEvent};
use mailcore::seams::Clock;
use mailcore::testing::faults::{DialFault, DnsFault, FaultPlan, StoreFault};
use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Act, END, Manner, Office, Rough, ScriptedHost, Setup};

const DAY: u64 = 86_400;

/// How much happens.
#[derive(Debug, Clone, Copy)]
struct Size {
    messages: u64,
    hosts: u64,
    days: u64,
}

/// What happened.
#[derive(Debug, Default)]
struct Told {
    recipients: usize,
    delivered: usize,
    returned: usize,
    refused: usize,
    again: usize,
    restarts: usize,
    faults: usize,
}

struct Life {
    world: Rough,
    office: Office,
    hosts: Vec<Arc<ScriptedHost>>,
    size: Size,
    taken: Vec<String>,
    refused: Vec<String>,
    events: Vec<StoredEvent>,
    restarts: usize,
}

/// How a host behaves over one connection: it has good days and bad days.
fn temper(plan: &FaultPlan, host: &str, count: u64) -> Manner {
    let day = plan.clock().now().millis() / (1_000 * DAY).cast_signed();
    let mood = plan.draw(&format!("mood of {host}"), day.cast_unsigned()) % 4;
    let whim = plan.draw(&format!("whim of {host}"), count);
    let point = ["EHLO", "MAIL", "RCPT", "DATA", END];
    let point = point[usize::try_from(whim >> 32).unwrap_or(0) % point.len()];
    match (mood, whim % 10) {
        // A good day, a bad one, and one on which nothing works.
        (0, _) | (1, 0..8) | (2, 0..3) => Manner::good(),
        (3, 0..5) | (_, 0) => Manner::busy(),
        (_, 1) => Manner::silent(),
        (_, 2) => Manner::garbage(),
        (_, 3) => Manner::cuts_content(whim as usize % 300),
        (_, 4) => Manner::cuts_after_dot(),
        (_, 5) => Manner::stalls_at(point),
        (_, 6) => Manner::named("cut").at(point, Act::Cut),
        (_, 7) => Manner::named("put off").at(point, Act::say("451 4.3.0 not now")),
        (_, 8) => Manner::refuses_recipients("b", "452 4.2.2 full"),
        _ => Manner::named("slow").at(point, Act::after(whim % 400, Act::say("450 4.2.0 later"))),
    }
    // Some are never there.
    .at("RCPT TO:<n", Act::say("550 5.1.1 nobody"))
}

impl Life {
    async fn new(seed: u64, size: Size) -> Self {
        let world = Rough::seeded(seed);
        let store = match seed % 2 {
            0 => StoreKind::Embedded,
            _ => StoreKind::Memory,
        };
        let mut setup = Setup::of("a.test", store);
        setup.schedule = Office::schedule(size.days / 2 + 1);
        let office = world.office(setup).await;
        let mut hosts = Vec::new();
        for n in 0..size.hosts {
            let host = world.host(&format!("d{n}.test"));
            let (plan, name) = (world.plan.clone(), host.name.clone());
            host.by(move |count| temper(&plan, &name, count));
            hosts.push(host);
        }
        let life = Self {
            world,
            office,
            hosts,
            size,
            taken: Vec::new(),
            refused: Vec::new(),
            events: Vec::new(),
            restarts: 0,
        };
        life.plan_faults();
        life
    }

    fn plan_faults(&self) {
        let seed = self.world.plan.seed();
        let names = [DnsFault::ServFail, DnsFault::CnameLoop, DnsFault::Bogus];
        self.world.dns.sometimes(20, &names);
        let lines = [
            DialFault::Refused,
            DialFault::Unreachable,
            DialFault::Hangs,
            DialFault::CutAfterReceived(30 + seed % 400),
            DialFault::CutAfterSent(10 + seed % 500),
            DialFault::Slow(Duration::from_secs(20)),
            DialFault::ClosesAt("RCPT".to_owned()),
        ];
        self.world.dialer.sometimes(15, &lines);
    }

    fn plan_store_faults(&self) {
        let stores = [
            StoreFault::DiskFull,
            StoreFault::Io,
            StoreFault::Unavailable,
        ];
        self.office.commit.sometimes(25, &stores);
    }

    fn draw(&self, words: &str, count: u64) -> u64 {
        self.world.plan.draw(words, count)
    }

    async fn send(&mut self, n: u64) {
        let count = 1 + self.draw("recipients", n) % 4;
        let to: Vec<String> = (0..count)
            .map(|at| {
                let drawn = self.draw(&format!("recipient {at}"), n);
                let kind = ["a", "b", "c", "n"][usize::try_from(drawn % 4).unwrap_or(0)];
                let host = (drawn >> 8) % self.size.hosts;
                format!("{kind}{n}-{at}@d{host}.test")
            })
            .collect();
        match self.office.submit(&to).await {
            Ok(()) => self.taken.extend(to),
            Err(_) => self.refused.extend(to),
        }
    }

    /// Reads on in the events, as the journal does.
    async fn listen(&mut self) {
        let cursor = self
            .events
            .last()
            .map_or(EventCursor::default(), |last| last.cursor);
        self.events.extend(self.office.events_after(cursor).await);
    }

    async fn live(&mut self) {
        let pause = self.size.days * DAY / self.size.messages;
        for n in 0..self.size.messages {
            self.plan_store_faults();
            self.send(n).await;
            match self.draw("deed", n) % 16 {
                0 | 1 => {
                    self.world.wait(self.draw("moment", n) % 900).await;
                    self.world.restart(&mut self.office).await;
                    self.restarts += 1;
                }
                2 => {
                    self.office.commit.fill();
                    self.world.wait(self.draw("full for", n) % 20_000).await;
                    self.office.commit.free();
                }
                _ => {}
            }
            self.listen().await;
            self.world.wait(self.draw("pause", n) % (2 * pause)).await;
        }
        // A time without faults, long enough for everything to come to an end.
        self.world.plan.calm();
        for host in &self.hosts {
            host.reform();
        }
        self.world.days(self.size.days + 2).await;
        self.listen().await;
    }

    /// Everything that is not as it should be.
    async fn problems(&self) -> (Vec<String>, Told) {
        let fates = self.office.fates(self.taken.clone(), &self.hosts).await;
        let mut problems = fates.problems();
        let queue = self.office.queue().await;
        problems.extend(
            queue
                .iter()
                .map(|row| format!("still queued: {}", row.entry.id)),
        );
        let refused = self.office.fates(self.refused.clone(), &self.hosts).await;
        if refused.count() != (0, 0, 0) || refused.again() > 0 {
            problems.push("mail that was refused went out".to_owned());
        }
        problems.extend(self.unfinished());
        problems
            .iter_mut()
            .for_each(|problem| self.explain(problem));
        let (delivered, returned, _) = fates.count();
        let told = Told {
            recipients: self.taken.len(),
            delivered,
            returned,
            refused: self.refused.len(),
            again: fates.again(),
            restarts: self.restarts,
            faults: self.world.plan.record().len(),
        };
        (problems, told)
    }

    /// Adds what is known of the recipient whose name begins the problem.
    fn explain(&self, problem: &mut String) {
        let name = problem.split(": ").next().unwrap_or_default().to_owned();
        for stored in &self.events {
            let event = &stored.event;
            if event.field("to") == Some(&name) {
                let (at, status) = (event.at.millis(), event.field("status"));
                problem.push_str(&format!("\n  {at} {:?} {status:?}", event.name));
            }
        }
        for taken in self.hosts.iter().flat_map(|host| host.taken()) {
            if taken.to.contains(&name) {
                let (at, told) = (taken.at.millis(), taken.told);
                problem.push_str(&format!("\n  {at} taken, told: {told}"));
            }
        }
    }

    /// Recipients whose last event is not their last.
    fn unfinished(&self) -> Vec<String> {
        let mut last: BTreeMap<&str, &EventName> = BTreeMap::new();
        for stored in &self.events {
            let event = &stored.event;
            match &event.name {
                EventName::RecipientDelivered
                | EventName::RecipientDeferred
                | EventName::RecipientFailed => {
                    last.insert(event.field("to").unwrap_or_default(), &event.name);
                }
                EventName::Gap => return vec!["events are missing".to_owned()],
                _ => {}
            }
        }
        let is_final = |to: &String| match last.get(to.as_str()) {
            Some(EventName::RecipientDeferred) | None => false,
            Some(_) => true,
        };
        let open = self.taken.iter().filter(|to| !is_final(to));
        open.map(|to| format!("{to}: no event of its end"))
            .collect()
    }
}

/// One life; panics with the seed when anything is wrong.
async fn lead(seed: u64, size: Size) -> Told {
    let mut life = Life::new(seed, size).await;
    life.live().await;
    let (problems, told) = life.problems().await;
    assert!(
        problems.is_empty(),
        "MAILCORE_SEED={seed}: {told:?}\n{}",
        problems.join("\n")
    );
    told
}

/// The seed to play again, if one is set, else so many.
fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("MAILCORE_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("MAILCORE_FAULT_LIVES").unwrap_or(count)).collect(),
    }
}

#[tokio::test]
async fn through_days_of_faults_and_restarts_every_recipient_comes_to_one_end() {
    let size = Size {
        messages: 60,
        hosts: 8,
        days: 4,
    };
    for seed in 1..=4 {
        let told = lead(seed, size).await;
        assert!(told.delivered > 20 && told.faults > 50, "{told:?}");
    }
}

/// The same for longer, on more hosts: `just faults`.
#[tokio::test]
#[ignore = "takes minutes"]
async fn through_weeks_of_faults_and_restarts_every_recipient_comes_to_one_end() {
    let size = Size {
        messages: 400,
        hosts: 25,
        days: 14,
    };
    let mut all = Told::default();
    for seed in seeds(20) {
        let told = lead(seed, size).await;
        println!("seed {seed}: {told:?}");
        all.recipients += told.recipients;
        all.delivered += told.delivered;
        all.returned += told.returned;
        all.refused += told.refused;
        all.again += told.again;
        all.restarts += told.restarts;
        all.faults += told.faults;
    }
    println!("all: {all:?}");
}
