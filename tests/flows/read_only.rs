//! A store that was opened for reading: mail can be read, nothing else.

use mailcore_store::embedded::EmbeddedOptions;
use mailcore_tests::{StoreKind, World};

const MESSAGE: &[u8] = b"Subject: kept\r\n\r\nStill here.\r\n";

#[tokio::test]
async fn mail_in_a_read_only_store_is_read_as_ever() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["alice"], StoreKind::Embedded)
        .await;
    let mut smtp = house.smtp("smtp").await;
    let reply = smtp.send_mail("x@b.test", &["alice@a.test"], MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    drop(smtp);

    let mut options = EmbeddedOptions::default();
    options.read_only = true;
    let house = world.reopen_with(house, options).await;
    let mut imap = house.imap("alice").await;
    let told = imap.ask_all("1 SELECT INBOX", "1 OK [READ-ONLY]").await;
    let flags = "* OK [PERMANENTFLAGS ()]";
    assert!(told.iter().any(|line| line.starts_with(flags)), "{told:?}");
    let told = imap.ask_all("2 FETCH 1 (FLAGS BODY[])", "2 OK").await;
    assert!(told.iter().any(|line| line == "Still here."), "{told:?}");
    assert!(told[0].contains("FLAGS ()"), "{told:?}");
    imap.ask_all("3 STORE 1 +FLAGS (\\Seen)", "3 NO [NOPERM]")
        .await;
    imap.ask_all("4 COPY 1 INBOX", "4 NO [UNAVAILABLE]").await;
    imap.ask_all("5 APPEND INBOX {5}", "5 NO [UNAVAILABLE]")
        .await;
    imap.ask_all("6 EXAMINE INBOX", "6 OK [READ-ONLY]").await;
    imap.ask_all("7 CLOSE", "7 OK").await;
    imap.ask_all("8 LOGOUT", "8 OK").await;

    let mut smtp = house.smtp("smtp").await;
    smtp.ask("MAIL FROM:<x@b.test>", "452 4.3.1").await;
}
