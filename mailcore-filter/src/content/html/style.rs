//! Text that is there and not seen: what a `style` attribute and colours say of it
//! ([`Look`]).
//!
//! Reads declarations of one element, not sheets: a sheet hides what it likes.

/// Octets of a style that are looked at.
const MAX_STYLE: usize = 2 * 1024;
/// How far apart two colours' red, green and blue must lie to be told apart.
const ALIKE: u8 = 10;

/// How text of an element looks, as far as it tells whether people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    is_hidden: bool,
    ink: [u8; 3],
    paper: [u8; 3],
}

impl Default for Look {
    fn default() -> Self {
        Self {
            is_hidden: false,
            ink: [0; 3],
            paper: [255; 3],
        }
    }
}

impl Look {
    /// True when nobody sees text that looks so.
    pub(super) fn is_unseen(&self) -> bool {
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= ALIKE;
        self.is_hidden || self.ink.iter().zip(&self.paper).all(near)
    }

    /// Nothing of it is shown.
    pub(super) fn hide(&mut self) {
        self.is_hidden = true;
    }

    /// The colour of its text.
    pub(super) fn ink(&mut self, value: &str) {
        if let Some(colour) = colour(value) {
            self.ink = colour;
        }
    }

    /// The colour behind it.
    pub(super) fn paper(&mut self, value: &str) {
        if let Some(colour) = colour(value) {
            self.paper = colour;
        }
    }

    /// Takes in a `style` attribute.
    pub(super) fn style(&mut self, style: &str) {
        let style = style.get(..style.floor_char_boundary(MAX_STYLE));
        let style = style.unwrap_or_default().to_ascii_lowercase();
        for declaration in style.split(';') {
            let Some((property, value)) = declaration.split_once(':') else {
                continue;
            };
            let value = value.trim().trim_end_matches("!important").trim_end();
            match property.trim() {
                "display" | "mso-hide" => self.is_hidden |= matches!(value, "none" | "all"),
                "visibility" => self.is_hidden |= matches!(value, "hidden" | "collapse"),
                "opacity" => self.is_hidden |= number(value).is_some_and(|it| it < 0.05),
                "font-size" => self.is_hidden |= is_tiny(value),
                "max-height" | "max-width" => self.is_hidden |= number(value) == Some(0.0),
                "text-indent" => self.is_hidden |= number(value).is_some_and(|it| it <= -500.0),
                "color" => self.ink(value),
                "background" | "background-color" => self.paper(value),
                _ => {}
            }
        }
    }
}

/// The number that a value starts with.
fn number(value: &str) -> Option<f32> {
    let end = value
        .bytes()
        .position(|it| !matches!(it, b'0'..=b'9' | b'.' | b'-' | b'+'));
    value.get(..end.unwrap_or(value.len()))?.parse().ok()
}

/// Sizes that no eye reads. A bare number above nought has no unit and no effect.
fn is_tiny(value: &str) -> bool {
    let Some(size) = number(value) else {
        return false;
    };
    let unit = value.trim_start_matches(|it: char| !it.is_ascii_alphabetic() && it != '%');
    match unit {
        "px" | "pt" => size <= 1.0,
        "em" | "rem" => size <= 0.1,
        "%" => size <= 10.0,
        _ => size == 0.0,
    }
}

/// A colour as hexadecimal, `rgb()` or by one of the names that matter.
fn colour(value: &str) -> Option<[u8; 3]> {
    let value = value.trim();
    if let Some(hex) = value.strip_prefix('#') {
        return hex_colour(hex);
    }
    let lower = value.to_ascii_lowercase();
    if let Some(list) = lower.strip_prefix("rgb(") {
        let list = list.split_once(')').map_or(list, |(list, _)| list);
        let mut parts = list.split([',', ' ']).filter(|it| !it.is_empty());
        let mut part = || parts.next()?.parse().ok();
        return Some([part()?, part()?, part()?]);
    }
    match lower.split_ascii_whitespace().next()? {
        "white" => Some([255; 3]),
        "black" => Some([0; 3]),
        "red" => Some([255, 0, 0]),
        "blue" => Some([0, 0, 255]),
        "green" => Some([0, 128, 0]),
        "gray" | "grey" => Some([128; 3]),
        "silver" => Some([192; 3]),
        "yellow" => Some([255, 255, 0]),
        "navy" => Some([0, 0, 128]),
        word if word.starts_with('#') => hex_colour(word.trim_start_matches('#')),
        // `bgcolor=ffffff`: browsers take it.
        word => (word.len() == 6).then(|| hex_colour(word)).flatten(),
    }
}

fn hex_colour(hex: &str) -> Option<[u8; 3]> {
    let digit = |place: usize| {
        let digit = hex.get(place..=place)?;
        u8::from_str_radix(digit, 16).ok()
    };
    let end = hex.bytes().position(|it| !it.is_ascii_hexdigit());
    match end.unwrap_or(hex.len()) {
        3 | 4 => Some([digit(0)? * 17, digit(1)? * 17, digit(2)? * 17]),
        6 | 8 => Some([
            digit(0)? * 16 + digit(1)?,
            digit(2)? * 16 + digit(3)?,
            digit(4)? * 16 + digit(5)?,
        ]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_noticed() {
        for (style, unseen) in [
            ("display: none", true),
            ("DISPLAY:NONE !important; color:red", true),
            ("display:block", false),
            ("visibility:hidden", true),
            ("font-size:0", true),
            ("font-size:1px", true),
            ("font-size:10px", false),
            ("font-size:0.9em", false),
            ("opacity:0", true),
            ("opacity:0.9", false),
            ("max-height:0px;overflow:hidden", true),
            ("text-indent:-9999px", true),
            ("color:#fff", true),
            ("color:#FEFEFE", true),
            ("color: rgb(255, 255, 255)", true),
            ("color:white; background-color:#000080", false),
            ("background:black", true),
            ("color:#zz; display", false),
            ("", false),
        ] {
            let mut look = Look::default();
            look.style(style);
            assert_eq!(look.is_unseen(), unseen, "{style}");
        }
    }
}
