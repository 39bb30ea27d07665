use super::*;
use crate::abuse::{Consequence, Rate};
use crate::account::AccountId;

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_origin(Duration::from_secs(10_000 + seconds))
}

fn rule(counted: Counted, keyed: Keyed, most: u64) -> Rule {
    let rate = Rate::new(most, Duration::from_secs(3_600));
    Rule::new((counted, keyed), rate, Consequence::Defer).unwrap()
}

fn identity(name: &str) -> Identity {
    Identity {
        account: AccountId::new(name),
        login: name.into(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_flood_of_addresses_does_not_stop_accounts_from_being_counted() {
    let rules = vec![
        rule(Counted::Messages, Keyed::Address, 1),
        rule(Counted::Messages, Keyed::Account, 3),
    ];
    let mut counts = Counts::new(rules, 100);
    for number in 0..1_000u32 {
        let peer = std::net::Ipv4Addr::from_bits(number).into();
        counts.add(
            Counted::Messages,
            &Sender::new(Some(peer), "smtp"),
            1,
            at(0),
        );
    }
    let ann = identity("ann@a.test");
    let sender = Sender::new(None, "submission").logged_in(Some(&ann));
    for _ in 0..3 {
        assert!(counts.over(Counted::Messages, &sender, 1, at(0)).is_none());
        counts.add(Counted::Messages, &sender, 1, at(0));
    }
    let over = counts.over(Counted::Messages, &sender, 1, at(0)).unwrap();
    assert_eq!((over.count, over.rule.keyed), (4, Keyed::Account));
}

#[test]
fn more_recipients_than_may_ever_be_do_not_pass_as_the_first() {
    let rules = vec![
        rule(Counted::Recipients, Keyed::Account, 8),
        rule(Counted::Octets, Keyed::Account, 8),
    ];
    let mut counts = Counts::new(rules, 100);
    let ann = identity("ann@a.test");
    let sender = Sender::new(None, "submission").logged_in(Some(&ann));
    let mut over = |counted, amount| counts.over(counted, &sender, amount, at(0));
    assert!(over(Counted::Recipients, 8).is_none());
    let never = over(Counted::Recipients, 9).unwrap();
    assert_eq!(never.opens, None);
    assert!(
        over(Counted::Octets, 9).is_none(),
        "no other way to send it"
    );
}

#[test]
fn a_count_that_was_written_down_is_taken_up_by_every_rule_it_is_of() {
    let rules = vec![
        rule(Counted::Messages, Keyed::Account, 10),
        rule(Counted::Messages, Keyed::Account, 50),
    ];
    let mut counts = Counts::new(rules, 100);
    counts.restore("messages/account/3600/ann@a.test", 50, at(0));
    let ann = identity("ann@a.test");
    let sender = Sender::new(None, "submission").logged_in(Some(&ann));
    let added = counts.add(Counted::Messages, &sender, 1, at(0));
    let levels: Vec<u64> = added.noted.iter().map(|noted| noted.level).collect();
    assert_eq!(levels, [51, 51]);
}

#[test]
fn other_rules_go_on_with_what_was_counted_of_the_same() {
    let by = |most| {
        vec![
            rule(Counted::Commands, Keyed::Address, 9),
            rule(Counted::Messages, Keyed::Account, most),
        ]
    };
    let mut counts = Counts::new(by(3), 100);
    let ann = identity("ann@a.test");
    let sender = Sender::new(Some(ip("192.0.2.1")), "smtp").logged_in(Some(&ann));
    counts.add(Counted::Messages, &sender, 3, at(0));
    counts.replace(by(5), 100);
    assert!(counts.over(Counted::Messages, &sender, 2, at(0)).is_none());
    assert!(counts.over(Counted::Messages, &sender, 3, at(0)).is_some());
    counts.replace(Vec::new(), 100);
    assert!(counts.over(Counted::Messages, &sender, 9, at(0)).is_none());
}

#[test]
fn a_name_that_is_tried_is_one_however_it_is_written() {
    let mut counts = Counts::new(vec![rule(Counted::LoginFailures, Keyed::Account, 3)], 100);
    for (number, login) in ["Ann@A.test", " ann+1@a.test", "ANN+x+y@a.TEST"]
        .into_iter()
        .enumerate()
    {
        let peer = ip(&format!("192.0.{number}.1"));
        let sender = Sender::new(Some(peer), "imap").trying(login);
        assert!(!counts.is_reached(Counted::LoginFailures, &sender, at(0)));
        counts.add(Counted::LoginFailures, &sender, 1, at(0));
    }
    let sender = Sender::new(None, "pop3").trying("ann@a.test");
    assert!(counts.is_reached(Counted::LoginFailures, &sender, at(0)));
    let token = Sender::new(None, "pop3").trying("");
    assert!(!counts.is_reached(Counted::LoginFailures, &token, at(0)));
}
