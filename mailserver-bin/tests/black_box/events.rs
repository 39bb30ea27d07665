//! Who is told of events: by mail, by web hook, and after kill -9.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::{Home, Running};

const SECRET: &str = "a secret of enough octets";

/// A web server that keeps what it is told, and says no at first.
#[derive(Default)]
struct Web {
    /// Whole requests, each with whether it was answered with yes.
    requests: Mutex<Vec<(String, bool)>>,
    grown: Condvar,
    /// How many are refused yet.
    refusals: Mutex<u32>,
}

impl Web {
    fn start(refusals: u32) -> (Arc<Self>, SocketAddr) {
        let web = Arc::new(Self {
            refusals: Mutex::new(refusals),
            ..Self::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&web);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serving.serve(stream.unwrap());
            }
        });
        (web, address)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut part = [0; 4_096];
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= field(head, "content-length").parse().unwrap()
            {
                break;
            }
            match stream.read(&mut part) {
                Ok(count @ 1..) => request.extend(part.iter().take(count)),
                // The server was killed in the middle.
                _ => return,
            }
        }
        let mut refusals = self.refusals.lock().unwrap();
        let taken = *refusals == 0;
        *refusals = refusals.saturating_sub(1);
        drop(refusals);
        let status = if taken { "204 Taken" } else { "503 Not now" };
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        let request = String::from_utf8(request).unwrap();
        self.requests.lock().unwrap().push((request, taken));
        self.grown.notify_all();
    }

    /// Waits for so many events that were taken; the ids in their order, and of
    /// those refused.
    fn told(&self, count: usize) -> (Vec<String>, Vec<String>) {
        let ids = |requests: &[(String, bool)], wanted: bool| {
            let bodies = requests.iter().filter(|(_, taken)| *taken == wanted);
            let ids = bodies.flat_map(|(body, _)| body.split("{\"id\":\"").skip(1));
            ids.map(|rest| rest[..32].to_owned()).collect::<Vec<_>>()
        };
        let requests = self.requests.lock().unwrap();
        let few = |requests: &mut Vec<(String, bool)>| ids(requests, true).len() < count;
        let patience = Duration::from_secs(60);
        let (requests, waited) = self
            .grown
            .wait_timeout_while(requests, patience, few)
            .unwrap();
        assert!(!waited.timed_out(), "{requests:?}");
        (ids(&requests, true), ids(&requests, false))
    }
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(it, _)| it.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value).unwrap()
}

fn send(server: &Running, subject: &str) {
    let message = format!("Subject: {subject}\r\n\r\nx");
    let reply = server
        .dial("smtp")
        .mail("x@b.test", "ann@example.test", &message);
    assert!(reply.starts_with("250"), "{reply}");
}

fn home(config: &str) -> Home {
    let home = Home::new();
    let server = "[server]\nhostname = \"mail.example.test\"\ncheck_name = false\n";
    home.write("mailserver.toml", &format!("{server}{config}"));
    let args = ["init", "--admin", "ann@example.test", "--password-stdin"];
    assert_eq!(home.run_with(&args, "correct-horse-7\n").code, 0);
    home
}

#[test]
fn a_web_hook_is_told_each_event_in_order_over_kill_nine() {
    let (web, address) = Web::start(1);
    let home = home(&format!(
        "[[webhook]]\nname = \"crm\"\nurl = \"http://{address}/in?token=abc\"\n\
         secret = \"{SECRET}\"\nown_network = true\nevents = \"MessageNew\"\n"
    ));
    let server = home.start();
    send(&server, "one");
    server.wait_for(&["events can't be told", "crm", "503"]);
    send(&server, "two");
    let log = server.log();
    // No goodbye.
    drop(server);
    let server = home.start();
    send(&server, "three");
    let (taken, refused) = web.told(3);
    assert_eq!(taken.len(), 3, "each once");
    assert_eq!(
        refused,
        taken[..1],
        "the same id before the crash and after it"
    );
    let mut sorted = taken.clone();
    sorted.sort();
    assert_eq!(sorted, taken, "in the order in which they happened");
    let requests = web.requests.lock().unwrap();
    let head = requests[0].0.split("\r\n\r\n").next().unwrap();
    assert!(head.starts_with("POST /in?token=abc HTTP/1.1"), "{head}");
    assert!(field(head, "webhook-signature").starts_with("v1,"));
    for secret in ["token=abc", SECRET] {
        assert!(!log.contains(secret) && !server.log().contains(secret));
    }
}

#[test]
fn rules_of_the_file_send_mail_until_a_reload_changes_them() {
    let rule = |subject: &str| {
        format!(
            "[[event]]\nname = \"strangers\"\non = \"MessageReceived\"\n\
             when = [{{ field = \"from\", matches = \"*@b.test\" }},\n\
                     {{ field = \"size\", less = 100, not = true }}]\n\
             to = \"ann@example.test\"\nfrom = \"watch@example.test\"\n\
             subject = \"{subject}: {{subject}}\"\n"
        )
    };
    let home = home(&rule("first"));
    let server = home.start();
    send(&server, "hello");
    server.wait_for(&["received", "subject=\"first: hello\""]);
    let text = std::fs::read_to_string(home.path().join("mailserver.toml")).unwrap();
    home.write("mailserver.toml", &text.replace("first", "second"));
    assert!(home.ok(&["reload"]).contains("changed: [event]"));
    send(&server, "again");
    server.wait_for(&["received", "subject=\"second: again\""]);
    assert!(!server.log().contains("second: first"), "{}", server.log());
    let wrong = text.replace("{subject}", "{subjekt}");
    home.write("mailserver.toml", &wrong);
    let refused = home.run(&["reload"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("did you mean {subject}?"),
        "{refused:?}"
    );
}

#[test]
fn what_is_wrong_with_rules_and_web_hooks_is_said_at_once_with_its_line() {
    let home = Home::new();
    home.write(
        "mailserver.toml",
        "[server]\nhostname = \"mail.example.test\"\n\
         [[event]]\nname = \"a\"\non = [\"DiskLo\"]\n\
         [[event]]\nname = \"b\"\non = \"DiskLow\"\ntext = \"{availible}\"\nevrey = \"1h\"\n\
         [[event]]\nname = \"c\"\non = \"DiskLow\"\nwhen = [{ field = \"limit\" }]\nper = \"limit\"\n\
         [[webhook]]\nname = \"d\"\nurl = \"http://hooks.test/\"\nsecret = \"0123456789abcdef\"\n\
         [notices]\nto = \"nobody\"\ndsik = true\n",
    );
    let done = home.run(&["check-config"]);
    assert_ne!(done.code, 0);
    let said = format!("{}{}", done.stdout, done.stderr);
    for problem in [
        "mailserver.toml:5: on: there is no event \"DiskLo\"; did you mean \"DiskLow\"?",
        "mailserver.toml:6: rule b: its events have no field {availible}; did you mean {available}?",
        "mailserver.toml:10: unknown key \"evrey\" in [[event]]; did you mean \"every\"?",
        "mailserver.toml:14: a condition has one of: equals, contains, matches, greater, less",
        "mailserver.toml:15: per needs every: how often a mail may be sent",
        "mailserver.toml:18: web hook d: without TLS a host of one's own network alone may be called",
        "mailserver.toml:21: to: ",
        "mailserver.toml:22: unknown key \"dsik\" in [notices]; did you mean \"disk\"?",
    ] {
        assert!(said.contains(problem), "{problem}\n{said}");
    }
}

#[test]
fn the_operator_is_told_of_a_full_disk_and_of_a_crash_before() {
    let home = home("[store]\nlow_space = \"900000GB\"\n");
    let server = home.start();
    server.wait_for(&[
        "received",
        "subject=\"DiskLow: ",
        "to=postmaster@mail.example.test",
    ]);
    server.wait_for(&["filed", "account=ann@example.test"]);
    drop(server);
    home.write("mailserver-data/crash-7-0.new", "a report\n");
    let server = home.start();
    server.wait_for(&["ended in a crash before", "crash-7-0.txt"]);
    server.wait_for(&[
        "received",
        "subject=\"mailserver on mail.example.test ended in a crash\"",
    ]);
}
