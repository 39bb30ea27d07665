#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore_imap::codec::{Cursor, decode_mailbox, encode_mailbox};
use mailcore_imap::types::MessageUrl;

fuzz_target!(|octets: &[u8]| {
    let cursor = || Cursor::new(octets);
    let _ = cursor().fetch_items();
    let _ = cursor().search_program();
    let _ = cursor().search_returns();
    let _ = cursor().sequence_set();
    let _ = cursor().message_set();
    let _ = cursor().flag_list();
    let _ = cursor().mailbox();
    if let Some(name) = decode_mailbox(octets) {
        assert_eq!(decode_mailbox(encode_mailbox(&name).as_bytes()), Some(name));
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = MessageUrl::parse(text);
    }
});
