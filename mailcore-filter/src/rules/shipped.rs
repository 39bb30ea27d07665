//! The rules that come with the crate. Each file says why its rules score what
//! they score.

/// Includes them all.
pub(super) const INDEX: &str = include_str!("shipped/index.rules");

/// The file of this name.
pub(super) fn file(name: &str) -> Option<&'static str> {
    Some(match name {
        "shipped/header.rules" => include_str!("shipped/header.rules"),
        "shipped/links.rules" => include_str!("shipped/links.rules"),
        "shipped/words.rules" => include_str!("shipped/words.rules"),
        "shipped/structure.rules" => include_str!("shipped/structure.rules"),
        "shipped/session.rules" => include_str!("shipped/session.rules"),
        _ => return None,
    })
}
