//! Passwords: typed, read from standard input, or made up. Never taken from the
//! command line, where every user of the host could read them.

use std::io::{self, BufRead, IsTerminal, Write};

use mailcore::seams::Entropy;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Characters of a made-up password: no two that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 20 characters of 5 bits: 100 bits.
const RANDOM_LENGTH: usize = 20;

/// Where a password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Asked for twice, unseen, at the terminal.
    Terminal,
    /// The first line of standard input.
    Stdin,
}

/// Reads a password.
pub(crate) fn read(source: Source) -> Result<String, String> {
    let password = match source {
        Source::Stdin => line(),
        Source::Terminal if io::stdin().is_terminal() => twice()?,
        Source::Terminal => {
            return Err(
                "there is no terminal to ask for the password; give --password-stdin".to_owned(),
            );
        }
    };
    password.map_err(|error| format!("can't read the password: {error}"))
}

/// A password that nobody has chosen, in groups that are easy to copy.
pub(crate) fn random(entropy: &dyn Entropy) -> String {
    let mut octets = [0; RANDOM_LENGTH];
    entropy.fill(&mut octets);
    let mut password = String::new();
    for (i, octet) in octets.into_iter().enumerate() {
        if i > 0 && i % 5 == 0 {
            password.push('-');
        }
        // 256 is a multiple of 32: every character is as likely.
        let index = usize::from(octet) % ALPHABET.len();
        password.push(ALPHABET.get(index).copied().map_or('a', char::from));
    }
    password
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

fn twice() -> Result<io::Result<String>, String> {
    let first = match unseen("password: ") {
        Ok(first) => first,
        error => return Ok(error),
    };
    match unseen("again: ") {
        Ok(second) if second != first => Err("the two passwords differ".to_owned()),
        Ok(_) => Ok(Ok(first)),
        error => Ok(error),
    }
}

/// Reads a line without showing it.
fn unseen(prompt: &str) -> io::Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let _echo = EchoOff::new()?;
    let line = line();
    writeln!(terminal)?;
    line
}

/// The terminal without echo, until dropped.
struct EchoOff(Termios);

impl EchoOff {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // There is no better moment to try.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::seams::OsEntropy;

    #[test]
    fn made_up_passwords_differ_and_read_well() {
        let (a, b) = (random(&OsEntropy), random(&OsEntropy));
        assert_ne!(a, b);
        assert_eq!(a.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
    }
}
