//! Hosts that stall, break off, talk nonsense, or promise what they don't do.

use mailcore_tests::StoreKind;
use mailcore_tests::rough::{Act, END, GREETING, Manner};

use super::{STORES, Scene, once, returned};

const HOUR: u64 = 3_600;

/// One recipient's mail while the first connections behave so and all others
/// well: delivered once, and the sender hears nothing.
async fn survives(manner: &Manner) {
    for store in STORES {
        let scene = Scene::new(store).await;
        scene.host.then(manner.clone()).then(manner.clone());
        scene.send(&["x@far.test"]).await;
        scene.world.wait(3 * HOUR).await;
        assert_eq!(scene.fate("x@far.test").await, once(), "{manner:?}");
        assert!(scene.office.queue().await.is_empty());
        assert!(scene.office.inbox("alice").await.is_empty());
    }
}

/// Mail to a host that behaves so for ever: waits with a reason that has these
/// words, and ends in one notice.
async fn is_returned(manner: &Manner, reason: &str) {
    let scene = Scene::new(StoreKind::Memory).await;
    scene.host.always(manner.clone());
    scene.send(&["x@far.test"]).await;
    scene.world.wait(2 * HOUR).await;
    let waiting = scene.fate("x@far.test").await.waiting;
    assert_eq!(waiting.len(), 1, "{manner:?}");
    assert!(waiting[0].contains(reason), "{manner:?}: {waiting:?}");
    scene.world.days(9).await;
    assert_eq!(scene.fate("x@far.test").await, returned(), "{manner:?}");
    assert!(scene.office.queue().await.is_empty());
}

#[tokio::test]
async fn mail_survives_a_host_that_stalls_at_any_point() {
    for point in [GREETING, "EHLO", "MAIL", "RCPT", "DATA", END] {
        survives(&Manner::stalls_at(point)).await;
    }
}

#[tokio::test]
async fn mail_survives_a_connection_that_is_cut_anywhere_in_the_content() {
    for octets in [1, 2, 40, 150, 100_000] {
        survives(&Manner::cuts_content(octets)).await;
        let stalls = Manner::named("stalls mid-DATA").in_content(octets, Act::Hold);
        survives(&stalls).await;
    }
}

#[tokio::test]
async fn mail_survives_garbage_421_and_lines_without_an_end() {
    survives(&Manner::busy()).await;
    survives(&Manner::garbage()).await;
    for point in [GREETING, "EHLO", "MAIL", "RCPT", "DATA", END] {
        survives(&Manner::named("floods").at(point, Act::Flood(10 << 20))).await;
        survives(&Manner::named("cuts").at(point, Act::Cut)).await;
        survives(&Manner::named("421").at(point, Act::say("421 4.3.2 going down"))).await;
        survives(&Manner::named("garbage").at(point, Act::say("\u{7}\u{7}\u{7}"))).await;
    }
}

#[tokio::test]
async fn a_host_that_is_bad_for_a_week_costs_one_notice_and_its_reason_shows() {
    is_returned(&Manner::busy(), "too busy").await;
    is_returned(&Manner::silent(), "in time").await;
    is_returned(&Manner::garbage(), "").await;
    is_returned(&Manner::cuts_content(10), "").await;
    is_returned(&Manner::stalls_at("DATA"), "in time").await;
    let full = Manner::refuses_content("452 4.3.1 out of space");
    is_returned(&full, "out of space").await;
}

#[tokio::test]
async fn a_host_that_never_takes_mail_costs_one_notice_at_once() {
    for manner in [
        Manner::named("554").at(GREETING, Act::say("554 5.3.2 no mail here")),
        Manner::named("no MAIL").at("MAIL", Act::say("550 5.7.1 not from you")),
        Manner::named("no RCPT").at("RCPT", Act::say("550 5.1.1 nobody")),
        Manner::refuses_content("554 5.6.0 not this"),
    ] {
        let scene = Scene::new(StoreKind::Memory).await;
        scene.host.always(manner.clone());
        scene.send(&["x@far.test"]).await;
        scene.world.wait(60).await;
        assert_eq!(scene.fate("x@far.test").await, returned(), "{manner:?}");
    }
}

#[tokio::test]
async fn recipients_of_one_message_each_have_their_own_fate() {
    for store in STORES {
        let scene = Scene::new(store).await;
        let picky = Manner::named("some recipients")
            .at("RCPT TO:<later", Act::say("451 4.2.1 not now"))
            .at("RCPT TO:<never", Act::say("550 5.1.1 nobody"));
        scene.host.always(picky);
        let to = [
            "ok1@far.test",
            "later@far.test",
            "never@far.test",
            "ok2@far.test",
        ];
        scene.send(&to).await;
        scene.world.wait(HOUR).await;
        let fates = scene.fates(&to).await;
        assert_eq!(fates.problems(), [""; 0]);
        assert_eq!(fates.of("ok1@far.test"), once());
        assert_eq!(fates.of("never@far.test"), returned());
        assert_eq!(fates.of("later@far.test").waiting, ["4.2.1 not now"]);
        scene.host.reform();
        scene.world.wait(2 * HOUR).await;
        let fates = scene.fates(&to).await;
        assert_eq!(fates.of("later@far.test"), once());
        assert_eq!(fates.count(), (3, 1, 0));
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_doubles_the_message_and_nothing_else_does() {
    for store in STORES {
        let scene = Scene::new(store).await;
        let late = Act::after(11 * 60, Act::say("250 2.0.0 taken, at last"));
        scene.host.then(Manner::cuts_after_dot());
        scene.host.then(Manner::named("late").at(END, late));
        scene.send(&["x@far.test", "y@far.test"]).await;
        scene.world.wait(5 * HOUR).await;
        for to in ["x@far.test", "y@far.test"] {
            let fate = scene.fate(to).await;
            assert_eq!((fate.delivered, fate.untold), (1, 2), "{fate:?}");
            assert!(fate.waiting.is_empty() && fate.returned == 0);
        }
    }
}

#[tokio::test]
async fn a_reply_before_the_dot_counts_for_the_message_that_it_refuses() {
    let scene = Scene::new(StoreKind::Memory).await;
    let early = Manner::named("early").in_content(1, Act::say("451 4.3.0 not now"));
    scene.host.then(early);
    scene.send(&["x@far.test"]).await;
    scene.world.wait(60).await;
    assert_eq!(scene.fate("x@far.test").await.waiting, ["4.3.0 not now"]);
    scene.world.wait(HOUR).await;
    assert_eq!(scene.fate("x@far.test").await, once());
}

#[tokio::test]
async fn promises_that_a_host_does_not_keep_lose_nothing() {
    let all = [
        "PIPELINING",
        "8BITMIME",
        "CHUNKING",
        "SIZE 1000000",
        "DSN",
        "STARTTLS",
    ];
    let liar = |name| Manner::named(name).offering(&all);
    let to = ["x@far.test", "y@far.test", "z@far.test"];
    for manner in [
        liar("nothing of it").at("BDAT", Act::say("502 5.5.1 not implemented")),
        liar("no 8BITMIME").at("MAIL FROM:<alice@a.test> ", Act::say("555 5.5.4 what?")),
        liar("too large after all").at(END, Act::say("552 5.3.4 too large")),
        liar("one line at a time").dropping_pipelined(),
        liar("two replies to MAIL").at("MAIL", Act::say("250 2.1.0 ok\r\n250 2.1.0 ok again")),
        liar("no reply to RCPT").at("RCPT TO:<y", Act::Say(String::new())),
        liar("250 to DATA").at("DATA", Act::say("250 2.0.0 taken?")),
        liar("354 to RCPT").at("RCPT", Act::say("354 go on")),
    ] {
        let scene = Scene::new(StoreKind::Memory).await;
        scene.host.always(manner.clone());
        scene.send(&to).await;
        scene.world.days(9).await;
        let fates = scene.fates(&to).await;
        assert_eq!(fates.problems(), [""; 0], "{manner:?}");
        assert!(scene.office.queue().await.is_empty());
    }
}

/// RFC 5321 section 4.1.4: a transaction of which nobody was taken is still open
/// when DATA was pipelined, and the next MAIL would be out of order.
#[tokio::test]
async fn mail_after_one_that_nobody_was_taken_of_goes_over_the_same_connection_and_is_not_refused()
{
    let scene = Scene::new(StoreKind::Memory).await;
    let picky = Manner::refuses_recipients("never", "550 5.1.1 nobody");
    scene.host.always(picky);
    scene.send(&["never@far.test"]).await;
    scene.world.wait(5).await;
    scene.send(&["x@far.test"]).await;
    scene.world.wait(5).await;
    assert_eq!(scene.fate("never@far.test").await, returned());
    assert_eq!(scene.fate("x@far.test").await, once());
    assert_eq!((scene.host.connections(), scene.host.heard("RSET")), (1, 1));
}
