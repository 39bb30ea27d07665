use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_origin(Duration::from_secs(10_000 + seconds))
}

/// Tries wrong passwords, each another one, until it may no more.
fn guess_on(guesses: &mut Guesses, address: &str, seed: u64, now: Monotonic) -> u64 {
    let mut tried = 0;
    while guesses.begin(ip(address), Some(seed + tried), now) == Chance::Try {
        guesses.wrong(ip(address), Some(seed + tried), now);
        tried += 1;
    }
    tried
}

fn new() -> Guesses {
    Guesses::new(LoginScreening::default(), 1_000)
}

#[test]
fn an_address_may_try_ten_wrong_passwords_and_others_go_on() {
    let mut guesses = new();
    assert_eq!(guess_on(&mut guesses, "192.0.2.1", 1, at(0)), 10);
    assert_eq!(guesses.begin(ip("192.0.2.2"), Some(5), at(0)), Chance::Try);
    assert_eq!(guess_on(&mut guesses, "192.0.2.1", 90, at(1_300)), 10);
}

#[test]
fn an_ipv6_host_can_not_walk_through_its_64() {
    let mut guesses = new();
    assert_eq!(guess_on(&mut guesses, "2001:db8::1", 1, at(0)), 10);
    assert_eq!(guess_on(&mut guesses, "2001:db8::ffff:2", 90, at(0)), 0);
    assert_eq!(guess_on(&mut guesses, "2001:db8:0:1::1", 90, at(0)), 10);
}

#[test]
fn guesses_made_at_once_are_no_more_than_guesses_made_in_turn() {
    let mut guesses = new();
    let address = ip("192.0.2.1");
    let begin = |guesses: &mut Guesses, guess| guesses.begin(address, Some(guess), at(0));
    for guess in 1..=8 {
        assert_eq!(begin(&mut guesses, guess), Chance::Try);
        guesses.wrong(address, Some(guess), at(0));
    }
    assert_eq!(begin(&mut guesses, 9), Chance::Try);
    assert_eq!(begin(&mut guesses, 10), Chance::Try);
    assert_eq!(begin(&mut guesses, 11), Chance::Wait, "both may be wrong");
    guesses.wrong(address, Some(9), at(0));
    assert_eq!(begin(&mut guesses, 11), Chance::Wait);
    guesses.right(address, at(0));
    assert_eq!(begin(&mut guesses, 11), Chance::Try, "one was right");
}

#[test]
fn one_address_does_not_fill_the_queue_that_others_wait_in() {
    let mut guesses = new();
    let tried =
        (1..50).filter(|it| guesses.begin(ip("192.0.2.1"), Some(*it), at(0)) == Chance::Try);
    assert_eq!(tried.count(), 2);
    assert_eq!(guesses.begin(ip("192.0.2.2"), Some(1), at(0)), Chance::Try);
}

#[test]
fn an_old_password_tried_for_ever_is_slowed_down_and_bans_nobody() {
    let mut guesses = new();
    let mut checked = 0;
    for minute in 0..600 {
        for _ in 0..10 {
            if guesses.begin(ip("192.0.2.1"), Some(7), at(minute * 60)) == Chance::Try {
                let wrong = guesses.wrong(ip("192.0.2.1"), Some(7), at(minute * 60));
                assert!(!wrong.last);
                checked += 1;
            }
        }
        assert_eq!(
            guesses.begin(ip("192.0.2.1"), Some(8), at(minute * 60)),
            Chance::Try,
            "somebody else behind the same address"
        );
        guesses.right(ip("192.0.2.1"), at(minute * 60));
    }
    assert!((1..=6 * 600).contains(&checked), "{checked}");
}

#[test]
fn challenges_that_nobody_answers_are_no_way_to_guess_more() {
    let mut guesses = new();
    let address = ip("192.0.2.1");
    let challenge = |guesses: &mut Guesses, seconds| {
        let chance = guesses.begin(address, None, at(seconds));
        if chance == Chance::Try {
            guesses.challenged(address, at(seconds));
        }
        chance
    };
    while challenge(&mut guesses, 0) == Chance::Try {}
    assert_eq!(challenge(&mut guesses, 0), Chance::Wait);
    for _ in 0..9 {
        guesses.answered(address, at(1));
        assert!(!guesses.wrong(address, None, at(1)).last);
    }
    assert_eq!(
        challenge(&mut guesses, 1),
        Chance::Wait,
        "the tenth may be wrong"
    );
    guesses.answered(address, at(1));
    guesses.right(address, at(1));
    assert_eq!(challenge(&mut guesses, 1), Chance::Try);
    assert_eq!(
        challenge(&mut guesses, 100),
        Chance::Try,
        "those given up are forgotten"
    );
}

#[test]
fn a_login_that_was_right_earns_half_as_many_tries_more() {
    let mut guesses = new();
    assert_eq!(guesses.begin(ip("192.0.2.1"), Some(1), at(0)), Chance::Try);
    guesses.right(ip("192.0.2.1"), at(0));
    assert_eq!(guess_on(&mut guesses, "192.0.2.1", 10, at(1)), 15);
}

#[test]
fn a_network_that_guesses_is_answered_later_and_later_and_put_off_in_the_end() {
    let mut guesses = new();
    let (mut tried, mut last) = (0, Duration::ZERO);
    for host in 0..30 {
        let address = ip(&format!("192.0.2.{host}"));
        for _ in 0..9 {
            if guesses.begin(address, Some(tried + 1), at(0)) == Chance::Try {
                let wrong = guesses.wrong(address, Some(tried + 1), at(0));
                assert!(wrong.delay >= last);
                last = wrong.delay;
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 100);
    assert_eq!(last, Duration::from_secs(5));
    assert_eq!(guesses.begin(ip("192.0.3.1"), Some(1), at(0)), Chance::Try);
}

#[test]
fn a_flood_of_addresses_buys_no_offender_a_new_try() {
    let mut guesses = Guesses::new(LoginScreening::default(), 100);
    assert_eq!(guess_on(&mut guesses, "192.0.2.1", 1, at(0)), 10);
    for host in 0..10_000u32 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host * 256));
        if guesses.begin(address, Some(3), at(1)) == Chance::Try {
            guesses.wrong(address, Some(3), at(1));
        }
    }
    assert_eq!(guess_on(&mut guesses, "192.0.2.1", 50, at(2)), 0);
}

#[test]
fn checks_begun_without_a_record_are_settled_when_there_is_one_by_then() {
    let mut guesses = Guesses::new(LoginScreening::default(), 1);
    for round in 0..5 {
        let now = at(round * 10_000);
        // One offender takes the only place, so that others are counted together.
        for guess in 1..=9 {
            let chance = guesses.begin(ip("192.0.2.1"), Some(guess), now);
            assert_eq!(chance, Chance::Try, "round {round}");
            guesses.wrong(ip("192.0.2.1"), Some(guess), now);
        }
        let other = ip("198.51.100.1");
        assert_eq!(guesses.begin(other, Some(1), now), Chance::Try);
        // Meanwhile the offender's time is over.
        guesses.right(other, at(round * 10_000 + 5_000));
    }
    assert_eq!(guesses.crowd.checking, 0);
}
