#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore::wire::Input;
use mailcore_imap::codec::framer::{Fault, Frame, FrameLimits, Framer};

fuzz_target!(|octets: &[u8]| {
    let limits = FrameLimits { line: 64, command: 200, literals: 3 };
    let mut framer = Framer::new(limits);
    let mut input = Input::with_limit(usize::MAX);
    for piece in octets.chunks(5) {
        input.extend(piece);
        loop {
            match framer.next(&mut input) {
                Frame::Incomplete => break,
                Frame::Literal { length, .. } if framer.fits(length) => framer.collect(),
                Frame::Literal { .. } | Frame::Fault(Fault::LineTooLong { .. }) => return,
                Frame::Command(command) => assert!(command.len() <= 200 + 64 + 2),
                Frame::Fault(_) => {}
            }
        }
    }
});
