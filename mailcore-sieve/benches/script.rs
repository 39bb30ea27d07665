//! How many runs of a script a second, and how much a compiled script holds.
//!
//! `cargo bench -p mailcore-sieve` prints both for `script.sieve`, 200 lines, and
//! `message.eml`, 10 kB. A run begins with a parsed message and nothing else: its
//! header is split, decoded and searched anew each time.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mailcore_sieve::engine::{
    Compiler, Environment, Event, Limits, Mail, Outcome, PlainMail, Program, Run, Step,
};

const SCRIPT: &[u8] = include_bytes!("script.sieve");
const MESSAGE: &[u8] = include_bytes!("message.eml");

fn main() {
    let compiler = Compiler::new();
    let script = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let script = match &script {
        Some(path) => std::fs::read(path).unwrap_or_else(|error| fail(&error)),
        None => SCRIPT.to_vec(),
    };
    let program = compiler
        .compile("script", &script)
        .unwrap_or_else(|error| fail(&error));
    println!(
        "{} octets for {} of text",
        program.memory_size(),
        script.len()
    );
    let program = Arc::new(program);
    let mail = PlainMail::new(MESSAGE);
    let mut environment = Environment::new(Event::Delivery);
    environment.envelope.from = Some("sender@mail.example.com".into());
    environment.envelope.to = Some("user@example.com".into());
    let limits = Limits::default();
    println!("{:?}", run(&program, &mail, &environment, &limits).actions);
    for _ in 0..5 {
        let begun = spent();
        let runs = 20_000_u32;
        for _ in 0..runs {
            black_box(run(&program, &mail, &environment, &limits));
        }
        let each = (spent() - begun) / runs;
        println!("{each:?} a run, {:.0} runs/s", 1.0 / each.as_secs_f64());
    }
    let begun = spent();
    for _ in 0..1000 {
        black_box(compiler.compile("script", &script).is_ok());
    }
    println!("{:?} to compile it", (spent() - begun) / 1000);
}

/// Time of the processor that this thread has had, as others may use it as well; of
/// the clock where the system doesn't say.
fn spent() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let clock = BEGUN.elapsed();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or(clock, Duration::from_nanos)
}

fn run(
    program: &Arc<Program>,
    mail: &dyn Mail,
    environment: &Environment,
    limits: &Limits,
) -> Outcome {
    let mut run = Run::new(Arc::clone(program), mail, environment, limits);
    match run.step(None) {
        Ok(Step::Done(outcome)) => outcome,
        other => fail(&format!("{other:?}")),
    }
}

fn fail(words: &dyn std::fmt::Display) -> ! {
    eprintln!("error: {words}");
    std::process::exit(1);
}
