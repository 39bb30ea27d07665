//! The server as its users have it: started without a file, spoken to by port,
//! stopped by signal.

use std::os::unix::fs::PermissionsExt;

use crate::support::Home;
use nix::sys::signal::Signal;

const ADMIN: &str = "admin@example.test";

#[test]
fn without_a_file_mail_comes_in_and_is_read_and_outlives_a_restart() {
    let home = Home::new();
    let server = home.start();
    let password = server.password().to_owned();
    let accepted = server
        .dial("smtp")
        .mail("a@b.test", ADMIN, "Subject: hi\r\n\r\n..dot\r\nend");
    assert!(accepted.starts_with("250"), "{accepted}");

    let mut imap = server.dial_tls(&home, "imap");
    imap.line();
    imap.send(&format!("1 LOGIN {ADMIN} {password}"));
    assert!(imap.until("1 ").last().unwrap().starts_with("1 OK"));
    imap.send("2 SELECT INBOX");
    assert!(imap.until("2 ").iter().any(|line| line == "* 1 EXISTS"));
    imap.send("3 FETCH 1 BODY[TEXT]");
    assert!(imap.until("3 ").iter().any(|line| line == ".dot"));

    let (status, rest) = server.stop();
    assert!(status.success());
    assert!(rest.ends_with("stopped\n"), "{rest}");

    let server = home.start();
    assert!(!server.banner.contains("password"), "{}", server.banner);
    let mut pop3 = server.dial_tls(&home, "pop3");
    pop3.line();
    assert_eq!(pop3.ask(&format!("USER {ADMIN}")), "+OK");
    assert!(
        pop3.ask(&format!("PASS {password}"))
            .starts_with("+OK 1 message")
    );
    assert!(pop3.ask("RETR 1").starts_with("+OK"));
    let message = pop3.multiline();
    assert!(message.contains(&"Subject: hi".to_owned()));
    assert_eq!(
        message.split_last_chunk::<2>().unwrap().1,
        &["..dot", "end"]
    );
}

#[test]
fn pop3_holds_the_maildrop_alone_and_removes_after_quit() {
    let home = Home::new();
    let server = home.start();
    for subject in ["one", "two"] {
        let message = format!("Subject: {subject}\r\n\r\nx");
        server.dial("smtp").mail("a@b.test", ADMIN, &message);
    }
    let login = |expected: &str| {
        let mut pop3 = server.dial_tls(&home, "pop3");
        pop3.line();
        pop3.ask(&format!("USER {ADMIN}"));
        let reply = pop3.ask(&format!("PASS {}", server.password()));
        assert!(reply.starts_with(expected), "{reply}");
        pop3
    };
    let mut first = login("+OK 2 messages");
    login("-ERR [IN-USE]");
    first.ask("DELE 1");
    assert_eq!(first.ask("QUIT"), "+OK mail.example.test closing");
    let mut again = login("+OK 1 message");
    assert!(again.ask("UIDL 1").ends_with("00000002"));
}

#[test]
fn data_and_its_files_are_the_owners_alone() {
    let home = Home::new();
    let server = home.start();
    server
        .dial("smtp")
        .mail("a@b.test", ADMIN, "Subject: x\r\n\r\nx");
    let mut folders = vec![home.path().join("mailserver-data")];
    while let Some(folder) = folders.pop() {
        let mode = |path: &std::path::Path| {
            std::fs::symlink_metadata(path)
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // The journal is for a group to read, once it lies where the
                // group gets to.
                let name = path.file_name().unwrap().to_string_lossy();
                let journal = name.starts_with("journal.db");
                let allowed = if journal { 0o640 } else { 0o600 };
                assert_eq!(mode(&path), allowed, "{}", path.display());
            }
        }
    }
}

#[test]
fn no_password_is_ever_logged() {
    let home = Home::new();
    let server = home.start_with(&["serve", "--free-ports"], "trace");
    let right = server.password().to_owned();
    let added = home.run_with(
        &["account", "add", "ann@example.test", "--password-stdin"],
        "correct-horse-7\n",
    );
    assert_eq!(added.code, 0, "{added:?}");
    for password in [right.as_str(), "wrong-guess-99"] {
        let mut pop3 = server.dial_tls(&home, "pop3");
        pop3.line();
        pop3.ask(&format!("USER {ADMIN}"));
        pop3.ask(&format!("PASS {password}"));
        let mut imap = server.dial_tls(&home, "imap");
        imap.line();
        imap.send(&format!("1 LOGIN {ADMIN} {password}"));
        imap.until("1 ");
    }
    server.wait_for(&["login"]);
    let log = server.log();
    for secret in [right.as_str(), "wrong-guess-99", "correct-horse-7"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn passwords_in_clear_are_refused_unless_the_listener_says_otherwise() {
    let home = Home::new();
    let listener = |protocol: &str, login: &str| {
        format!(
            "[[listener]]\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:0\"\n\
             tls = \"none\"\nplaintext_login = \"{login}\"\n"
        )
    };
    let ask = |login: &str| {
        let text = "[server]\nhostname = \"mail.example.test\"\n".to_owned()
            + &listener("pop3", login)
            + &listener("imap", login);
        home.write("mailserver.toml", &text);
        let server = home.start_with(&["serve"], "info");
        let mut pop3 = server.dial_at("pop3", "none");
        pop3.line();
        let user = pop3.ask("USER u@example.test");
        let mut imap = server.dial_at("imap", "none");
        imap.line();
        imap.send("1 CAPABILITY");
        (user, imap.until("1 ").concat().contains("LOGINDISABLED"))
    };
    assert_eq!(
        ask("within-tls"),
        ("-ERR start TLS first (STLS)".to_owned(), true)
    );
    assert_eq!(ask("anywhere"), ("+OK".to_owned(), false));
}

#[test]
fn an_access_list_refuses_senders() {
    let home = Home::new();
    home.write("access.list", "deny sender .spam.test\n");
    home.write(
        "mailserver.toml",
        "[server]\nhostname = \"mail.example.test\"\n[filter]\naccess_list = \"access.list\"\n",
    );
    let args = ["init", "--admin", ADMIN, "--password-stdin"];
    assert_eq!(home.run_with(&args, "correct-horse-7").code, 0);
    let server = home.start();
    let mut smtp = server.dial("smtp");
    smtp.until("220 ");
    smtp.send("EHLO client.test");
    smtp.until("250 ");
    smtp.send("MAIL FROM:<a@x.spam.test>");
    smtp.send(&format!("RCPT TO:<{ADMIN}>"));
    let replies = [smtp.line(), smtp.line()];
    assert!(
        replies.iter().any(|reply| reply.starts_with("550 5.7.1")),
        "{replies:?}"
    );
    home.write("access.list", "deny sendr .spam.test\n");
    let wrong = home.run(&["check-config"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("mailserver.toml:4: access_list"),
        "{wrong:?}"
    );
}

#[test]
fn a_second_server_on_the_same_data_says_who_has_it() {
    let home = Home::new();
    let _server = home.start();
    let second = home.run(&["serve", "--free-ports"]);
    assert_eq!(second.code, 1);
    assert!(
        second
            .stderr
            .contains("is in use by another mailserver (process "),
        "{second:?}"
    );
}

#[test]
fn a_taken_port_is_named_with_its_listener() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    home.write(
        "mailserver.toml",
        &format!(
            "[server]\nhostname = \"mail.example.test\"\n\
             [[listener]]\nprotocol = \"imap\"\naddress = \"{address}\"\n"
        ),
    );
    let done = home.run(&["serve"]);
    assert_eq!(done.code, 1);
    let expected = format!("imap can't listen on {address}");
    assert!(done.stderr.contains(&expected), "{done:?}");
}

#[test]
fn a_renewed_certificate_is_taken_without_a_restart() {
    let (home, other) = (Home::new(), Home::new());
    let server = home.start();
    other.start().stop();
    let copy = |name: &str| {
        let name = format!("mailserver-data/{name}");
        std::fs::copy(other.path().join(&name), home.path().join(&name)).unwrap();
    };
    copy("certificate.pem");
    let half = home.run(&["reload"]);
    assert_eq!(half.code, 1);
    assert!(half.stderr.contains("don't belong together"), "{half:?}");
    copy("key.pem");
    server.signal(Signal::SIGHUP);
    server.wait_for(&["SIGHUP: certificate", "own making"]);
    // The client trusts the new file alone.
    let greeting = server.dial_tls(&home, "pop3").line();
    assert!(greeting.starts_with("+OK"), "{greeting}");
    home.ok(&["reload"]);
}

#[test]
fn hang_up_does_not_end_it_and_sessions_may_finish_at_the_end() {
    let home = Home::new();
    let server = home.start();
    let mut smtp = server.dial("smtp");
    smtp.until("220 ");
    server.signal(Signal::SIGHUP);
    assert!(smtp.ask("NOOP").starts_with("250"));
    server.signal(Signal::SIGTERM);
    // The open session is told, not cut.
    assert!(smtp.line().starts_with("421"));
    let (status, _) = server.stop();
    assert!(status.success());
}
