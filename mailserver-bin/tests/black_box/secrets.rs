//! Commands on what accounts prove themselves with, and logins by it.

use crate::support::{Home, Running};

const ADMIN: &str = "admin@example.test";

/// Whether POP3 takes the password.
fn pop3(home: &Home, server: &Running, password: &str) -> bool {
    let mut pop3 = server.dial_tls(home, "pop3");
    pop3.line();
    pop3.ask(&format!("USER {ADMIN}"));
    pop3.ask(&format!("PASS {password}")).starts_with("+OK")
}

fn imap(home: &Home, server: &Running, password: &str) -> bool {
    let mut imap = server.dial_tls(home, "imap");
    imap.line();
    let login = format!("a login {ADMIN} {password}");
    imap.send(&login);
    let said = imap.until("a ");
    said.last().is_some_and(|it| it.starts_with("a OK"))
}

#[test]
fn an_app_password_is_shown_once_and_counts_where_it_may() {
    let home = Home::new();
    let server = home.start();
    let add = [
        "account",
        "app-password",
        "add",
        ADMIN,
        "phone",
        "--protocols",
        "pop3",
    ];
    let password = home.ok(&add).trim().to_owned();
    assert_eq!(password.len(), 20, "{password}");
    assert!(pop3(&home, &server, &password));
    assert!(!imap(&home, &server, &password));
    let listed = home.ok(&["account", "app-password", "list", ADMIN]);
    assert!(listed.starts_with("phone  made 20"), "{listed}");
    assert!(
        !listed.contains("never") && listed.contains("  pop3\n"),
        "{listed}"
    );
    assert!(!listed.contains(&password), "{listed}");
    let odd = home.run(&[
        "account",
        "app-password",
        "add",
        ADMIN,
        "x",
        "--protocols",
        "ftp",
    ]);
    assert_eq!(odd.code, 1, "{odd:?}");
    home.ok(&["account", "app-password", "remove", ADMIN, "phone"]);
    assert!(!pop3(&home, &server, &password));
    assert!(!server.log().contains(&password));
    server.stop();
}

#[test]
fn a_hash_of_another_server_logs_in() {
    let home = Home::new();
    let server = home.start();
    let args = ["account", "password", ADMIN, "--hash", "--password-stdin"];
    let bad = home.run_with(&args, "{PLAIN}word\n");
    assert_eq!(bad.code, 1, "{bad:?}");
    // `correct-horse`, by `doveadm pw -s SSHA512`.
    let hash = "{SSHA512}iUGimGwUCXCXJ5BVI6Rx8pcVa2NFhSM2/4eFKI8ryEfUk5d0T6v1sKK2VzEYpgs8FqHDCpG7+74wky45Gnwm4XGtGfo=\n";
    let done = home.run_with(&args, hash);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!pop3(&home, &server, server.password()));
    for _ in 0..2 {
        assert!(pop3(&home, &server, "correct-horse"));
    }
    let args = [
        "account",
        "add",
        "new@example.test",
        "--hash",
        "--password-stdin",
    ];
    let bad = home.run_with(&args, "{PLAIN}word\n");
    assert_eq!(bad.code, 1, "{bad:?}");
    let done = home.run_with(&args, hash);
    assert_eq!(done.code, 0, "{done:?}");
    let mut imap = server.dial_tls(&home, "imap");
    imap.line();
    imap.send("a login new@example.test correct-horse");
    assert!(imap.until("a ").last().unwrap().starts_with("a OK"));
    server.stop();
}

#[test]
fn a_certificate_stands_for_one_account_until_that_is_ended() {
    let home = Home::new();
    home.ok(&["init"]);
    let certificate =
        |what: &str, name: &str| home.run(&["account", "certificate", what, ADMIN, name]);
    let print = format!("sha256:{}", "0A:".repeat(31) + "0A");
    for (name, code) in [
        (&*print, 0),
        ("address:Admin@example.test", 0),
        ("sha256:0a", 1),
        (&*print, 1),
    ] {
        let done = certificate("add", name);
        assert_eq!(done.code, code, "{done:?}");
    }
    let listed = home.ok(&["account", "certificate", "list", ADMIN]);
    assert_eq!(
        listed,
        format!("sha256:{}\naddress:admin@example.test\n", "0a".repeat(32))
    );
    let done = certificate("remove", &print);
    assert_eq!(done.code, 0, "{done:?}");
    let listed = home.ok(&["account", "certificate", "list", ADMIN]);
    assert_eq!(listed, "address:admin@example.test\n");
}

#[test]
fn codes_keep_the_password_from_mail_programs() {
    let home = Home::new();
    let server = home.start();
    let password = server.password().to_owned();
    assert!(pop3(&home, &server, &password));
    let shown = home.ok(&["account", "totp", "enable", ADMIN]);
    let secret = shown.lines().next().unwrap().trim_start_matches("secret  ");
    assert_eq!(secret.len(), 32, "{shown}");
    assert!(
        shown.contains(&format!("secret={secret}&issuer=example.test")),
        "{shown}"
    );
    assert_eq!(shown.matches("backup  ").count(), 10, "{shown}");
    assert!(!pop3(&home, &server, &password));
    let status = home.ok(&["account", "totp", "status", ADMIN]);
    assert_eq!(status, "on; 10 backup codes left\n");
    let app = home.ok(&["account", "app-password", "add", ADMIN, "phone"]);
    assert!(pop3(&home, &server, app.trim()));
    home.ok(&["account", "totp", "disable", ADMIN]);
    assert!(pop3(&home, &server, &password));
    assert!(!server.log().contains(secret));
    server.stop();
}

#[test]
fn shared_secrets_are_kept_for_whom_they_are_allowed() {
    let home = Home::new();
    let server = home.start();
    let mechanisms = |names: &str| home.run(&["account", "mechanisms", ADMIN, "--allow", names]);
    assert_eq!(home.ok(&["account", "mechanisms", ADMIN]), "");
    let odd = mechanisms("md5");
    assert_eq!(odd.code, 1, "{odd:?}");
    let done = mechanisms("cram-md5,ntlm");
    assert_eq!(done.code, 0, "{done:?}");
    let waiting = home.ok(&["account", "mechanisms", ADMIN]);
    assert_eq!(
        waiting.matches("works once the password is set").count(),
        2,
        "{waiting}"
    );
    assert!(pop3(&home, &server, server.password()));
    let held = home.ok(&["account", "mechanisms", ADMIN]);
    assert_eq!(held, "cram-md5  works\nntlm      works\n");
    mechanisms("none");
    assert_eq!(home.ok(&["account", "mechanisms", ADMIN]), "");
    server.stop();
}
