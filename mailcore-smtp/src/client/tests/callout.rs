//! Hosts asked whether they know a recipient.

use mailcore::address::Address;
use mailcore::seams::{RecipientCheck, RecipientQuery, Standing};

use super::agent::Bench;
use super::host::Script;

async fn standing(bench: &Bench, recipient: &str) -> String {
    let recipient: Address = recipient.parse().unwrap();
    let agent = "smtp".into();
    let query = RecipientQuery::new(&agent, &bench.job.next_hop, &recipient);
    match bench.agent.check(&query).await {
        Standing::Known => "known".to_owned(),
        Standing::Unknown(status) => format!("unknown {status}"),
        Standing::NoAnswer(status) => format!("no answer {status}"),
    }
}

fn deaf() -> Script {
    Script::default().answer("greeting", &["554 not you"])
}

#[tokio::test]
async fn a_host_is_asked_over_one_connection_and_sent_nothing() {
    let script = Script::default()
        .answer("RCPT TO:<no@x.test>", &["550 5.1.1 who?"])
        .answer("RCPT TO:<plain@x.test>", &["553 who?"])
        .answer("RCPT TO:<full@x.test>", &["552 5.2.2 full"])
        .answer("RCPT TO:<later@x.test>", &["450 4.2.1 busy"]);
    let bench = Bench::pair(script, deaf());
    for (recipient, expected) in [
        ("yes@x.test", "known"),
        ("no@x.test", "unknown 5.1.1 one.x.test says: who?"),
        ("plain@x.test", "unknown 5.1.1 one.x.test says: who?"),
        ("full@x.test", "unknown 5.2.2 one.x.test says: full"),
    ] {
        assert_eq!(standing(&bench, recipient).await, expected);
    }
    assert_eq!(bench.dialled(), ["192.0.2.1"]);
    assert!(
        standing(&bench, "later@x.test")
            .await
            .starts_with("no answer")
    );
    let hosts = &bench.hosts;
    assert_eq!(hosts.heard("MAIL FROM:<>"), hosts.heard("MAIL"));
    assert_eq!(hosts.heard("RSET"), hosts.heard("RCPT"));
    assert_eq!(hosts.heard("DATA") + hosts.heard("BDAT"), 0);
}

#[tokio::test]
async fn what_a_host_says_of_the_sender_is_no_answer() {
    let refusing = Script::default().answer("MAIL", &["550 5.7.1 no empty senders"]);
    let bench = Bench::pair(refusing, deaf());
    assert!(standing(&bench, "a@x.test").await.starts_with("no answer"));
    let leaving = Script::default().answer("RCPT", &["421 bye"]);
    let bench = Bench::pair(leaving, Script::default());
    assert_eq!(standing(&bench, "a@x.test").await, "known");
    assert_eq!(bench.dialled(), ["192.0.2.1", "192.0.2.2"]);
}
