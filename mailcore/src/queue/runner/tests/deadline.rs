//! DELIVERBY (RFC 2852): what happens when the time a sender gave is over.

use super::*;

fn by(bench: &Bench, minutes: u64, mode: ByMode) -> Option<DeliverBy> {
    Some(DeliverBy {
        deadline: bench
            .clock
            .now()
            .after(HOUR / 60 * u32::try_from(minutes).unwrap()),
        mode,
        trace: false,
    })
}

#[tokio::test]
async fn at_a_deadline_mail_is_returned_or_its_sender_told_that_it_is_late() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for (id, mode) in [(1, ByMode::Return), (2, ByMode::Notify)] {
        let mut entry = bench.entry(id, "s@ok.test", &["a@slow.test"]);
        entry.params.deliver_by = by(&bench, 20, mode);
        bench.queue.put(entry);
    }
    bench.clock.run_for(HOUR / 3 - Duration::from_secs(1)).await;
    assert_eq!(
        bench.events(EventName::RecipientDeferred),
        4,
        "once more just before"
    );
    assert!(bench.notices().await.is_empty());
    bench.clock.run_for(HOUR).await;
    let notices = bench.notices().await;
    let count = |what: &str| notices.iter().filter(|text| text.contains(what)).count();
    assert_eq!(notices.len(), 2);
    assert_eq!(count("Action: failed\r\nStatus: 5.4.7\r\n"), 1);
    assert_eq!(count("Action: delayed\r\n"), 1);
    let returned = notices.iter().find(|text| text.contains("5.4.7")).unwrap();
    let words = returned.replace("\r\n ", " ");
    assert!(words.contains("the last attempt: 4.4.1 no answer\r\n"));
    // A minute before, and not when the notice was written.
    let at = |field: &str| returned.split(field).nth(1).unwrap().get(17..25).unwrap();
    let (date, attempt) = (at("\r\nDate: "), at("Last-Attempt-Date: "));
    assert!(attempt < date, "{attempt} {date}");
    assert_eq!(bench.queue.ids(), [QueueId(2)]);
}
