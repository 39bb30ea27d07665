//! `[filter.sender]`: what DNS is asked of a client and of a sender's domain.

use crate::config::file::Section;

/// Which of the questions are asked.
#[derive(Debug, Clone)]
pub(crate) struct SenderConfig {
    /// Whether the client's names lead back to it.
    pub(crate) iprev: bool,
    /// Whether the name in HELO is the client's.
    pub(crate) helo: bool,
    /// Whether mail to the sender would reach a host.
    pub(crate) mx_check: bool,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            iprev: true,
            helo: true,
            mx_check: true,
        }
    }
}

/// Reads the table.
pub(super) fn sender(filter: &Section<'_, '_>, config: &mut SenderConfig) {
    let section = filter.section("sender", "[filter.sender]");
    for (key, on) in [
        ("iprev", &mut config.iprev),
        ("helo", &mut config.helo),
        ("mx_check", &mut config.mx_check),
    ] {
        *on = section.flag(key).unwrap_or(*on);
    }
    section.finish();
}
