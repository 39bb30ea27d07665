//! One server for many tests at once, and as it was after a reset.

use std::sync::LazyLock;

use mailcore::address::Address;
use mailcore::testing::matchers::{anything, subject, to};
use mailcore::testing::{MemoryServer, Unknown};
use mailcore_tests::Dialogue;

use crate::server;

#[tokio::test]
async fn scopes_do_not_see_each_others_mail() {
    let server = server().virtual_time().start().await.unwrap();
    let (one, two) = (server.scope(), server.scope());
    assert_ne!(one.domain(), two.domain());
    one.send("app", "ann", "Subject: for one\n\nx")
        .await
        .unwrap();
    two.send("app", "ann", "Subject: for two\n\nx")
        .await
        .unwrap();
    one.expect_none(subject("two")).await;
    let mail = one.expect_mail(anything()).await;
    assert_eq!(mail.subject, "for one");
    assert_eq!(mail.recipients, [one.address("ann")]);
    one.purge().await.unwrap();
    assert!(one.mail().is_empty());
    assert_eq!(
        one.mailbox("ann", "INBOX").unwrap().count().await.unwrap(),
        0
    );
    assert_eq!(
        two.mailbox("ann", "INBOX").unwrap().count().await.unwrap(),
        1
    );
    two.expect_mail(subject("two")).await;
    server.shutdown().await;
}

#[tokio::test]
async fn refusals_are_told_to_the_scope_they_belong_to() {
    let server = server().unknown(Unknown::Refused).start().await.unwrap();
    let (one, two) = (server.scope(), server.scope());
    assert!(one.send("", "nobody", "x").await.is_err());
    let missing = one
        .expect_mail(anything())
        .within(std::time::Duration::from_millis(50));
    assert_eq!(missing.result().await.unwrap_err().refused.len(), 1);
    assert_eq!(one.refused().len(), 1);
    assert!(two.refused().is_empty());
    server.shutdown().await;
}

async fn login(server: &MemoryServer, password: &str) -> bool {
    let mut imap = Dialogue::new(server.connect_imap().unwrap());
    imap.expect("* OK").await;
    imap.send(&format!("1 LOGIN ann@app.test {password}")).await;
    let answer = imap.until("1 ").await;
    answer.last().unwrap().starts_with("1 OK")
}

#[tokio::test]
async fn any_password_is_right_unless_the_test_set_one() {
    let any = server().start().await.unwrap();
    assert!(login(&any, "whatever").await);
    any.set_password("ann@app.test", "hers").unwrap();
    assert!(!login(&any, "whatever").await);
    assert!(login(&any, "hers").await);
    let set = server()
        .password("everybody's")
        .account("ann@app.test", "hers")
        .unknown(Unknown::Refused)
        .start()
        .await
        .unwrap();
    assert!(!login(&set, "\"everybody's\"").await);
    assert!(login(&set, "hers").await);
    let refused = set.send("", "bob@app.test", "x").await.unwrap_err();
    assert!(refused.to_string().contains("550 5.1.1"), "{refused}");
    // Every domain has these.
    set.send("", "postmaster@app.test", "x").await.unwrap();
}

#[tokio::test]
async fn a_reset_server_is_as_it_was_at_the_start() {
    let server = server().virtual_time().start().await.unwrap();
    server.set_password("ann@app.test", "hers").unwrap();
    server
        .send("", "ann@app.test", "Subject: old\n\nx")
        .await
        .unwrap();
    server
        .mailbox("ann@app.test", "Archive")
        .unwrap()
        .add("x: y\r\n\r\n")
        .await
        .unwrap();
    let ann: Address = "ann@app.test".parse().unwrap();
    server.reset().await.unwrap();
    assert!(server.mail().is_empty());
    assert!(login(&server, "whatever").await);
    for mailbox in ["INBOX", "Archive"] {
        let mailbox = server.mailbox("ann@app.test", mailbox).unwrap();
        assert_eq!(mailbox.count().await.unwrap(), 0);
    }
    server
        .send("", "ann@app.test", "Subject: new\n\nx")
        .await
        .unwrap();
    assert_eq!(server.expect_mail(to(&ann)).await.subject, "new");
    server.shutdown().await;
}

/// For the tests of this binary that care for their own mail alone.
static SERVER: LazyLock<MemoryServer> = LazyLock::new(|| server().start_shared().unwrap());

async fn one_of_many() {
    let scope = SERVER.scope();
    for name in ["ann", "bob"] {
        scope.expect_none(to(scope.address(name))).await;
        scope
            .send("app", name, "Subject: hello\n\nx")
            .await
            .unwrap();
        scope.expect_mail(to(scope.address(name))).await;
    }
    scope.expect_none(anything()).await;
    assert_eq!(scope.mail().len(), 2);
}

#[tokio::test]
async fn tests_on_runtimes_of_their_own_share_a_server() {
    one_of_many().await;
    // More of them at the same time, each on a thread and a runtime.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }
            .enable_time()
            .build()
            .unwrap()
            .block_on(one_of_many());
    };
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(run)).collect();
    for other in others {
        other.join().unwrap();
    }
    // Those runtimes are gone, the server is not.
    one_of_many().await;
}
