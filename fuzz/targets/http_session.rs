#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_web::session::{Answer, Question, Session, SessionConfig, Transport};
use mailcore_web::{Request, Response, Status};

/// Octets of content that a session takes.
const MAX_BODY: usize = 1024;

/// What a session says to `input` that comes in such pieces.
fn talk(input: &[u8], piece: usize) -> (Vec<u8>, usize) {
    let mut config = SessionConfig::default();
    config.max_head = 2048;
    config.max_body = MAX_BODY;
    let mut session = Session::new(config, Transport::Plain);
    let mut rest = input;
    let (mut said, mut requests) = (Vec::new(), 0);
    loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(Question(request)) => {
                requests += usize::from(request.is_ok());
                session.answer(Answer {
                    response: match &request {
                        Ok(request) => echo(request),
                        Err(status) => Response::of(*status),
                    },
                    date: "now".to_owned(),
                });
            }
            Step::Read { .. } => {
                // What there is no room for, a driver does not read.
                let count = piece.min(session.input().room()).min(rest.len());
                if count == 0 {
                    return (said, requests);
                }
                let (now, later) = rest.split_at(count);
                session.receive(now);
                rest = later;
            }
            _ => return (said, requests),
        }
    }
}

fn echo(request: &Request) -> Response {
    assert!(request.path.starts_with('/') && !request.path.contains("/../"));
    assert!(request.body.len() <= MAX_BODY, "too much content was taken");
    assert!(!request.host.contains(['/', '@', ' ', ',']));
    for (name, value) in &request.fields {
        assert!(!name.is_empty() && name.bytes().all(|it| it > b' ' && it != b':'));
        assert!(!value.iter().any(|it| matches!(it, b'\r' | b'\n' | 0)));
    }
    Response::text(Status::OK, format!("{:?} {:?}", request.path, request.body))
}

fuzz_target!(|octets: &[u8]| {
    let (said, requests) = talk(octets, 1);
    let heads = said.windows(9).filter(|it| it == b"HTTP/1.1 ").count();
    // Each has its answer, and leave to send more before that.
    assert!(
        heads <= 2 * requests + 2 + said.len() / 64,
        "answers to nothing"
    );
    for piece in [3, 64] {
        assert_eq!(talk(octets, piece).0, said, "in pieces of {piece}");
    }
});
