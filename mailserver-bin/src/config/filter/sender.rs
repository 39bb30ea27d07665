//! `[filter.sender]`: what DNS is asked of a client and of a sender's domain.

use mailcore::address::Domain;

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
    /// Whether the client may send for who sent the message last.
    pub(crate) sender_id: bool,
    /// Who is believed when he vouches for a domain.
    pub(crate) vouchers: Vec<Domain>,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            iprev: true,
            helo: true,
            mx_check: true,
            sender_id: false,
            vouchers: Vec::new(),
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
        ("sender_id", &mut config.sender_id),
    ] {
        *on = section.flag(key).unwrap_or(*on);
    }
    for voucher in section.strings("vouchers").unwrap_or_default() {
        match Domain::parse(voucher.value) {
            Ok(name) => config.vouchers.push(name),
            Err(error) => section.problem(voucher.line, format!("vouchers: {error}")),
        }
    }
    section.finish();
}
