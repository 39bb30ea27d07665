#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_smtp::reply::ReplyParser;

fuzz_target!(|octets: &[u8]| {
    let mut parser = ReplyParser::with_limits(512, 20);
    for mut piece in octets.chunks(9) {
        while !piece.is_empty() {
            match parser.receive(&mut piece) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
