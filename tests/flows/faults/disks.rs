//! Disks that are full when mail comes in, and when it has gone out.

use mailcore_tests::rough::Manner;

use super::{STORES, Scene, once};
use mailcore::testing::faults::StoreFault;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

#[tokio::test]
async fn a_full_disk_refuses_mail_for_now_and_takes_it_again_without_a_restart() {
    for store in STORES {
        let scene = Scene::new(store).await;
        let mut smtp = scene.office.smtp("smtp").await;
        scene.office.commit.fill();
        smtp.ask("MAIL FROM:<x@else.test> SIZE=100", "452 4.3.1")
            .await;
        assert!(scene.office.submit(&["x@far.test"]).await.is_err());
        assert!(scene.office.inbox("alice").await.is_empty());
        scene.office.commit.free();
        let to = ["alice@a.test"];
        let reply = smtp.send_mail("x@else.test", &to, MESSAGE).await;
        assert!(reply.starts_with("250"), "{reply}");
        assert_eq!(scene.office.inbox("alice").await.len(), 1);
        scene.send(&["x@far.test"]).await;
        scene.world.wait(60).await;
        assert_eq!(scene.fate("x@far.test").await, once());
    }
}

#[tokio::test]
async fn a_write_that_fails_after_the_dot_is_never_a_250() {
    for store in STORES {
        for fault in [
            StoreFault::DiskFull,
            StoreFault::Io,
            StoreFault::ReadOnly,
            StoreFault::Unavailable,
        ] {
            let scene = Scene::new(store).await;
            let mut smtp = scene.office.alice().await;
            scene.office.commit.at(1, fault);
            let to = ["alice@a.test", "x@far.test"];
            let reply = smtp.send_mail("alice@a.test", &to, MESSAGE).await;
            assert!(reply.starts_with("45"), "{fault:?}: {reply}");
            scene.world.wait(600).await;
            assert!(scene.office.queue().await.is_empty());
            assert!(scene.office.inbox("alice").await.is_empty());
            let mut smtp = scene.office.alice().await;
            let reply = smtp.send_mail("alice@a.test", &to, MESSAGE).await;
            assert!(reply.starts_with("250"), "{fault:?}: {reply}");
            scene.world.wait(600).await;
            assert_eq!(scene.office.inbox("alice").await.len(), 1);
            assert_eq!(scene.fate("x@far.test").await, once());
        }
    }
}

#[tokio::test]
async fn a_large_message_that_cannot_be_staged_is_put_off() {
    for store in STORES {
        let scene = Scene::new(store).await;
        let mut smtp = scene.office.smtp("smtp").await;
        scene.office.commit.stage_at(1, StoreFault::DiskFull);
        let large = [
            b"Subject: large\r\n\r\n".as_slice(),
            &b"x\r\n".repeat(100_000),
        ]
        .concat();
        let to = ["alice@a.test"];
        let reply = smtp.send_mail("x@else.test", &to, &large).await;
        assert!(reply.starts_with("452"), "{reply}");
        let reply = smtp.send_mail("x@else.test", &to, &large).await;
        assert!(reply.starts_with("250"), "{reply}");
        assert_eq!(scene.office.inbox("alice").await.len(), 1);
    }
}

#[tokio::test]
async fn what_was_delivered_and_could_not_be_written_down_is_not_delivered_again() {
    for store in STORES {
        let scene = Scene::new(store).await;
        // 1 takes it in; what follows settles the attempt.
        for call in 2..=6 {
            scene.office.commit.at(call, StoreFault::DiskFull);
        }
        scene.send(&["x@far.test", "y@far.test"]).await;
        scene.world.wait(3_600).await;
        assert_eq!(scene.world.plan.record().len(), 5);
        assert_eq!(scene.fate("x@far.test").await, once());
        assert_eq!(scene.fate("y@far.test").await, once());
        assert!(scene.office.queue().await.is_empty());
    }
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_day_does_not_have_the_queue_send_twice() {
    for store in STORES {
        let scene = Scene::new(store).await;
        scene.host.then(Manner::busy());
        scene.send(&["x@far.test"]).await;
        scene.world.wait(60).await;
        scene.office.commit.fill();
        scene.world.days(1).await;
        scene.office.commit.free();
        scene.world.days(1).await;
        assert_eq!(scene.fate("x@far.test").await, once());
        assert!(scene.office.queue().await.is_empty());
    }
}
