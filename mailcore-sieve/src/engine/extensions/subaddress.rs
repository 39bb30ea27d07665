//! `subaddress` (RFC 5233): `:user` and `:detail`, which every test of addresses
//! takes; `address_part.rs` reads them.

use super::{Extension, WITH_ENVELOPE_OR_MESSAGE};

pub(super) static SUBADDRESS: Extension = Extension::new("subaddress").at(WITH_ENVELOPE_OR_MESSAGE);
