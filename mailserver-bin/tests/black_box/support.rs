//! A built `mailserver` in a directory of its own, as its users have it: by
//! command line, by port, by signal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mailserver");

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A working directory to run in.
pub(crate) struct Home(TempDir);

/// A server that runs.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Its standard output up to `ready`.
    pub(crate) banner: String,
    log: Arc<Log>,
}

/// What a server logs, as it comes.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.path());
        command.env_remove("MAILSERVER_LOG");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, "")
    }

    /// The same with something on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Done {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        Done {
            code: status.code().unwrap(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed; its output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    }

    /// Starts a server on free ports.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&["serve", "--free-ports"], "info")
    }

    pub(crate) fn start_with(&self, args: &[&str], log: &str) -> Running {
        let mut child = self
            .command(args)
            .env("MAILSERVER_LOG", log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Log>::default();
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || kept.follow(stderr));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("ready;") {
            let count = stdout.read_line(&mut banner).unwrap();
            assert!(count > 0, "the server ended:\n{banner}{}", log.so_far());
        }
        Running {
            child,
            stdout,
            banner,
            log,
        }
    }
}

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines() {
            let line = line.unwrap();
            self.text.lock().unwrap().push_str(&(line + "\n"));
            self.grown.notify_all();
        }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn wait_for(&self, words: &[&str]) {
        let missing = |text: &mut String| {
            let all = |line: &str| words.iter().all(|word| line.contains(word));
            !text.lines().any(all)
        };
        let text = self.text.lock().unwrap();
        let (text, waited) = self
            .grown
            .wait_timeout_while(text, PATIENCE, missing)
            .unwrap();
        assert!(!waited.timed_out(), "{words:?} is not in the log:\n{text}");
    }
}

impl Running {
    /// The port of a listener.
    pub(crate) fn address(&self, protocol: &str, tls: &str) -> SocketAddr {
        let tls = format!("tls={tls}");
        self.banner
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find_map(|words| match words.as_slice() {
                [name, address, mode] if *name == protocol && *mode == tls => address.parse().ok(),
                _ => None,
            })
            .unwrap()
    }

    /// The password that was shown.
    pub(crate) fn password(&self) -> &str {
        self.banner
            .lines()
            .find_map(|line| line.strip_prefix("password:"))
            .unwrap()
            .trim()
    }

    /// Opens a dialogue in clear.
    pub(crate) fn dial(&self, protocol: &str) -> Dialogue<TcpStream> {
        self.dial_at(protocol, "starttls")
    }

    /// The same at a listener with another way of TLS.
    pub(crate) fn dial_at(&self, protocol: &str, tls: &str) -> Dialogue<TcpStream> {
        Dialogue::new(TcpStream::connect(self.address(protocol, tls)).unwrap())
    }

    /// Opens a dialogue within TLS; the server's own certificate must be the
    /// one in the data directory, for `localhost`.
    pub(crate) fn dial_tls(
        &self,
        home: &Home,
        protocol: &str,
    ) -> Dialogue<StreamOwned<ClientConnection, TcpStream>> {
        let pem = home.path().join("mailserver-data/certificate.pem");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(self.address(protocol, "implicit")).unwrap();
        Dialogue::new(StreamOwned::new(session, tcp))
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.so_far()
    }

    /// Waits until a line of the log has all of these words.
    pub(crate) fn wait_for(&self, words: &[&str]) {
        self.log.wait_for(words);
    }

    /// Sends SIGTERM and waits; how it ended and what it still printed.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already when the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines to and from a server.
pub(crate) struct Dialogue<S>(BufReader<S>);

impl<S: Read + Write> Dialogue<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next line, without CRLF.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a line; the line that answers it.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }

    pub(crate) fn send(&mut self, line: &str) {
        let stream = self.0.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        stream.flush().unwrap();
    }

    /// All octets up to the end, which may be a reset.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        // What came before an error counts.
        let _ = self.0.read_to_end(&mut octets);
        octets
    }

    /// Lines up to the one that begins so, that one included.
    pub(crate) fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let last = line.starts_with(start);
            lines.push(line);
            if last {
                return lines;
            }
            assert!(lines.len() < 10_000, "no line begins with {start}");
        }
    }

    /// The lines of a POP3 multi-line reply, up to the one that is a dot.
    pub(crate) fn multiline(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line == "." => return lines,
                line => lines.push(line),
            }
            assert!(lines.len() < 10_000, "no final dot");
        }
    }

    /// Hands a message over by SMTP.
    pub(crate) fn mail(&mut self, from: &str, to: &str, message: &str) -> String {
        self.until("220 ");
        self.send("EHLO client.test");
        self.until("250 ");
        assert!(self.ask(&format!("MAIL FROM:<{from}>")).starts_with("250"));
        let reply = self.ask(&format!("RCPT TO:<{to}>"));
        if !reply.starts_with("250") {
            return reply;
        }
        assert!(self.ask("DATA").starts_with("354"));
        self.send(message);
        self.ask(".")
    }
}
