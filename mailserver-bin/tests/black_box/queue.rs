//! Mail for others: relayed through a smart host, or waiting in the queue and
//! handled there by command.

use std::net::{SocketAddr, TcpListener};

use crate::support::{Home, Running};

const SENDER: &str = "ann@sender.test";
const PASSWORD: &str = "correct-horse-7";
/// `\0ann@sender.test\0correct-horse-7` in base64.
const PLAIN: &str = "AGFubkBzZW5kZXIudGVzdABjb3JyZWN0LWhvcnNlLTc=";

/// A server for `sender.test` that hands mail for others to `next`.
fn relaying_to(next: SocketAddr) -> Home {
    let home = Home::new();
    let port = next.port();
    home.write(
        "mailserver.toml",
        &format!(
            "[server]\nhostname = \"mail.sender.test\"\n\
             [queue]\nretry = [\"1h\"]\nnotices_from = \"bounces@sender.test\"\n\
             [queue.smart_host]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
        ),
    );
    let args = ["init", "--admin", SENDER, "--password-stdin"];
    assert_eq!(home.run_with(&args, PASSWORD).code, 0);
    home
}

fn submit(home: &Home, server: &Running, to: &str) {
    submit_to(home, server, &[to]);
}

fn submit_to(home: &Home, server: &Running, to: &[&str]) {
    let mut submission = server.dial_tls(home, "submission");
    submission.until("220 ");
    submission.send("EHLO client.test");
    submission.until("250 ");
    let login = submission.ask(&format!("AUTH PLAIN {PLAIN}"));
    assert!(login.starts_with("235"), "{login}");
    submission.ask(&format!("MAIL FROM:<{SENDER}>"));
    for to in to {
        submission.ask(&format!("RCPT TO:<{to}>"));
    }
    submission.ask("DATA");
    submission.send(&format!("From: {SENDER}\r\nSubject: out\r\n\r\nx"));
    let accepted = submission.ask(".");
    assert!(accepted.starts_with("250"), "{accepted}");
}

/// The only entry's id.
fn only_id(home: &Home) -> String {
    let list = home.ok(&["queue", "list"]);
    assert!(list.ends_with("1 in the queue\n"), "{list}");
    list.split_whitespace().next().unwrap().to_owned()
}

/// Looks until the queue is empty: the log tells of a delivery before the entry
/// is taken out.
fn emptied(home: &Home) {
    emptied_but(home, 0);
}

fn emptied_but(home: &Home, left: usize) {
    let mut list = String::new();
    for _ in 0..500 {
        list = home.ok(&["queue", "list"]);
        if list.ends_with(&format!("{left} in the queue\n")) {
            return;
        }
    }
    unreachable!("the queue keeps {list}");
}

/// Changes entries once the attempts on them have ended.
fn change(home: &Home, args: &[&str]) -> String {
    let args = [&["queue"], args].concat();
    for _ in 0..500 {
        let done = home.run(&args);
        let busy = "a delivery attempt is running";
        if !done.stderr.contains(busy) && !done.stdout.contains("left alone") {
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            return done.stdout;
        }
    }
    unreachable!("an attempt does not end");
}

#[test]
fn a_smart_host_takes_mail_for_others() {
    let there = Home::new();
    let receiving = there.start();
    let here = relaying_to(receiving.address("smtp", "starttls"));
    let sending = here.start();
    submit(&here, &sending, "admin@example.test");
    receiving.wait_for(&["filed", "account=admin@example.test"]);
    sending.wait_for(&["delivered", "to=admin@example.test"]);
    emptied(&here);
}

#[test]
fn a_relayed_domain_is_taken_from_anybody_and_handed_on() {
    let there = Home::new();
    let receiving = there.start();
    let next = receiving.address("smtp", "starttls").to_string();
    there.ok(&["domain", "add", "far.test"]);
    let args = ["account", "add", "bob@far.test", "--password-stdin"];
    assert_eq!(there.run_with(&args, PASSWORD).code, 0);
    let here = Home::new();
    let sending = here.start();
    here.ok(&["domain", "add", "far.test", "--relay", &next]);
    assert!(
        here.ok(&["domain", "list"])
            .contains("relayed to [127.0.0.1]:")
    );
    let taken = sending
        .dial("smtp")
        .mail("a@b.test", "bob@far.test", "Subject: x\r\n\r\nx");
    assert!(taken.starts_with("250"), "{taken}");
    receiving.wait_for(&["filed", "account=bob@far.test"]);
    // Nobody else's mail is passed on.
    let refused = sending.dial("smtp").mail("a@b.test", "c@other.test", "");
    assert!(refused.starts_with("550"), "{refused}");
    // And nobody's mail is taken whom the host does not know, once it is asked.
    let shown = here.ok(&["domain", "set", "far.test", "--callout", "yes"]);
    assert!(shown.contains("callout  yes"), "{shown}");
    let refused = sending.dial("smtp").mail("a@b.test", "no@far.test", "");
    assert!(refused.starts_with("550 5.1.1"), "{refused}");
    let taken = sending
        .dial("smtp")
        .mail("a@b.test", "bob@far.test", "Subject: y\r\n\r\ny");
    assert!(taken.starts_with("250"), "{taken}");
}

#[test]
fn queued_mail_is_listed_held_tried_returned_and_deleted() {
    // Bound and not listening for long: nobody answers there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let home = relaying_to(closed);
    let server = home.start();
    submit(&home, &server, "bob@elsewhere.test");
    server.wait_for(&["deferred", "to=bob@elsewhere.test"]);
    let id = only_id(&home);
    let shown = home.ok(&["queue", "show", &id]);
    assert!(
        shown.contains("to            <bob@elsewhere.test>"),
        "{shown}"
    );
    assert!(shown.contains("last failure "), "{shown}");

    change(&home, &["hold", &id]);
    assert!(home.ok(&["queue", "list"]).contains("on hold"));
    server.stop();
    // On hold is kept, and commands work on the queue at rest.
    assert!(home.ok(&["queue", "list"]).contains("on hold"));
    home.ok(&["queue", "release", "--all"]);
    assert!(!home.ok(&["queue", "list"]).contains("on hold"));

    // Released, it is tried at the start; until that has ended it can't be
    // given up.
    let server = home.start();
    server.wait_for(&["deferred", "to=bob@elsewhere.test"]);
    change(&home, &["bounce", &id]);
    server.wait_for(&["failed", "to=bob@elsewhere.test"]);
    server.wait_for(&["filed", &format!("account={SENDER}")]);
    server.wait_for(&["delivered", &format!("to={SENDER}")]);
    emptied(&home);
    let notices = home.ok(&["queue", "kept", "list", "--from", ""]);
    let notice = notices.split_whitespace().next().unwrap();
    let content = home.ok(&["queue", "kept", "content", notice]);
    assert!(content.contains("<bounces@sender.test>\r\n"), "{content}");

    submit(&home, &server, "bob@elsewhere.test");
    server.wait_for(&["deferred", "to=bob@elsewhere.test"]);
    let id = only_id(&home);
    change(&home, &["delete", &id]);
    assert_eq!(home.run(&["queue", "delete", &id]).code, 1);
    emptied(&home);
}

#[test]
fn entries_are_chosen_summed_up_printed_and_sent_elsewhere() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let home = relaying_to(closed);
    let server = home.start();
    for to in ["bob@one.test", "carol@one.test", "dave@two.test"] {
        submit(&home, &server, to);
        // All go by one host: what comes after the first waits for it untried.
        change(&home, &["retry", "--to", to]);
        server.wait_for(&["deferred", &format!("to={to}")]);
    }
    let queue = |args: &[&str]| home.ok(&[&["queue"], args].concat());
    let lines = |args: &[&str]| queue(args).lines().count() - 1;
    assert_eq!(lines(&["list", "--domain", "one.test"]), 2);
    assert_eq!(lines(&["list", "--to", "dave@two.test"]), 1);
    assert_eq!(lines(&["list", "--from", SENDER, "--limit", "2"]), 2);
    assert_eq!(lines(&["list", "--from", ""]), 0);
    assert_eq!(lines(&["list", "--older", "1h"]), 0);
    let json = queue(&["list", "--to", "dave@two.test", "--json"]);
    let entry: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entry["state"], "waiting");
    assert_eq!(entry["recipients"][0]["address"], "dave@two.test");
    assert_eq!(entry["recipients"][0]["result"], "deferred");
    let id = entry["id"].as_str().unwrap();

    let summary = queue(&["summary"]);
    let first = summary.lines().nth(1).unwrap();
    assert!(first.starts_with("one.test     2 "), "{summary}");
    let content = queue(&["content", id]);
    assert!(content.ends_with("Subject: out\r\n\r\nx\r\n"), "{content}");
    let header = queue(&["content", id, "--header"]);
    assert!(header.ends_with("Subject: out\r\n\r\n"), "{header}");

    assert_eq!(home.run(&["queue", "hold"]).code, 2);
    assert_eq!(home.run(&["queue", "hold", id, "--all"]).code, 2);
    assert!(change(&home, &["hold", "--domain", "one.test"]).starts_with("2 put on hold"));
    assert_eq!(lines(&["list", "--state", "held"]), 2);
    let why = ["bounce", "--state", "held", "--reason", "no longer wanted"];
    assert!(change(&home, &why).starts_with("2 returned to the sender"));
    server.wait_for(&["failed", "to=bob@one.test", "no longer wanted"]);

    change(&home, &["reroute", id, "--to", SENDER]);
    server.wait_for(&["filed", "to=ann@sender.test"]);
    emptied(&home);
}

#[test]
fn the_recipients_that_are_chosen_are_given_up_and_the_others_stay() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let home = relaying_to(closed);
    let server = home.start();
    let to = ["a@one.test", "b@one.test", "c@two.test", "d@two.test"];
    submit_to(&home, &server, &to);
    server.wait_for(&["deferred", "to=d@two.test"]);
    let id = only_id(&home);
    change(&home, &["bounce", "--domain", "one.test"]);
    server.wait_for(&["notice sent", &format!("to={SENDER}")]);
    emptied_but(&home, 1);
    change(&home, &["delete", "--to", "d@two.test"]);
    let shown = home.ok(&["queue", "show", &id, "--json"]);
    let entry: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let recipients = entry["recipients"].as_array().unwrap();
    let result = |address: &str| {
        let found = recipients.iter().find(|it| it["address"] == address);
        found.unwrap()["result"].as_str().unwrap()
    };
    let results = to.map(result);
    assert_eq!(results, ["failed", "failed", "deferred", "failed"]);
    let elsewhere = ["reroute", &id, "--domain", "one.test", "--to", SENDER];
    let refused = home.run(&[&["queue"], &elsewhere[..]].concat());
    assert!(refused.stderr.contains("nobody in one.test"), "{refused:?}");
    change(
        &home,
        &["reroute", &id, "--domain", "two.test", "--to", SENDER],
    );
    emptied(&home);
}

#[test]
fn copies_of_delivered_mail_are_kept_shown_and_sent_once_more() {
    let home = Home::new();
    let server = home.start();
    let message = "Subject: kept\r\n\r\nx";
    let mail = |server: &Running| {
        server
            .dial("smtp")
            .mail("a@b.test", "admin@example.test", message)
    };
    assert!(mail(&server).starts_with("250"));
    let kept = |args: &[&str]| home.ok(&[&["queue", "kept"], args].concat());
    let list = kept(&["list"]);
    assert!(list.ends_with("1 copies kept\n"), "{list}");
    emptied(&home);
    let id = list.split_whitespace().next().unwrap();
    let shown = kept(&["show", id]);
    assert!(shown.contains("state         kept"), "{shown}");
    assert!(shown.contains("  delivered "), "{shown}");
    assert!(kept(&["content", id]).ends_with("Subject: kept\r\n\r\nx\r\n"));
    assert_eq!(home.run(&["queue", "delete", id]).code, 1);
    kept(&["resend", id]);
    server.wait_for(&["delivered", "to=admin@example.test"]);
    server.stop();
    // Commands work on copies at rest, too.
    assert!(kept(&["list", "--to", "admin@example.test"]).ends_with("2 copies kept\n"));
    let removed = home.ok(&["schedule", "run", "queue"]);
    assert!(
        removed.contains("0 copies of delivered mail removed"),
        "{removed}"
    );

    home.write(
        "mailserver.toml",
        "[server]\nhostname = \"mx.example.org\"\n[queue]\nkeep_delivered = \"never\"\n",
    );
    let server = home.start();
    assert!(mail(&server).starts_with("250"));
    assert!(kept(&["list"]).ends_with("2 copies kept\n"));
}
