//! The session alone: limits, time-outs, keep-alive, and any octets.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::time::Duration;

use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_web::session::{Answer, Question, Session, SessionConfig, Transport};
use mailcore_web::{Response, Status};
use proptest::prelude::*;

/// What came of some octets.
#[derive(Debug, PartialEq)]
struct Said {
    text: String,
    closed: bool,
}

/// Echoes each request; `wait` passes when the input is used up.
fn say(input: &[&[u8]], config: SessionConfig, wait: Duration) -> Said {
    let mut session = Session::new(config, Transport::Plain);
    let (mut pieces, mut said, mut now) = (input.iter(), Vec::new(), Monotonic::default());
    let mut waited = false;
    loop {
        match session.step(now) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(Question(request)) => session.answer(Answer {
                response: match request {
                    Err(status) => Response::of(status),
                    Ok(request) => {
                        let body = String::from_utf8_lossy(&request.body).into_owned();
                        Response::text(Status::OK, format!("{}:{body}", request.path))
                    }
                },
                date: "now".to_owned(),
            }),
            Step::Read { .. } => match pieces.next() {
                Some(octets) => session.receive(octets),
                None if waited || wait.is_zero() => {
                    return Said {
                        text: text(&said),
                        closed: false,
                    };
                }
                None => {
                    waited = true;
                    now = now.after(wait);
                }
            },
            _ => {
                return Said {
                    text: text(&said),
                    closed: true,
                };
            }
        }
    }
}

fn text(said: &[u8]) -> String {
    String::from_utf8(said.to_vec()).unwrap()
}

fn whole(input: &str) -> Said {
    say(
        &[input.as_bytes()],
        SessionConfig::default(),
        Duration::ZERO,
    )
}

fn starts(said: &Said, status: &str) -> bool {
    said.text.starts_with(&format!("HTTP/1.1 {status} "))
}

#[test]
fn requests_follow_one_another_on_one_connection_until_one_says_close() {
    let said = whole(
        "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n\
         POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
         POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;e=1\r\nde\r\n1\r\nf\r\n0\r\nT: x\r\n\r\n\
         HEAD /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n",
    );
    assert!(said.closed);
    for part in ["/a:", "/b:abc", "/c:def", "Connection: close"] {
        assert!(said.text.contains(part), "{part} in {}", said.text);
    }
    assert!(!said.text.contains("/d:") && said.text.contains("Content-Length: 3"));
    assert_eq!(said.text.matches("HTTP/1.1 200 OK").count(), 4);
}

#[test]
fn security_fields_go_with_every_response() {
    let said = whole("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for field in [
        "X-Content-Type-Options: nosniff",
        "default-src 'none'",
        "Date: now",
    ] {
        assert!(said.text.contains(field), "{}", said.text);
    }
    assert!(
        !said.text.contains("Strict-Transport-Security"),
        "only within TLS"
    );
}

#[test]
fn what_is_too_large_is_refused_by_name() {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let said = whole(&head[..16_384]);
    assert!(starts(&said, "431") && said.closed, "{}", said.text);
    let fields = "A: b\r\n".repeat(101);
    assert!(starts(
        &whole(&format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")),
        "431"
    ));
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    let said = whole(&format!(
        "{post}Expect: 100-continue\r\nContent-Length: 32769\r\n\r\n"
    ));
    assert!(
        starts(&said, "413") && said.closed,
        "no leave is given first: {}",
        said.text
    );
    let said = whole(&format!("{post}Transfer-Encoding: chunked\r\n\r\n8001\r\n"));
    assert!(starts(&said, "413"), "{}", said.text);
    let said = whole(&format!(
        "{post}Content-Length: 99999999999999999999999\r\n\r\n"
    ));
    assert!(starts(&said, "413"), "{}", said.text);
}

#[test]
fn a_request_that_could_be_read_in_two_ways_ends_the_connection() {
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    for rest in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\x0c\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1 x\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nGET /x HTTP/1.1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\rc\r\n\r\n",
    ] {
        let said = whole(&format!("{post}{rest}"));
        assert!(
            starts(&said, "400") && said.closed,
            "{rest:?}: {}",
            said.text
        );
        assert_eq!(said.text.matches("HTTP/1.1").count(), 1);
    }
}

#[test]
fn empty_lines_buy_no_time() {
    let mut session = Session::new(SessionConfig::default(), Transport::Plain);
    let mut now = Monotonic::default();
    for octet in [b"\r", b"\n"].iter().cycle().take(10) {
        assert!(matches!(
            session.step(now),
            Step::Read { .. } | Step::Close | Step::Ask(_)
        ));
        session.receive(*octet);
        now = now.after(Duration::from_secs(20));
    }
    assert!(
        !matches!(session.step(now), Step::Read { .. }),
        "it is still waited for"
    );
}

#[test]
fn a_head_is_asked_for_by_a_head_even_where_it_is_refused() {
    let said = whole("HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n");
    assert!(starts(&said, "413") && said.closed);
    assert!(
        said.text.ends_with("\r\n\r\n"),
        "no content follows: {}",
        said.text
    );
}

#[test]
fn another_protocol_is_told_at_once() {
    for octets in [&b"\x16\x03\x01\x02"[..], b"\0", b" GET", b"\r\n\x80"] {
        let said = say(&[octets], SessionConfig::default(), Duration::ZERO);
        assert!(
            starts(&said, "400") && said.closed,
            "{octets:?}: {}",
            said.text
        );
    }
}

#[test]
fn leave_is_given_to_who_waits_for_it() {
    let said =
        whole("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(said.text, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn who_is_slow_is_told_and_who_says_nothing_is_not() {
    let minute = Duration::from_secs(60);
    let said = say(&[b"GET / HT"], SessionConfig::default(), minute);
    assert!(starts(&said, "408") && said.closed);
    let said = say(&[], SessionConfig::default(), minute);
    assert!(said.text.is_empty() && said.closed);
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces_say_the_same(
        lines in proptest::collection::vec(
            "(GET|POST) /[a-z./%]{0,4} HTTP/1.[012]|Host: [a-z:]{0,3}|Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|Connection: (close|keep-alive)|[ -~]{0,9}|",
            0..12,
        ),
        cut in 1usize..20,
    ) {
        let input = lines.join("\r\n");
        let pieces: Vec<&[u8]> = input.as_bytes().chunks(cut).collect();
        let config = SessionConfig::default;
        let at_once = say(&[input.as_bytes()], config(), Duration::ZERO);
        prop_assert_eq!(say(&pieces, config(), Duration::ZERO), at_once);
    }
}
