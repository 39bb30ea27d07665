//! What a file means, and what is wrong with it.

use std::time::Duration;

use super::*;
use crate::config::{Dnssec, ForwardedSender, MtaStsUse};
use mailcore::sasl::{InClear, Mechanism};
use mailcore_smtp::client::TlsRule;
use mailcore_store::directory::CodeLogin;

fn problems(text: &str) -> String {
    resolve(Path::new("m.toml"), text).unwrap_err().to_string()
}

#[test]
fn every_problem_is_told_at_once_with_its_line_and_the_nearest_word() {
    let text = "\
[server]
hostname = \"mail example\"
dta = \"x\"

[[listener]]
protocol = \"impa\"
adress = \"0.0.0.0:143\"

[[listener]]
protocol = \"pop3\"
address = \"localhost\"
tls = true

[limit]
";
    assert_eq!(
        problems(text),
        "\
m.toml:2: hostname: the domain is not valid (RFC 5321 section 4.1.2)
m.toml:3: unknown key \"dta\" in [server]; did you mean \"data\"?
m.toml:5: address is missing in [[listener]]
m.toml:6: protocol can't be \"impa\"; did you mean \"imap\"?
m.toml:7: unknown key \"adress\" in [[listener]]; did you mean \"address\"?
m.toml:11: address \"localhost\" is not IP:port; write \"0.0.0.0:25\" or \"[::]:25\"
m.toml:12: tls in [[listener]] must be a string, not boolean
m.toml:14: unknown key \"limit\" in the file; did you mean \"limits\"?"
    );
}

#[test]
fn syntax_errors_name_their_line_too() {
    let text = "[server]\nhostname = \"mail.example.com\"\ndata = \n";
    assert!(problems(text).contains("m.toml:3: "), "{}", problems(text));
}

#[test]
fn values_replace_defaults_and_paths_are_relative_to_the_file() {
    let text = "\
[server]
hostname = \"mx.example.com\"
data = \"d\"
[[listener]]
protocol = \"imap\"
address = \"127.0.0.1:0\"
tls = \"implicit\"
[queue]
retry = [\"1m\", \"5m\"]
expire = \"1d\"
[queue.smart_host]
host = \"relay.example.net\"
tls = \"implicit\"
login = \"me\"
password = \"secret\"
[dns]
servers = [\"127.0.0.1\", \"[::1]:5353\"]
use_hosts_file = true
[limits]
message_size = \"10MB\"
[callout]
unknown = \"5m\"
";
    let config = resolve(Path::new("/etc/mail/m.toml"), text).unwrap();
    assert_eq!(config.callout.unknown_for.as_secs(), 300);
    assert_eq!(config.data, Path::new("/etc/mail/d"));
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.limits.message_size, 10_000_000);
    assert!(config.dns.servers.len() == 2 && config.dns.hosts_file);
    let host = config.smart_host.unwrap();
    assert_eq!((host.port, host.tls), (465, TlsPolicy::Implicit));
    assert!(!format!("{:?}", host.login).contains("secret"));
}

#[test]
fn mechanisms_are_those_that_are_known() {
    let head = "[server]\nhostname = \"mx.example.com\"\n[auth]\n";
    let text = format!(
        "{head}mechanisms = [\"CRAM-MD5\", \"plain\", \"SCRAM-SHA256\", \"ANONYMOUS\"]\n\
         without_tls = \"all\"\nmechanism = \"PLAIN\"\n"
    );
    let told = problems(&text);
    for words in [
        "m.toml:4: mechanisms: \"SCRAM-SHA256\" is not known; did you mean \"SCRAM-SHA-256\"?",
        "m.toml:4: mechanisms: \"ANONYMOUS\" is not known; ",
        "m.toml:5: without_tls can't be \"all\"",
        "m.toml:6: unknown key \"mechanism\"",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let text =
        format!("{head}mechanisms = [\"cram-md5\", \"PLAIN\"]\nwithout_tls = \"challenges\"\n");
    let auth = resolve(Path::new("m.toml"), &text).unwrap().auth;
    assert_eq!(auth.mechanisms, [Mechanism::CramMd5, Mechanism::Plain]);
    assert_eq!(auth.in_clear, InClear::Challenges);
    assert_eq!(defaults().auth.mechanisms, Mechanism::USUAL);
}

#[test]
fn access_tokens_are_believed_only_from_a_named_issuer() {
    let head = "[server]\nhostname = \"h.test\"\n[auth]\ncodes = \"appended\"\n[auth.oauth]\n";
    for (text, problem) in [
        ("", "m.toml:5: give one of jwks"),
        (
            "jwks = \"https://a.test/\"",
            "m.toml:5: jwks needs issuer and audience",
        ),
        (
            "jwks = \"http://a.test/\"",
            "m.toml:6: write the whole URL with https",
        ),
        (
            "introspection = \"https://a.test/\"",
            "m.toml:6: introspection needs client_id",
        ),
        ("isuer = \"x\"", "m.toml:6: "),
    ] {
        let told = problems(&format!("{head}{text}\n"));
        assert!(told.contains(problem), "{text}: {told}");
    }
    let text =
        "jwks = \"https://a.test:8443/k\"\nissuer = \"https://a.test\"\naudience = \"mail\"\n";
    let config = resolve(Path::new("m.toml"), &format!("{head}{text}")).unwrap();
    assert_eq!(config.auth.codes, CodeLogin::CodeAppended);
    let settings = config.auth.oauth.unwrap();
    assert_eq!(settings.issuer.as_deref(), Some("https://a.test"));
    assert_eq!(
        (settings.audience, settings.claim),
        (vec!["mail".to_owned()], "email".to_owned())
    );
    let text =
        "introspection = \"https://a.test/i\"\nclient_id = \"m\"\nclient_secret = \"hush\"\n";
    let config = resolve(Path::new("m.toml"), &format!("{head}{text}")).unwrap();
    assert!(!format!("{:?}", config.auth).contains("hush"));
}

#[test]
fn the_defaults_hold_without_a_file() {
    assert_eq!(defaults().listeners.len(), 8);
}

#[test]
fn the_schedule_names_what_is_wrong_with_a_time_a_place_or_a_job() {
    let text = "\
[server]
hostname = \"mx.example.com\"
[schedule]
time_zone = \"Europe/Berln\"
purge = \"0 0 3 * * *\"
check = \"0 25 * * sun\"
chek = \"@weekly\"
[retention]
junk = \"a month\"
trash = \"0d\"
";
    let told = problems(text);
    let lines: Vec<&str> = told.lines().collect();
    for (line, words) in lines.iter().zip([
        [
            "m.toml:4: time_zone can't be \"Europe/Berln\"",
            "did you mean \"Europe/Berlin\"?",
        ],
        [
            "m.toml:5: purge: a schedule has five fields",
            "not 6; there is none for seconds",
        ],
        ["m.toml:6: check: the hour can't be \"25\"", "0-23"],
        [
            "m.toml:7: unknown key \"chek\" in [schedule]",
            "did you mean \"check\"?",
        ],
        ["m.toml:9: junk is not a time", "\"30m\""],
        ["m.toml:10: trash must be more than nothing", ""],
    ]) {
        assert!(
            words.iter().all(|word| line.contains(word)),
            "{line}: {words:?}"
        );
    }
    assert_eq!(lines.len(), 6, "{told}");
}

#[test]
fn jobs_run_at_their_own_times_in_a_place_of_the_operators_choice() {
    let text = "\
[server]
hostname = \"mx.example.com\"
[schedule]
time_zone = \"Asia/Tashkent\"
purge = \"never\"
check = \"@weekly\"
[retention]
junk = \"30d\"
trash = \"never\"
";
    let config = resolve(Path::new("m.toml"), text).unwrap();
    let zone = &config.housekeeping.zone;
    assert_eq!(
        zone.offset(mailcore::time::Timestamp::from_secs(1_767_225_600)),
        5 * 3_600
    );
    let time = |name: &str| {
        let times = &config.housekeeping.times;
        let (_, time) = times.iter().find(|(chore, _)| chore.name == name).unwrap();
        time.as_ref().map(ToString::to_string)
    };
    assert_eq!(time("purge"), None);
    assert_eq!(time("check"), Some("@weekly".to_owned()));
    assert_eq!(
        config.retention.junk,
        Some(Duration::from_secs(30 * 86_400))
    );
    assert_eq!(config.retention.trash, None);
}

#[test]
fn what_other_hosts_must_show_is_said_by_domain() {
    let text = "
[server]
hostname = \"mail.x.test\"
[dns]
dnssec = \"validate\"
[outgoing_tls]
mta_sts = false
[[outgoing_tls.domain]]
name = \"partner.test\"
require = \"verified\"
";
    let config = resolve(Path::new("m.toml"), text).unwrap();
    assert!(matches!(config.dns.dnssec, Dnssec::Validate(_)));
    assert_eq!(config.outgoing_tls.mta_sts, MtaStsUse::Off);
    let partner = Domain::parse("partner.test").unwrap();
    assert_eq!(config.outgoing_tls.rules, [(partner, TlsRule::Verified)]);
    let wrong = "[server]\nhostname = \"x.test\"\n[dns]\ntrust_anchor = \"none\"\n\
                 [[outgoing_tls.domain]]\nname = \"y.test\"\nrequire = \"verifed\"\n";
    let problems = resolve(Path::new("m.toml"), wrong).unwrap_err().to_string();
    assert!(problems.contains("trust_anchor"), "{problems}");
    assert!(problems.contains("\"verified\""), "{problems}");
}

#[test]
fn forwarded_senders_are_rewritten_unless_the_file_says_otherwise() {
    let text = "[server]\nhostname = \"mx.example.com\"\n";
    let read = |more: &str| resolve(Path::new("m.toml"), &format!("{text}{more}")).unwrap();
    assert_eq!(read("").forwarding.sender, ForwardedSender::Rewritten);
    let off = read("[forwarding]\nsrs = false\n");
    assert_eq!(off.forwarding.sender, ForwardedSender::Kept);
    let named = read("[forwarding]\nsrs_domain = \"example.com\"\n");
    assert_eq!(named.forwarding.domain, Domain::parse("example.com").ok());
}
