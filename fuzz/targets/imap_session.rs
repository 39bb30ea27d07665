#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_fuzz::Talk;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\ntext\r\n";

fuzz_target!(|octets: &[u8]| {
    Talk::new(MESSAGE).send(octets);
    let mut talk = Talk::new(MESSAGE);
    if talk.send(b"a LOGIN a b\r\na SELECT INBOX\r\n") {
        octets.chunks(7).all(|piece| talk.send(piece));
    }
});
