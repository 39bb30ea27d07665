//! Other certificates and other settings for a server that runs, as operators
//! have it: files, the command, the signal.

use std::path::Path;

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::Home;

const START: &str = "\
[server]
hostname = \"mx.a.test\"
check_name = false
[tls]
certificate = \"mailserver-data/certificate.pem\"
key = \"mailserver-data/key.pem\"
watch = \"1s\"
[[tls.certificates]]
certificate = \"other.pem\"
key = \"other.key\"
[[listener]]
protocol = \"imap\"
address = \"127.0.0.1:0\"
tls = \"implicit\"
[[listener]]
protocol = \"smtp\"
address = \"127.0.0.1:0\"
";

/// Writes a certificate and its key.
fn certify(home: &Home, name: &str, names: &[&str], last_year: i32) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let folder = home.path().join(name);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    write_private(&folder.with_extension("key"), &key.serialize_pem());
    std::fs::write(folder.with_extension("pem"), made.pem()).unwrap();
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// A home whose own certificate is where [`Home`]'s clients look for it.
fn home() -> Home {
    let home = Home::new();
    renew(&home);
    certify(&home, "other", &["other.test"], 2999);
    home.write("mailserver.toml", START);
    home
}

fn renew(home: &Home) {
    certify(
        home,
        "mailserver-data/certificate",
        &["mx.a.test", "localhost"],
        2999,
    );
    let folder = home.path().join("mailserver-data");
    std::fs::rename(folder.join("certificate.key"), folder.join("key.pem")).unwrap();
}

#[test]
fn a_certificate_is_replaced_while_a_hundred_sessions_live_on() {
    let home = home();
    let server = home.start();
    let mut sessions: Vec<_> = (0..100).map(|_| server.dial_tls(&home, "imap")).collect();
    for session in &mut sessions {
        assert!(session.line().starts_with("* OK"));
    }
    // Once by the clock, once by command, once by signal. The client believes
    // the new certificate alone.
    for round in 0..3 {
        renew(&home);
        match round {
            0 => server.wait_for(&["files changed: certificate", "mx.a.test"]),
            1 => drop(home.ok(&["reload"])),
            _ => {
                server.signal(Signal::SIGHUP);
                // Commands are taken one after the other.
                home.ok(&["reload"]);
            }
        }
        let mut new = server.dial_tls(&home, "imap");
        assert!(new.line().starts_with("* OK"), "round {round}");
        for session in &mut sessions {
            assert!(session.ask("a NOOP").starts_with("a OK"));
        }
    }
}

#[test]
fn a_reload_applies_the_file_as_a_whole_and_says_what_it_did() {
    let home = home();
    let server = home.start();
    let imap = server.address("imap", "implicit");
    let mut old = server.dial("smtp");
    assert!(old.line().starts_with("220 "));
    let told = home.ok(&["reload"]);
    assert_eq!(told, "read anew; nothing has changed\n");

    let more = "[limits]\nmessage_size = 7777777\n[schedule]\ntidy = \"never\"\n\
                [[listener]]\nprotocol = \"pop3\"\naddress = \"127.0.0.1:0\"\n";
    home.write("mailserver.toml", &format!("{START}{more}"));
    let told = home.ok(&["reload"]);
    for line in [
        "listener added: pop3 127.0.0.1:",
        "changed: [limits]",
        "changed: [listener]",
        "needs a restart: [schedule]",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let sized = |mut session: crate::support::Dialogue<std::net::TcpStream>| {
        session.send("EHLO c.test");
        let lines = session.until("250 ");
        lines.iter().any(|line| line.ends_with("SIZE 7777777"))
    };
    let mut new = server.dial("smtp");
    assert!(new.line().starts_with("220 "));
    assert!(sized(new) && !sized(old));

    let wrong = "[limits]\nmessage_size = 8888888\n[filter]\naccess_list = \"none\"\n";
    home.write("mailserver.toml", &format!("{START}{wrong}"));
    server.signal(Signal::SIGHUP);
    server.wait_for(&["SIGHUP: nothing was changed", "access_list"]);
    let mut same = server.dial("smtp");
    assert!(same.line().starts_with("220 "));
    assert!(sized(same));

    let less = START.replace("protocol = \"imap\"", "protocol = \"lmtp\"");
    home.write("mailserver.toml", &less);
    let told = home.ok(&["reload"]);
    assert!(
        told.contains(&format!("listener removed: imap {imap}")),
        "{told}"
    );
    assert!(std::net::TcpStream::connect(imap).is_err());
}

#[test]
fn check_config_names_certificates_that_clients_will_refuse() {
    let home = home();
    certify(&home, "other", &["other.test"], 2020);
    let name = START.replace("mx.a.test", "mx.b.test");
    home.write("mailserver.toml", &name);
    let key = home.path().join("other.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let told = home.ok(&["check-config"]);
    for words in [
        "other.pem for other.test ended on 2020-01-01",
        "no certificate is for mx.b.test",
        "other.key: chmod o=",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    std::fs::copy(home.path().join("mailserver-data/key.pem"), &key).unwrap();
    let refused = home.run(&["check-config"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("don't belong together"),
        "{refused:?}"
    );
}
