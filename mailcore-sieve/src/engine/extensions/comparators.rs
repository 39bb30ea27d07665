//! Comparators as extensions (RFC 5228 section 2.7.3, RFC 4790, RFC 5051). The
//! first two are always there, and may be required all the same.

use super::Extension;
use crate::engine::Event;

pub(super) static OCTET: Extension = Extension::new("comparator-i;octet").at(&Event::ALL);

pub(super) static ASCII_CASEMAP: Extension =
    Extension::new("comparator-i;ascii-casemap").at(&Event::ALL);

pub(super) static ASCII_NUMERIC: Extension =
    Extension::new("comparator-i;ascii-numeric").at(&Event::ALL);

pub(super) static UNICODE_CASEMAP: Extension =
    Extension::new("comparator-i;unicode-casemap").at(&Event::ALL);
