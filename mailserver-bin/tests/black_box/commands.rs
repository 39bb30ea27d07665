//! The command line, with and without a running server.

use crate::support::Home;

#[test]
fn check_config_reports_every_problem_with_its_line() {
    let home = Home::new();
    home.write(
        "m.toml",
        "[server]\nhostnam = \"mx.example.com\"\n\n[[listener]]\nprotocol = \"imap5\"\naddress = \"0.0.0.0:4190\"\n",
    );
    let done = home.run(&["check-config", "--config", "m.toml"]);
    assert_eq!(done.code, 2);
    for line in [
        "m.toml:1: hostname is missing in [server]",
        "m.toml:2: unknown key \"hostnam\" in [server]; did you mean \"hostname\"?",
        "m.toml:5: protocol can't be \"imap5\"; did you mean \"imap\"?",
    ] {
        assert!(done.stderr.contains(line), "{}", done.stderr);
    }
    assert_eq!(home.run(&["serve", "--config", "m.toml"]).code, 2);
    assert_eq!(home.run(&["check-config", "--config", "none.toml"]).code, 2);
}

#[test]
fn init_prepares_what_serve_then_runs() {
    let home = Home::new();
    let args = [
        "init",
        "--hostname",
        "mx.example.org",
        "--domain",
        "example.org",
        "--admin",
        "ann@example.org",
        "--password-stdin",
    ];
    let done = home.run_with(&args, "correct-horse-7\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stdout.contains("correct-horse-7"));
    assert!(home.ok(&["check-config"]).contains("mx.example.org"));
    assert_eq!(home.ok(&["domain", "list"]), "example.org\n");
    assert_eq!(home.run(&["init"]).code, 1);
    let server = home.start();
    assert!(server.banner.contains("serves as mx.example.org"));
    assert!(!server.banner.contains("password"));
    let mut pop3 = server.dial_tls(&home, "pop3");
    pop3.line();
    pop3.ask("USER ann@example.org");
    assert!(
        pop3.ask("PASS correct-horse-7")
            .starts_with("+OK 0 messages")
    );
}

#[test]
fn domains_accounts_and_aliases_are_changed_while_it_runs_and_when_it_is_down() {
    let home = Home::new();
    let server = home.start();
    let edit = |name: &str| {
        home.ok(&["domain", "add", &format!("{name}.test")]);
        let address = format!("u@{name}.test");
        let add = home.run_with(
            &["account", "add", &address, "--password-stdin"],
            "long enough\n",
        );
        assert_eq!((add.code, add.stderr.as_str()), (0, ""));
        home.ok(&["alias", "add", &format!("v@{name}.test"), &address]);
        let again = home.run_with(
            &["account", "add", &address, "--password-stdin"],
            "long enough\n",
        );
        assert_eq!(again.code, 1);
        assert!(again.stderr.contains("exists"), "{again:?}");
        let in_use = home.run(&["domain", "remove", &format!("{name}.test")]);
        assert_eq!(in_use.code, 1, "{in_use:?}");
    };
    edit("up");
    let rcpt = server
        .dial("smtp")
        .mail("a@b.test", "v@up.test", "Subject: x\r\n\r\nx");
    assert!(rcpt.starts_with("250"), "{rcpt}");
    server.stop();
    edit("down");
    assert_eq!(
        home.ok(&["account", "list"]),
        "admin@example.test\nu@down.test\nu@up.test\n"
    );
    assert_eq!(home.ok(&["account", "list", "up.test"]), "u@up.test\n");
    home.ok(&["alias", "remove", "v@up.test"]);
    home.ok(&["account", "remove", "u@up.test"]);
    home.ok(&["domain", "remove", "up.test"]);
    assert!(!home.ok(&["domain", "list"]).contains("up.test"));
}

#[test]
fn passwords_are_checked_and_changed() {
    let home = Home::new();
    let server = home.start();
    let change = |text: &str| {
        home.run_with(
            &[
                "account",
                "password",
                "admin@example.test",
                "--password-stdin",
            ],
            text,
        )
    };
    assert_eq!(change("short\n").code, 1);
    assert_eq!(change("a new password\n").code, 0);
    let login = |password: &str| {
        let mut pop3 = server.dial_tls(&home, "pop3");
        pop3.line();
        pop3.ask("USER admin@example.test");
        pop3.ask(&format!("PASS {password}"))
    };
    assert!(login("a new password").starts_with("+OK"));
    assert!(login(server.password()).starts_with("-ERR [AUTH]"));
    // Without a terminal there is nobody to ask.
    assert_eq!(home.run(&["account", "add", "x@example.test"]).code, 2);
}

#[test]
fn check_reads_everything_while_it_runs_and_when_it_is_down() {
    let home = Home::new();
    let server = home.start();
    server
        .dial("smtp")
        .mail("a@b.test", "admin@example.test", "Subject: x\r\n\r\nx");
    assert!(home.ok(&["check"]).starts_with("1 messages in "));
    assert_eq!(home.ok(&["queue", "list"]), "0 in the queue\n");
    server.stop();
    assert!(home.ok(&["check"]).contains("all data is sound"));
    assert_eq!(home.ok(&["queue", "list"]), "0 in the queue\n");
}

#[test]
fn check_says_what_is_damaged_where_and_what_to_do() {
    let home = Home::new();
    let server = home.start();
    let send = |message: &str| {
        server
            .dial("smtp")
            .mail("a@b.test", "admin@example.test", message);
    };
    send("Subject: x\r\n\r\nsmall");
    let line = "0123456789abcdef\r\n";
    let large = format!("Subject: y\r\n\r\n{}", line.repeat(5_000));
    send(&large);
    server.stop();
    let store = home.path().join("mailserver-data/store");
    let only_file = |part: &str| {
        let mut files = std::fs::read_dir(store.join(part)).unwrap();
        files.next().unwrap().unwrap().path()
    };

    let (segment, extent) = (only_file("log"), only_file("extents"));
    let mut octets = std::fs::read(&segment).unwrap();
    let body = octets.windows(5).position(|it| it == b"small").unwrap();
    octets[body] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    std::fs::remove_file(&extent).unwrap();
    let done = home.run(&["check"]);
    assert_eq!(done.code, 1, "{done:?}");
    for (uid, file, what) in [
        (1, &segment, "does not match its checksum"),
        (2, &extent, "is missing"),
    ] {
        let place = format!("admin@example.test INBOX UID {uid}: damaged: ");
        let named = done.stderr.lines().any(|line| {
            line.starts_with(&place)
                && line.contains(file.file_name().unwrap().to_str().unwrap())
                && line.ends_with(what)
        });
        assert!(named, "{done:?}");
    }
    assert!(done.stderr.contains("from a backup"), "{done:?}");
    assert!(!done.stderr.contains("all data is sound"), "{done:?}");
}

#[test]
fn commands_say_when_there_is_no_data_yet() {
    let home = Home::new();
    let done = home.run(&["account", "list"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("mailserver init"), "{done:?}");
    assert!(!home.path().join("mailserver-data").exists());
}
