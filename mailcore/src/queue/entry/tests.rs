//! Entries as they are kept.

use super::*;
use crate::envelope::{ByMode, DeliverBy, Notify, OriginalRecipient, Ret};
use crate::message::Content;
use crate::pack::Packer;
use crate::plan::Stage;

fn recipient(address: &str) -> Recipient {
    Recipient::new(address.parse().unwrap())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// With two to serve, one of them tried, and one ended in each way.
fn progress() -> QueueProgress {
    let failure = Failure {
        status: Status::transient(4, 2, "timed out"),
        remote: Some("mx.b.test".parse().unwrap()),
        reply_code: Some(451),
        said: Some("451-4.4.2 timed out 451 4.4.2 here".into()),
        at: Some(at(9)),
    };
    let original = OriginalRecipient {
        address_type: "rfc822".into(),
        address: "old@b.test".into(),
    };
    let mut progress = QueueProgress::new([recipient("u@b.test")], at(10), at(99));
    progress.recipients.push(QueueRecipient {
        recipient: Recipient {
            address: "\"v w\"@b.test".parse().unwrap(),
            notify: Notify::NEVER,
            original: Some(original),
        },
        last_failure: Some(failure),
    });
    (progress.attempts, progress.broken) = (3, 2);
    progress.done = [
        Outcome::Delivered,
        Outcome::Relayed {
            remote: "mx.c.test".parse().unwrap(),
            reply: Status::new(EnhancedStatusCode::success(6, 0), "queued as 7"),
            reply_code: 250,
            tls: None,
            notifies: true,
        },
        Outcome::Expanded { to: Vec::new() },
        Outcome::Failed(Failure {
            reply_code: Some(550),
            ..Failure::local(Status::permanent(1, 1, "nobody"))
        }),
    ]
    .iter()
    .filter_map(|outcome| DoneRecipient::of(recipient("w@c.test"), outcome, at(12)))
    .collect();
    assert_eq!(progress.done.len(), 4);
    progress
}

#[test]
fn an_entry_reads_back_as_it_was_written() {
    let progress = progress();
    let entry = QueueEntry {
        id: QueueId(1),
        trace: TraceId(2),
        reverse_path: ReversePath::Null,
        params: MailParams {
            smtputf8: true,
            ret: Some(Ret::Headers),
            envelope_id: Some("e".into()),
            hold_until: Some(Timestamp::from_secs(11)),
            deliver_by: Some(DeliverBy {
                deadline: Timestamp::from_secs(-4),
                mode: ByMode::Notify,
                trace: true,
            }),
            priority: Priority::new(-9).unwrap(),
            ..MailParams::default()
        },
        origin: Origin::Host,
        received_at: Timestamp::from_secs(5),
        message: Message::from_bytes("x").with_prefix("Received: y\r\n"),
        findings: kept_findings(&[
            Finding::new(Stage::Connect, "dnsbl", "listed").score(2.5),
            Finding::new(Stage::Content, "words", "spam").on("é".repeat(200)),
        ]),
        progress: progress.clone(),
    };
    assert_eq!(
        entry.findings[0].test, "words",
        "those of the message are first"
    );
    let without = QueueEntry {
        findings: Arc::default(),
        ..entry.clone()
    };
    assert_eq!(without.encode_fixed().first(), Some(&3));
    let bad = EntryState::Bad {
        reason: "too many hops".into(),
        until: at(1_000),
    };
    for state in [
        EntryState::Waiting,
        EntryState::Held,
        bad,
        EntryState::Kept { until: at(-7) },
        EntryState::Quarantined,
    ] {
        let progress = progress.clone().in_state(state);
        assert_eq!(decode_progress(&progress.encode()).unwrap(), progress);
    }
    assert_eq!(decode_params(&entry.encode_fixed()).unwrap(), entry.params);
    let back = decode_entry(&entry.encode_fixed(), progress, Content::Inline("x".into())).unwrap();
    assert_eq!(back.params, entry.params);
    assert_eq!(back.findings, entry.findings);
    assert_eq!(
        (back.id, back.trace, back.reverse_path),
        (entry.id, entry.trace, entry.reverse_path)
    );
    assert_eq!(back.message.prefix(), entry.message.prefix());
}

#[test]
fn progress_of_the_first_version_is_read() {
    for (bits, state) in [(0, EntryState::Waiting), (3, EntryState::Held)] {
        let mut out = Packer::new(1);
        out.i64(10_000);
        out.i64(99_000);
        out.u64(2);
        out.u64(bits);
        out.list(&["u@b.test"], |out, address| {
            out.text(address);
            out.u64(6);
            out.option(None, |_, ()| {});
            out.option(None, |_, ()| {});
        });
        let mut expected = QueueProgress::new([recipient("u@b.test")], at(10), at(99));
        (expected.attempts, expected.state) = (2, state);
        expected.delay_told = bits & 2 != 0;
        assert_eq!(decode_progress(&out.finish()).unwrap(), expected);
    }
}

#[test]
fn bad_entries_of_the_second_version_stay_until_an_operator_decides() {
    let mut out = Packer::new(2);
    out.i64(10_000);
    out.i64(99_000);
    out.u64(2);
    out.u64(0);
    out.list(&[0; 0], |_, _| {});
    out.u64(2);
    out.text("a loop");
    out.list(&["w@c.test"], |out, address| {
        out.text(address);
        out.u64(6);
        out.option(None, |_, ()| {});
        out.u64(3);
        out.i64(12_000);
        out.text("5.1.1");
        out.text("nobody");
        out.option(None, |_, ()| {});
    });
    let failed = Outcome::Failed(Failure::local(Status::permanent(1, 1, "nobody")));
    let mut expected = QueueProgress::new([], at(10), at(99)).in_state(EntryState::Bad {
        reason: "a loop".into(),
        until: at(253_402_300_799),
    });
    expected.attempts = 2;
    expected.done = DoneRecipient::of(recipient("w@c.test"), &failed, at(12))
        .into_iter()
        .collect();
    assert_eq!(decode_progress(&out.finish()).unwrap(), expected);
}

#[test]
fn the_urgent_go_first_and_nobody_waits_for_ever() {
    let rank = |priority, attempts, due| {
        Urgency::new(Priority::new(priority).unwrap(), attempts).rank(at(due))
    };
    assert!(rank(9, 0, 1_000) < rank(0, 0, 0));
    assert!(rank(-9, 0, 0) < rank(9, 0, 4 * 3_600));
    assert!(rank(0, 0, 3 * 3_600) < rank(0, 1, 0), "first attempts");
    assert!(rank(-9, 3, 0) < rank(9, 0, 8 * 3_600), "not for ever");
    for value in -9..=9 {
        let urgency = Urgency::new(Priority::new(value).unwrap(), 0);
        assert_eq!(Urgency::from_number(urgency.number()), urgency);
    }
}
