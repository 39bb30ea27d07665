//! What scripts at the events of a session may say: tests and actions of our own.
#![allow(clippy::panic, reason = "what is asked of a script fails its test")]

mod support;

use std::net::IpAddr;

use mailcore_sieve::engine::{Action, Answer, Compiler, Environment, Event, LookUp, Question};
use support::World;

/// A peer at 192.0.2.7, which says it is mx.example.org.
fn world(event: Event, host: impl Fn(&Question) -> Answer + 'static) -> World {
    let mut world = World::new().host(host);
    let mut environment = Environment::new(event);
    environment.session.ip = Some(IpAddr::from([192, 0, 2, 7]));
    environment.session.helo = Some("mx.example.org".into());
    environment.envelope.from = Some("from@example.org".into());
    environment.envelope.to = Some("user@example.com".into());
    world.environment = environment;
    world.compiler = Compiler::new().event(event);
    world
}

fn says(world: &World, script: &str) -> String {
    match world.finish(script, "") {
        Ok(outcome) => format!("{:?}", outcome.actions),
        Err(words) => format!("error: {words}"),
    }
}

#[track_caller]
fn holds(world: &World, extension: &str, test: &str) -> bool {
    let script =
        format!("require [\"vnd.mailcore.session\", \"{extension}\"]; if {test} {{ accept; }}");
    let said = says(world, &script);
    assert!(!said.starts_with("error"), "{test}: {said}");
    said == "[Accept]"
}

#[test]
fn ip_tells_networks_and_kinds_of_peers() {
    let mut world = world(Event::Connect, |_| Answer::No);
    for (test, wanted) in [
        ("ip :cidr \"192.0.2.0/24\"", true),
        ("ip :cidr [\"10.0.0.0/8\", \"192.0.2.*\"]", true),
        ("ip :cidr [\"10.0.0.0/8\", \"2001:db8::/32\"]", false),
        ("not ip :cidr \"10.0.0.0/24\"", true),
        ("ip \"public\"", true),
        ("ip \"private\"", false),
        ("ip \"ssl\"", false),
        ("ip \"known\"", false),
    ] {
        assert_eq!(holds(&world, "vnd.mailcore.ip", test), wanted, "{test}");
    }
    let tls = ("vnd.mailcore.tls".into(), "TLSv1.3".to_owned());
    world.environment.items.push(tls);
    world.environment.session.ip = Some(IpAddr::from([10, 1, 2, 3]));
    assert!(holds(
        &world,
        "vnd.mailcore.ip",
        "allof(ip \"ssl\", ip \"private\")"
    ));
    world.environment.session.ip = None;
    assert!(!holds(
        &world,
        "vnd.mailcore.ip",
        "anyof(ip \"public\", ip :cidr \"0.0.0.0/0\")"
    ));
    let said = says(
        &world,
        "require \"vnd.mailcore.ip\"; if ip :cidr \"10.0.0\" { stop; }",
    );
    assert!(said.contains("is no network"), "{said}");
}

/// DNS where 192.0.2.7 has a name that leads back, its domain a host elsewhere.
fn dns(question: &Question) -> Answer {
    let Question::LookUp { kind, name } = question else {
        return Answer::No;
    };
    let found: &[&str] = match (kind, name.as_str()) {
        (LookUp::Pointers, "192.0.2.7") => &["mx.example.org", "liar.example.net"],
        (LookUp::Names, "192.0.2.7") => &["mx.example.org"],
        (LookUp::Addresses, "mx.example.org") => &["198.51.100.1", "192.0.2.7"],
        (LookUp::MailHosts, "example.org") => &["in.example.org"],
        (LookUp::MailAddresses, "example.org") => &["198.51.100.9"],
        (_, "broken.example") => return Answer::No,
        _ => &[],
    };
    Answer::Texts(found.iter().map(|it| (*it).to_owned()).collect())
}

#[test]
fn lookup_tells_what_dns_says_of_the_peer() {
    let mut world = world(Event::Mail, dns);
    let is = |world: &World, test: &str| holds(world, "vnd.mailcore.lookup", test);
    for (test, wanted) in [
        ("lookup \"ptr\" \"resolves\"", true),
        ("lookup \"ptr\" \"resolvestoclient\"", true),
        ("lookup \"ptr\" :matches \"*.example.org\"", true),
        ("lookup :matches \"ptr\" \"*.example.net\"", false),
        ("lookup \"helo\" \"resolves\"", true),
        ("lookup \"helo\" \"resolvestoclient\"", true),
        ("lookup \"helo\" :is \"mx.example.org\"", true),
        ("lookup \"mail\" \"resolves\"", true),
        ("lookup \"mail\" \"resolvestoclient\"", false),
        ("lookup \"mail\" \"error\"", false),
    ] {
        assert_eq!(is(&world, test), wanted, "{test}");
    }
    world.environment.session.helo = Some("[192.0.2.7]".into());
    assert!(is(&world, "lookup \"helo\" \"resolvestoclient\""));
    world.environment.envelope.from = Some("a@broken.example".into());
    assert!(!is(&world, "lookup \"mail\" \"resolves\""));
    assert!(is(&world, "lookup \"mail\" \"error\""));
    // Notices have no sender whose domain could be missing.
    world.environment.envelope.from = Some(String::new());
    assert!(is(&world, "lookup \"mail\" \"resolves\""));
    let early = self::world(Event::Connect, dns);
    let script = "require \"vnd.mailcore.lookup\"; if lookup \"helo\" \"resolves\" { stop; }";
    let said = says(&early, script);
    assert!(said.contains("not known at `connect` yet"), "{said}");
}

#[test]
fn greylist_ends_the_script_of_those_who_must_come_again() {
    let script = "require [\"vnd.mailcore.greylist\", \"vnd.mailcore.session\"];
        greylist; accept;";
    let said = says(&world(Event::Rcpt, |_| Answer::Yes), script);
    assert!(said.contains("Defer") && !said.contains("Accept"), "{said}");
    assert_eq!(
        says(&world(Event::Rcpt, |_| Answer::No), script),
        "[Accept]"
    );
}

#[test]
fn decisions_end_their_script() {
    let world = world(Event::Helo, |_| Answer::No);
    for (action, wanted) in [
        ("accept;", "Accept"),
        ("error \"no\";", "kind: Ereject"),
        ("defer \"later\";", "kind: Defer"),
        ("disconnect \"bye\";", "Disconnect"),
    ] {
        let script = format!("require \"vnd.mailcore.session\"; {action} accept;");
        let outcome = world
            .finish(&script, "")
            .unwrap_or_else(|words| panic!("{words}"));
        let [action] = outcome.actions.as_slice() else {
            panic!("{script}: {outcome:?}");
        };
        assert!(
            format!("{action:?}").contains(wanted),
            "{script}: {action:?}"
        );
        assert!(!outcome.implicit_keep);
    }
    let early = "require \"vnd.mailcore.session\"; quarantine \"odd\";";
    assert!(says(&world, early).contains("no message yet"));
    let data = self::world(Event::Data, |_| Answer::No);
    let outcome = data.finish(early, "Subject: x\n\n").unwrap_or_default();
    assert!(
        matches!(outcome.actions.as_slice(), [Action::Quarantine { reason }] if reason == "odd")
    );
}

#[test]
fn words_of_sessions_are_not_there_at_delivery_and_those_of_delivery_not_in_sessions() {
    for name in [
        "vnd.mailcore.ip",
        "vnd.mailcore.lookup",
        "vnd.mailcore.greylist",
        "vnd.mailcore.session",
    ] {
        let lines = World::new().run(&format!("require \"{name}\";"), "");
        assert!(lines.concat().contains("error"), "{name}");
    }
    let world = world(Event::Rcpt, |_| Answer::No);
    for name in [
        "vacation",
        "enotify",
        "duplicate",
        "fileinto",
        "snooze",
        "mailbox",
    ] {
        assert!(
            says(&world, &format!("require \"{name}\";")).contains("error"),
            "{name}"
        );
    }
    assert!(says(&world, "if header \"a\" \"b\" { stop; }").contains("can't be used at `rcpt`"));
}
