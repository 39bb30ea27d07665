#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore::wire::Input;
use mailcore_smtp::data::{DataReceiver, DataStep, DotStuffer};

/// The message that `octets` bring, cut into pieces of this size.
fn received(octets: &[u8], size: usize) -> String {
    let mut receiver = DataReceiver::with_limit(1_000);
    let mut input = Input::with_limit(usize::MAX);
    let mut message = Vec::new();
    for piece in octets.chunks(size) {
        input.extend(piece);
        loop {
            match receiver.next(&mut input, 64) {
                DataStep::NeedInput => break,
                DataStep::Chunk(chunk) => message.extend_from_slice(&chunk),
                // Content that is refused goes nowhere.
                DataStep::End(Err(fault)) => return format!("{fault:?}"),
                DataStep::End(Ok(size)) => return format!("{message:?} {size}"),
            }
        }
    }
    String::from("incomplete")
}

fuzz_target!(|octets: &[u8]| {
    assert_eq!(received(octets, 1), received(octets, usize::MAX));
    let mut stuffed = Vec::new();
    let mut stuffer = DotStuffer::default();
    if stuffer.encode(octets, &mut stuffed).is_ok() {
        let _ = stuffer.finish(&mut stuffed);
    }
});
