//! Commands on how mail is taken, with and without a running server.

use crate::support::Home;

#[test]
fn a_domain_is_given_rules_that_hold_at_once_and_survive() {
    let home = Home::new();
    let server = home.start();
    let set = home.ok(&["domain", "set", "example.test", "--max-size", "1kB"]);
    assert!(set.contains("max size  1000"), "{set}");
    let mut smtp = server.dial("smtp");
    smtp.until("220 ");
    smtp.send("EHLO client.test");
    smtp.until("250 ");
    smtp.ask("MAIL FROM:<a@b.test> SIZE=2000");
    let reply = smtp.ask("RCPT TO:<admin@example.test>");
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    server.stop();
    let shown = home.ok(&["domain", "show", "example.test"]);
    assert!(shown.contains("example.test: mailboxes here"), "{shown}");
    assert!(shown.contains("max size  1000"), "{shown}");
    for (args, said) in [
        (["--max-size", "big"], "not a size"),
        (["--unknown-to", "a b"], "HOST:PORT"),
        (["--listed-only", "yes"], "for relayed domains"),
        (["--callout", "yes"], "for relayed domains"),
        (["--separator", "ab"], "write one sign"),
        (["--unknown-to", "lmtp:inner.test"], "[[outgoing.route]]"),
    ] {
        let done = home.run(&[&["domain", "set", "example.test"], &args[..]].concat());
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stderr.contains(said), "{done:?}");
    }
}

#[test]
fn aliases_by_pattern_and_masked_addresses_come_and_go() {
    let home = Home::new();
    let server = home.start();
    let mail = |to: &str| {
        server
            .dial("smtp")
            .mail("a@b.test", to, "Subject: x\r\n\r\nx")
    };
    let add = ["alias", "pattern", "add", "example.test"];
    home.ok(&[&add[..], &["sales-*", "admin@example.test"]].concat());
    home.ok(&[&add[..], &["/(.+)-ops/", "$1@example.test"]].concat());
    assert!(mail("sales-eu@example.test").starts_with("250"));
    assert!(mail("admin-ops@example.test").starts_with("250"));
    assert!(mail("nobody-ops@example.test").starts_with("550"));
    let list = ["alias", "pattern", "list", "example.test"];
    assert_eq!(home.ok(&list).lines().count(), 2);
    home.ok(&["alias", "pattern", "remove", "example.test", "sales-*"]);
    assert!(mail("sales-eu@example.test").starts_with("550"));
    let masked = home.ok(&[
        "account",
        "masked",
        "add",
        "admin@example.test",
        "--note",
        "a shop",
    ]);
    let masked = masked.trim();
    assert!(mail(masked).starts_with("250"));
    home.ok(&["account", "masked", "disable", masked]);
    home.ok(&[
        "domain",
        "set",
        "example.test",
        "--catch-all",
        "admin@example.test",
    ]);
    assert!(mail("anybody@example.test").starts_with("250"));
    assert!(mail(masked).starts_with("550"));
    let listed = home.ok(&["account", "masked", "list", "admin@example.test"]);
    assert_eq!(listed, format!("{masked}  off  a shop\n"));
    home.ok(&["account", "masked", "remove", "admin@example.test", masked]);
    assert!(mail(masked).starts_with("250"));
    server.stop();
}

#[test]
fn an_address_is_given_a_handler() {
    let home = Home::new();
    let server = home.start();
    let words = "write to sales@example.test";
    home.ok(&[
        "address",
        "handler",
        "set",
        "old@example.test",
        "--refuse",
        words,
    ]);
    let reply = server
        .dial("smtp")
        .mail("a@b.test", "old@example.test", "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("550 5.7.1 write to sales"), "{reply}");
    let listed = home.ok(&["address", "handler", "list"]);
    assert_eq!(listed, format!("old@example.test  refuse {words}\n"));
    home.ok(&["address", "handler", "remove", "old@example.test"]);
    let gone = home.run(&["address", "handler", "show", "old@example.test"]);
    assert_eq!(gone.code, 1);
    server.stop();
}
