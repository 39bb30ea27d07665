//! Commands on lists, groups, addresses, domains' other names and accounts'
//! options, with and without a running server.

use crate::support::Home;

/// A server's data with the account `name@name.test`.
fn add_account(home: &Home, address: &str) {
    let args = ["account", "add", address, "--password-stdin"];
    let done = home.run_with(&args, "long enough\n");
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn an_alias_domain_is_served_at_once_and_logs_in() {
    let home = Home::new();
    let server = home.start();
    home.ok(&["domain", "add", "other.test", "--alias-of", "example.test"]);
    let listed = home.ok(&["domain", "list"]);
    assert!(
        listed.contains("other.test    alias of example.test"),
        "{listed}"
    );
    let reply = server
        .dial("smtp")
        .mail("a@b.test", "admin@other.test", "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("250"), "{reply}");
    let mut pop3 = server.dial_tls(&home, "pop3");
    pop3.line();
    pop3.ask("USER admin@other.test");
    let reply = pop3.ask(&format!("PASS {}", server.password()));
    assert!(reply.starts_with("+OK 1 message "), "{reply}");
    let itself = home.run(&["domain", "add", "x.test", "--alias-of", "x.test"]);
    assert_eq!(itself.code, 1);
    server.stop();
    assert_eq!(home.ok(&["domain", "default"]), "example.test\n");
    home.ok(&["domain", "add", "second.test"]);
    home.ok(&["domain", "default", "second.test"]);
    assert_eq!(home.ok(&["domain", "default"]), "second.test\n");
    let template = home.ok(&["domain", "template", "second.test", "--quota", "5MB"]);
    assert!(template.contains("5000000"), "{template}");
    add_account(&home, "new@second.test");
    let shown = home.ok(&["account", "show", "new@second.test"]);
    assert!(shown.contains("quota        5000000"), "{shown}");
}

#[test]
fn accounts_are_changed_renamed_and_closed() {
    let home = Home::new();
    home.ok(&["init", "--domain", "x.test"]);
    add_account(&home, "ann@x.test");
    add_account(&home, "bob@x.test");
    home.ok(&["alias", "add", "sales@x.test", "ann@x.test"]);
    let edit = |quota: &str| {
        home.ok(&[
            "account",
            "set",
            "ann@x.test",
            "--quota",
            quota,
            "--send",
            "local",
            "--redirect",
            "away@elsewhere.test",
            "--keep-copy",
            "--admin",
            "x.test",
        ]);
        home.ok(&["account", "show", "ann@x.test"])
    };
    let shown = edit("2KiB");
    for line in [
        "quota        2048",
        "local",
        "with a copy kept",
        "administers  x.test",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let server = home.start();
    assert!(edit("none").contains("quota        none"));
    home.ok(&["account", "set", "ann@x.test", "pop3.folder=Archive"]);
    let shown = home.ok(&["account", "show", "ann@x.test"]);
    assert!(shown.contains("pop3.folder  Archive"), "{shown}");
    home.ok(&["account", "set", "ann@x.test", "pop3.folder="]);
    let shown = home.ok(&["account", "show", "ann@x.test"]);
    assert!(!shown.contains("pop3.folder"), "{shown}");
    let wrong = home.run(&["account", "set", "ann@x.test", "--quota", "much"]);
    assert!(wrong.stderr.contains("\"much\" is not a size"), "{wrong:?}");
    home.ok(&["account", "rename", "ann@x.test", "anna@x.test"]);
    assert!(
        home.ok(&["alias", "list"])
            .contains("ann@x.test    anna@x.test")
    );
    home.ok(&[
        "account",
        "close",
        "anna@x.test",
        "--aliases-to",
        "bob@x.test",
    ]);
    server.stop();
    assert_eq!(
        home.ok(&["alias", "list"]),
        "ann@x.test    bob@x.test\nanna@x.test   bob@x.test\nsales@x.test  ann@x.test\n"
    );
    assert_eq!(home.ok(&["account", "list"]), "admin@x.test\nbob@x.test\n");
}

#[test]
fn lists_and_groups_are_kept() {
    let home = Home::new();
    let server = home.start();
    let list = "news@example.test";
    home.ok(&[
        "list",
        "add",
        list,
        "--mode",
        "membership",
        "--owner",
        "admin@example.test",
    ]);
    home.ok(&[
        "list",
        "member",
        "add",
        list,
        "a@b.test",
        "admin@example.test",
    ]);
    let post = |from: &str| {
        let mail = "Subject: x\r\n\r\nx";
        server.dial("smtp").mail(from, list, mail)
    };
    for (from, reply) in [("a@b.test", "250"), ("c@b.test", "550")] {
        let said = post(from);
        assert!(said.starts_with(reply), "{from}: {said}");
    }
    home.ok(&["group", "add", "staff", "--closed"]);
    home.ok(&["group", "member", "add", "staff", "admin@example.test"]);
    server.stop();
    home.ok(&["list", "member", "remove", list, "a@b.test"]);
    let shown = home.ok(&["list", "show", list]);
    assert!(shown.contains("mode          membership"), "{shown}");
    assert!(shown.ends_with("member admin@example.test\n"), "{shown}");
    assert_eq!(
        home.ok(&["group", "show", "staff"]),
        "group staff\nkind closed\nrights $staff\nmember admin@example.test\n"
    );
    home.ok(&["group", "remove", "staff"]);
    home.ok(&["list", "remove", list]);
    assert_eq!(
        home.ok(&["list", "list"]) + &home.ok(&["group", "list"]),
        ""
    );
}

#[test]
fn addresses_are_switched_exported_and_imported() {
    let home = Home::new();
    let server = home.start();
    home.ok(&["alias", "add", "sales@example.test", "admin@example.test"]);
    home.ok(&["address", "disable", "sales@example.test"]);
    let mail = || {
        let mut smtp = server.dial("smtp");
        smtp.mail("a@b.test", "sales@example.test", "Subject: x\r\n\r\nx")
    };
    assert!(mail().starts_with("550"), "it is unknown");
    let listed = home.ok(&["address", "list", "SALES"]);
    assert!(listed.trim_end().ends_with("off"), "{listed}");
    let lines = home.ok(&["address", "export"]);
    assert_eq!(
        lines,
        "admin@example.test\n!sales@example.test = admin@example.test\n"
    );
    home.ok(&["address", "enable", "sales@example.test"]);
    assert!(mail().starts_with("250"));
    server.stop();
    home.ok(&["alias", "remove", "sales@example.test"]);
    let bad = format!("{lines}nobody@example.test\n");
    let refused = home.run_with(&["address", "import"], &bad);
    assert!(refused.stderr.contains("line 3"), "{refused:?}");
    let done = home.run_with(&["address", "import"], &lines);
    assert_eq!(done.stdout, "1 of 2 lines changed something\n", "{done:?}");
    assert_eq!(home.ok(&["address", "export"]), lines);
}
