#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_sieve::engine::ast::{Command, Script, Test};
use mailcore_sieve::engine::{Compiler, Event, Limits, Position, parse_with_comments};

/// The first octet chooses the event; the rest is a script. What is read is printed,
/// and read back to the same.
fuzz_target!(|octets: &[u8]| {
    let Some((first, text)) = octets.split_first() else {
        return;
    };
    let event = Event::ALL[usize::from(*first) % Event::ALL.len()];
    let compiler = Compiler::new().event(event);
    if let Ok(program) = compiler.compile("script", text) {
        assert!(program.memory_size() < 1 << 24);
    }
    let limits = Limits::default();
    let Ok(mut script) = parse_with_comments(text, &limits) else {
        return;
    };
    let printed = script.to_string();
    let mut again = parse_with_comments(printed.as_bytes(), &limits).expect("what was printed is a script");
    forget(&mut script);
    forget(&mut again);
    assert_eq!(script, again);
});

/// Takes places away, which printing changes, and comments, which it moves.
fn forget(script: &mut Script) {
    commands(&mut script.commands);
}

const NOWHERE: Position = Position { line: 0, column: 0 };

fn commands(list: &mut [Command]) {
    for command in list {
        command.at = NOWHERE;
        command.comments.clear();
        for argument in &mut command.arguments {
            argument.at = NOWHERE;
        }
        tests(&mut command.tests);
        if let Some(block) = &mut command.block {
            commands(block);
        }
    }
}

fn tests(list: &mut [Test]) {
    for test in list {
        test.at = NOWHERE;
        for argument in &mut test.arguments {
            argument.at = NOWHERE;
        }
        tests(&mut test.tests);
    }
}
