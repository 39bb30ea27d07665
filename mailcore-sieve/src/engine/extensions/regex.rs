//! `regex` (draft-ietf-sieve-regex-01): `:regex`, which every test with a match takes;
//! `matching.rs` reads it.

use super::Extension;
use crate::engine::Event;

pub(super) static REGEX: Extension = Extension::new("regex").at(&Event::ALL);
