//! Mail of others that an address here sends on: under which sender it goes,
//! and how notices find back.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::route::{DirectoryRouter, SrsRouter, SrsSeams};
use mailcore::seams::{
    AccountChange, Administration, DeliveryAgent, DeliveryJob, DirectoryWrite, DomainKind,
    KeepCopy, OsEntropy, Redirect,
};
use mailcore::status::{Failure, Outcome, Status};
use mailcore_store::directory::mac;
use mailcore_tests::Desk;

const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: hi\r\n\r\nhi\r\n";
const DAY: u64 = 24 * 3_600;

/// Remembers from whom and to whom mail went; knows nobody at `gone.test`.
#[derive(Debug, Default)]
struct Gateway(Mutex<Vec<(String, String)>>);

#[async_trait]
impl DeliveryAgent for Gateway {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let mut taken = self.0.lock().unwrap();
        let recipients = job.recipients.iter().map(|to| {
            taken.push((job.reverse_path.to_string(), to.address.to_string()));
            match to.address.domain().as_str() {
                "gone.test" => Outcome::Failed(Failure::local(Status::permanent(1, 1, "nobody"))),
                _ => Outcome::Delivered,
            }
        });
        recipients.collect()
    }
}

impl Gateway {
    /// What was handed over since it was last asked.
    fn taken(&self) -> Vec<(String, String)> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap());
        taken.sort();
        taken
    }
}

async fn desk(users: &[&str]) -> (Desk, Arc<Gateway>) {
    let gateway = Arc::new(Gateway::default());
    let agent = gateway.clone();
    let desk = Desk::over(users, |builder, behind| {
        let directory = Arc::new(behind.directory);
        let routes = DirectoryRouter::new(directory.clone(), "mx.a.test".parse().unwrap());
        let seams = SrsSeams {
            directory,
            state: behind.store.clone(),
            commit: behind.store,
            clock: Arc::new(behind.clock),
            entropy: Arc::new(OsEntropy),
            mac,
        };
        let router = Arc::new(SrsRouter::new(Arc::new(routes), seams));
        builder.router(router).agent("smtp", agent)
    })
    .await;
    (desk, gateway)
}

async fn redirect(desk: &Desk, user: &str, to: &str, copy: KeepCopy) {
    let to = to.parse().unwrap();
    let change = AccountChange {
        redirect: Some(Some(Redirect { to, copy })),
        ..AccountChange::default()
    };
    let user = Desk::address(user);
    desk.directory.change_account(&user, &change).await.unwrap();
}

async fn send(desk: &Desk, from: &str, to: &str) -> String {
    let reply = desk.smtp().await.send_mail(from, &[to], MESSAGE).await;
    desk.wait(10).await;
    reply
}

/// The answer to a recipient of mail from `from`.
async fn rcpt(desk: &Desk, from: &str, to: &str) -> String {
    let mut smtp = desk.smtp().await;
    smtp.ask(&format!("MAIL FROM:<{from}>"), "250").await;
    smtp.send(&format!("RCPT TO:<{to}>")).await;
    smtp.line().await
}

#[tokio::test]
async fn a_forwarded_sender_is_rewritten_and_a_notice_finds_back() {
    let (desk, gateway) = desk(&["ann", "cat"]).await;
    redirect(&desk, "ann", "far@c.test", KeepCopy::No).await;
    redirect(&desk, "cat", "far@d.test", KeepCopy::Yes).await;
    desk.alias("all", &["ann@a.test", "cat@a.test"]).await;
    assert!(
        send(&desk, "x@b.test", "all@a.test")
            .await
            .starts_with("250")
    );
    let taken = gateway.taken();
    let (ours, to): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    assert_eq!(to.len(), 2, "{to:?}");
    let ours = match ours.as_slice() {
        [one, other] if one == other => one.clone(),
        other => panic!("{other:?}"),
    };
    assert!(ours.starts_with("SRS0="), "{ours}");
    assert!(ours.ends_with("=b.test=x@a.test"), "{ours}");
    assert_eq!(desk.messages("cat", "INBOX").await.len(), 1);
    // A stranger's notice, by a host that changes the case of letters.
    let notice = send(&desk, "", &ours.to_lowercase()).await;
    assert!(notice.starts_with("250"), "{notice}");
    let back = (String::new(), "x@b.test".to_owned());
    assert_eq!(gateway.taken(), [back]);
    // Nobody else's mail passes, and nothing that was not made here.
    let reply = rcpt(&desk, "y@d.test", &ours).await;
    assert!(reply.starts_with("550 5.7.1 this address takes"), "{reply}");
    let refusal = "550 5.7.1 this forwarding address is not good";
    for forged in [
        ours.replace("=x@", "=y@"),
        ours.replace("b.test", "e.test"),
        "SRS0=AAAAAA=AA=b.test=x@a.test".to_owned(),
        "SRS1=AAAAAA=b.test==AAAA=AA=e.test=x@a.test".to_owned(),
        "SRS0=x@a.test".to_owned(),
    ] {
        let reply = rcpt(&desk, "", &forged).await;
        assert!(reply.starts_with(refusal), "{forged}: {reply}");
    }
    desk.wait(22 * DAY).await;
    assert!(rcpt(&desk, "", &ours).await.starts_with(refusal));
}

#[tokio::test]
async fn the_last_key_is_known_after_it_was_changed() {
    let (desk, gateway) = desk(&["ann"]).await;
    redirect(&desk, "ann", "far@c.test", KeepCopy::No).await;
    let mut made = Vec::new();
    // The second is made on the last day of the first key.
    for wait in [0, 29, 2] {
        desk.wait(wait * DAY).await;
        assert!(
            send(&desk, "x@b.test", "ann@a.test")
                .await
                .starts_with("250")
        );
        made.extend(gateway.taken().into_iter().map(|(from, _)| from));
    }
    let mut replies = Vec::new();
    for ours in &made {
        replies.push(rcpt(&desk, "", ours).await[..3].to_owned());
    }
    assert_eq!(replies, ["550", "250", "250"]);
}

#[tokio::test]
async fn senders_of_ours_keep_their_name_and_a_failed_forward_is_told_to_its_sender() {
    let (desk, gateway) = desk(&["ann", "bob"]).await;
    redirect(&desk, "ann", "far@gone.test", KeepCopy::No).await;
    redirect(&desk, "bob", "far@c.test", KeepCopy::No).await;
    let relayed = DomainKind::Relay {
        host: "inner.test".parse().unwrap(),
        port: 25,
    };
    let domain = "relay.test".parse().unwrap();
    desk.directory.add_domain(&domain, relayed).await.unwrap();
    send(&desk, "me@relay.test", "bob@a.test").await;
    send(&desk, "", "bob@a.test").await;
    let far = "far@c.test".to_owned();
    let expected = [
        (String::new(), far.clone()),
        ("me@relay.test".to_owned(), far.clone()),
    ];
    assert_eq!(gateway.taken(), expected);
    // An address that leaves no room for another around it.
    let long = format!("{}@b.test", "x".repeat(60));
    send(&desk, &long, "bob@a.test").await;
    assert_eq!(gateway.taken(), [(long, far)]);
    // The notice is for our address, and goes where that leads.
    send(&desk, "x@b.test", "ann@a.test").await;
    desk.wait(60).await;
    let taken = gateway.taken();
    assert_eq!(
        taken[0],
        (String::new(), "x@b.test".to_owned()),
        "{taken:?}"
    );
    assert!(taken[1].0.starts_with("SRS0="), "{taken:?}");
    assert_eq!(taken.len(), 2, "{taken:?}");
}
