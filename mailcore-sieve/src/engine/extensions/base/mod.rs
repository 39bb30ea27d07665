//! The language without extensions (RFC 5228 sections 3 to 5).

mod actions;
mod control;
mod header;

use super::Extension;
use crate::engine::Event;

/// What needs no message.
pub(super) static CONTROL: Extension = Extension::new("")
    .commands(&[("require", control::require), ("stop", control::stop)])
    .tests(&[
        ("allof", control::allof),
        ("anyof", control::anyof),
        ("not", control::not),
        ("true", control::constant),
        ("false", control::constant),
    ])
    .at(&Event::ALL);

/// What looks at a message and says where it goes.
pub(super) static MESSAGE: Extension = Extension::new("")
    .commands(&[
        ("keep", actions::keep),
        ("discard", actions::discard),
        ("redirect", actions::redirect),
    ])
    .tests(&[
        ("address", header::address),
        ("exists", header::exists),
        ("header", header::header),
        ("size", header::size),
    ]);
