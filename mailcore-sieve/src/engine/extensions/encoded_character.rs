//! `encoded-character` (RFC 5228 section 2.4.2.4), which `compile/encoded.rs` undoes.

use super::Extension;
use crate::engine::Event;

pub(super) static ENCODED_CHARACTER: Extension =
    Extension::new("encoded-character").at(&Event::ALL);
