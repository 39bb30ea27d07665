#![no_main]
use libfuzzer_sys::fuzz_target;
use mailcore::address::{Address, Domain};
use mailcore::message::parse_addresses;

fuzz_target!(|octets: &[u8]| {
    let _ = parse_addresses(octets, 100);
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let _ = Domain::parse(text);
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.to_string()).ok(), Some(address));
    }
});
