#![no_main]
use libfuzzer_sys::fuzz_target;

// No host needs the parser, so it is no part of the crate's interface.
#[allow(dead_code)]
#[path = "../../mailcore/src/net/proxy_protocol.rs"]
mod proxy_protocol;

use proxy_protocol::{Parsed, ProxyHeader};

/// The longest header there is, and the client's octets after it.
const MAX_HEADER: usize = 16 + 4 * 1024;

fuzz_target!(|octets: &[u8]| {
    let mut taken = 0;
    while let Ok(Parsed::Need(more)) = ProxyHeader::parse(&octets[..taken]) {
        assert!(more > 0, "it waits for nothing");
        taken += more;
        assert!(taken <= MAX_HEADER, "it never ends");
        if taken > octets.len() {
            return;
        }
    }
    let whole = ProxyHeader::parse(&octets[..taken]);
    for end in 0..taken {
        assert!(
            !matches!(ProxyHeader::parse(&octets[..end]), Ok(Parsed::Done(_))) || whole.is_err(),
            "it took an octet of the client's"
        );
    }
});
