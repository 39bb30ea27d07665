//! Standard output for people and scripts. A reader that went away (`| head`)
//! is no error.

use std::io::Write;

/// Prints lines.
pub(crate) fn lines<S: AsRef<str>>(lines: &[S]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{}", line.as_ref()).is_err() {
            return;
        }
    }
    // Nobody is left to tell when this fails.
    let _ = out.flush();
}

/// Prints octets as they are.
pub(crate) fn octets(octets: &[u8]) {
    let mut out = std::io::stdout().lock();
    // As above.
    let _ = out.write_all(octets).and_then(|()| out.flush());
}

/// Prints to standard error.
pub(crate) fn error(message: &str) {
    // As above.
    let _ = writeln!(std::io::stderr().lock(), "error: {message}");
}
