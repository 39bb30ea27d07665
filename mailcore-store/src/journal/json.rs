//! The fields of an event as a JSON object, in their order. A name that occurs
//! twice stands in it twice: SQLite's `->>` gives the first.

use std::fmt::Write;

use rusqlite::Connection;

/// Writes the fields.
pub(super) fn write(fields: &[(String, String)]) -> String {
    let octets = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 6);
    let mut json = String::with_capacity(2 + octets.sum::<usize>());
    json.push('{');
    for (place, (name, value)) in fields.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        quote(&mut json, name);
        json.push(':');
        quote(&mut json, value);
    }
    json.push('}');
    json
}

fn quote(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to memory does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

/// Reads them back.
pub(super) fn read(connection: &Connection, json: &str) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare_cached("SELECT key, value FROM json_each(?1)")?
        .query_map([json], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_in_order_whatever_they_hold() {
        let connection = Connection::open_in_memory().unwrap();
        let fields: Vec<(String, String)> = [
            ("from", "\"a b\"@x.test"),
            ("to", "c\\d@x.test"),
            (
                "subject",
                "Ünï \u{1f4e7} \t\u{7f}\u{85}\u{2028}'; DROP TABLE events; --",
            ),
            ("to", ""),
            ("a\"b", "{\"x\":1}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let json = write(&fields);
        assert_eq!(read(&connection, &json).unwrap(), fields);
        assert_eq!(read(&connection, &write(&[])).unwrap(), []);
        let first: String = connection
            .query_row("SELECT ?1 ->> 'to'", [&json], |row| row.get(0))
            .unwrap();
        assert_eq!(first, "c\\d@x.test");
    }
}
