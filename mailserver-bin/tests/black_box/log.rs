//! `mailserver log`: what happened, asked while the server runs and afterwards.

use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

const ADMIN: &str = "admin@example.test";

#[test]
fn the_log_is_asked_by_sender_recipient_and_id_running_or_not() {
    let home = Home::new();
    let server = home.start();
    let message = "Subject: quarterly\r\n\r\nx";
    let reply = server.dial("smtp").mail("a@b.test", ADMIN, message);
    let id = reply.rsplit(' ').next().unwrap().to_owned();
    server.dial("smtp").mail("other@b.test", ADMIN, message);
    let asked = |args: &[&str]| home.ok(&[&["log"], args].concat());
    let mut waited = 0;
    while !asked(&["--from", "other@b.test"]).contains("filed") {
        waited += 1;
        assert!(waited < 500, "nothing came into the journal");
    }
    let by_id = asked(&["--trace", &id]);
    assert_eq!(by_id.lines().count(), 2, "{by_id}");
    assert!(by_id.contains(&format!("received id={id} ")), "{by_id}");
    assert!(by_id.contains("subject=quarterly"), "{by_id}");
    assert!(asked(&["--to", ADMIN, "--since", "1h"]).lines().count() == 4);
    assert_eq!(asked(&["--to", ADMIN, "--until", "2020-01-01"]), "");
    server.stop();

    let json = asked(&["--address", ADMIN, "--limit", "1", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["event"], "MessageNew");
    assert_eq!(value["fields"]["to"], ADMIN);
    assert_eq!(home.run(&["log", "--trace", "12"]).code, 2);
    assert_eq!(home.run(&["log", "--since", "soon"]).code, 2);
    let purged = home.ok(&["schedule", "run", "journal"]);
    assert!(purged.contains("0 events"), "{purged}");
    let file = home.path().join("mailserver-data/journal.db");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_journal_can_be_elsewhere_without_subjects_or_not_at_all() {
    let home = Home::new();
    home.write(
        "mailserver.toml",
        "[server]\nhostname = \"mx.example.org\"\n\
         [journal]\npath = \"logs/j.db\"\nsubjects = false\nmessages = \"10d\"\nsize = \"1GB\"\n",
    );
    std::fs::create_dir(home.path().join("logs")).unwrap();
    let args = [
        "init",
        "--domain",
        "example.test",
        "--admin",
        ADMIN,
        "--password-stdin",
    ];
    assert_eq!(home.run_with(&args, "correct-horse-7").code, 0);
    let serve = ["serve", "--free-ports"];
    let server = home.start_with(&serve, "info");
    server
        .dial("smtp")
        .mail("a@b.test", ADMIN, "Subject: secret plan\r\n\r\nx");
    server.stop();
    let log = home.ok(&["log"]);
    assert!(
        log.contains("received") && !log.contains("secret plan"),
        "{log}"
    );
    assert!(home.path().join("logs/j.db").exists());

    // A file of somebody else keeps no mail out.
    home.write(
        "logs/j.db",
        "not a database at all, and longer than a header would be",
    );
    let server = home.start_with(&serve, "info");
    server.wait_for(&["mail is served without it"]);
    let reply = server
        .dial("smtp")
        .mail("a@b.test", ADMIN, "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("250"), "{reply}");
    server.stop();
    assert_eq!(home.run(&["log"]).code, 1);
}

fn told_in_order(story: &str, words: &[&str]) {
    let mut rest = story;
    for words in words {
        let at = rest.find(words);
        assert!(
            at.is_some(),
            "{words:?} is not there, or not in its place:\n{story}"
        );
        rest = &rest[at.unwrap_or_default()..];
    }
}

#[test]
fn what_happened_to_a_message_is_told_as_a_story() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let home = Home::new();
    let server = home.start();
    home.ok(&["domain", "add", "far.test", "--relay", &closed.to_string()]);
    home.ok(&["alias", "add", "sales@example.test", "bob@far.test"]);
    let message = "Subject: offer\r\nMessage-ID: <offer.1@example.test>\r\n\r\nx";
    let reply = server
        .dial("smtp")
        .mail(ADMIN, "sales@example.test", message);
    let trace = reply.rsplit(' ').next().unwrap().to_owned();
    server.wait_for(&["deferred", "to=bob@far.test"]);
    let listed = home.ok(&["queue", "list", "--json"]);
    let entry: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let queue = entry["id"].as_str().unwrap();
    assert_eq!(entry["trace"], trace.as_str());
    let bounce = ["queue", "bounce", queue, "--reason", "the shop is closed"];
    for command in [&["queue", "hold", queue][..], &bounce] {
        let mut tries = 0;
        // The attempt may take a moment to end.
        while home.run(command).code != 0 {
            tries += 1;
            assert!(tries < 500, "it can't be changed");
        }
    }
    server.wait_for(&["failed", "to=bob@far.test"]);
    server.wait_for(&["notice sent"]);
    server.wait_for(&["filed", "account=admin@example.test"]);
    server.stop();

    let story = home.ok(&["log", "--explain", &trace]);
    let words = [
        "received from <admin@example.test> for sales@example.test",
        "Message-ID <offer.1@example.test>, subject offer",
        "sales@example.test became bob@far.test",
        "queued as ",
        "bob@far.test deferred (attempt 1): ",
        "put on hold by an operator: ",
        " for bob@far.test",
        "returned to the sender by an operator: ",
        "bob@far.test failed for good",
        "the shop is closed",
        "notice sent to admin@example.test, with an id of its own: ",
        "so far: bob@far.test failed",
        "the notice ",
        "in INBOX of admin@example.test",
    ];
    told_in_order(&story, &words);
    let same = |args: &[&str]| home.ok(&[&["log"], args].concat()) == story;
    assert!(same(&["--message-id", "<offer.1@example.test>"]));
    assert!(same(&["--message-id", "offer.1@example.test"]));
    assert!(same(&["--queue", queue]));
    assert!(same(&["--explain", queue]));
    assert_eq!(home.run(&["log", "--message-id", "nobody"]).code, 1);
}
