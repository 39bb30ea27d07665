//! The command line's side of the control socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Request, Response};

/// How long a command may take: a check of all data takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Asks the running server; `None` when none runs.
pub(crate) fn ask(socket: &Path, request: &Request) -> Option<Response> {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            return None;
        }
        Err(error) => return Some(failed(socket, &error)),
    };
    Some(exchange(&stream, request).unwrap_or_else(|error| failed(socket, &error)))
}

fn exchange(mut stream: &UnixStream, request: &Request) -> std::io::Result<Response> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

fn failed(socket: &Path, error: &std::io::Error) -> Response {
    Response::Failed(format!(
        "the running server does not answer on {}: {error}",
        socket.display()
    ))
}
