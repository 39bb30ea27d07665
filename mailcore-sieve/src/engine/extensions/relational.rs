//! `relational` (RFC 5231): `:value` and `:count`, which every test with a match
//! takes; `matching.rs` reads them.

use super::Extension;
use crate::engine::Event;

pub(super) static RELATIONAL: Extension = Extension::new("relational").at(&Event::ALL);
