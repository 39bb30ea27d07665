#![no_main]
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mailcore_sieve::engine::{
    Answer, Compiler, Environment, Event, Limits, PlainMail, Question, Run, Step,
};

/// A script, a zero, and a message; the host says yes to every second question.
fuzz_target!(|octets: &[u8]| {
    let mut halves = octets.splitn(2, |octet| *octet == 0);
    let (Some(script), Some(message)) = (halves.next(), halves.next()) else {
        return;
    };
    let Ok(program) = Compiler::new().compile("script", script) else {
        return;
    };
    let program = Arc::new(program);
    let mail = PlainMail::new(message.to_vec());
    let mut environment = Environment::new(Event::Delivery);
    environment.envelope.from = Some("from@example.org".into());
    environment.envelope.to = Some("user+detail@example.com".into());
    environment.addresses = vec!["user@example.com".into()];
    let mut limits = Limits::default();
    limits.steps = 20_000;
    let mut run = Run::new(Arc::clone(&program), &mail, &environment, &limits);
    let mut answer = None;
    for asked in 0..100_000_u32 {
        match run.step(answer.take()) {
            Ok(Step::Ask(question)) => answer = Some(answered(&question, asked, &program)),
            Ok(Step::Done(outcome)) => {
                assert!(outcome.actions.len() <= limits.actions + 1);
                return;
            }
            Err(_) => return,
        }
    }
    panic!("the run asks without end");
});

fn answered(question: &Question, asked: u32, program: &Arc<mailcore_sieve::engine::Program>) -> Answer {
    let yes = asked % 2 == 0;
    match question {
        Question::Include { .. } if yes => Answer::Program(Arc::clone(program)),
        Question::Annotation { .. } => Answer::Text(yes.then(|| "value".into())),
        Question::LookUp { .. } => Answer::Texts(vec!["mx.example.org".into()]),
        _ if yes => Answer::Yes,
        _ => Answer::No,
    }
}
