#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_smtp::command::Command;

fuzz_target!(|line: &[u8]| {
    let _ = Command::parse(line);
});
