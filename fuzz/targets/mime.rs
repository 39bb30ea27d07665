#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_fuzz::Talk;

fuzz_target!(|message: &[u8]| {
    let mut talk = Talk::new(message);
    talk.send(
        b"a LOGIN a b\r\na SELECT INBOX\r\n\
          a FETCH 1 (ENVELOPE BODYSTRUCTURE BODY BODY[1] BODY[1.1.MIME] BODY[2.HEADER] BODY[TEXT])\r\n\
          a FETCH 1 (BODY[HEADER.FIELDS (Subject)] BODY[HEADER.FIELDS.NOT (To)]<1.9> BINARY[1] BINARY.SIZE[1])\r\n\
          a SEARCH OR SUBJECT x OR BODY y TEXT z\r\n",
    );
});
