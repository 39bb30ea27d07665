//! `[managesieve]`: what a session may do.

use std::time::Duration;

use mailcore_sieve::managesieve::ManageSieve;

use super::file::Section;

/// RFC 5804 section 1.2.
const LEAST_IDLE: Duration = Duration::from_secs(1800);

/// Reads the table; every default is the library's.
pub(super) fn managesieve(root: &Section<'_, '_>, settings: &mut ManageSieve) {
    let section = root.section("managesieve", "[managesieve]");
    let mut managesieve = settings.clone();
    if let Some(octets) = section.size("script_size") {
        managesieve = managesieve.max_script(usize::try_from(octets).unwrap_or(usize::MAX));
    }
    if let Some(time) = section.duration("login_timeout") {
        managesieve = managesieve.login_timeout(time.value);
    }
    if let Some(time) = section.duration("idle_timeout") {
        if time.value < LEAST_IDLE {
            section.problem(time.line, "idle_timeout must be 30m or more (RFC 5804)");
        }
        managesieve = managesieve.idle_timeout(time.value);
    }
    if let Some(errors) = section.count("errors") {
        let errors = u32::try_from(errors).unwrap_or(u32::MAX).max(1);
        managesieve = managesieve.max_errors(errors);
    }
    if let Some(failures) = section.count("login_failures") {
        let failures = u32::try_from(failures).unwrap_or(u32::MAX).max(1);
        managesieve = managesieve.max_login_failures(failures);
    }
    section.finish();
    *settings = managesieve;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::resolve;

    const SERVER: &str = "[server]\nhostname = \"mail.example.com\"\n";

    #[test]
    fn what_a_managesieve_session_may_do_is_read_and_checked() {
        let path = Path::new("mailserver.toml");
        let good = format!(
            "{SERVER}[managesieve]\nscript_size = \"64KiB\"\nidle_timeout = \"1h\"\nerrors = 9\n"
        );
        assert!(resolve(path, &good).is_ok());
        let bad = format!("{SERVER}[managesieve]\nidle_timeout = \"10m\"\nx = 1\n");
        let problems = resolve(path, &bad).unwrap_err().to_string();
        for line in [":4: ", ":5: "] {
            assert!(problems.contains(line), "{problems}");
        }
    }
}
