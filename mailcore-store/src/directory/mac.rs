//! What signs addresses that stand for others.

/// Authenticates `octets` with a key, by keyed BLAKE3: the
/// [`SrsMac`](mailcore::route::srs::SrsMac) of servers with one of these
/// directories.
pub fn mac(key: &[u8; blake3::KEY_LEN], octets: &[u8]) -> [u8; blake3::OUT_LEN] {
    *blake3::keyed_hash(key, octets).as_bytes()
}
