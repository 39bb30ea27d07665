//! The site's scripts for the events of a session: `connect/`, `helo/`, `auth/`,
//! `mail/`, `rcpt/` and `data/` in the folder of `[sieve]`.

use std::path::Path;
use std::sync::Arc;

use mailcore_sieve::filter::EventScripts;
use mailcore_sieve::host::SieveSettings;

use super::sieve::scripts_of;

/// The scripts, each compiled for its event, or all that is wrong with them.
pub(super) fn events(folder: &Path, settings: &SieveSettings) -> Result<EventScripts, Vec<String>> {
    let mut problems = Vec::new();
    let mut scripts = EventScripts::new();
    for event in EventScripts::EVENTS {
        let compiler = settings.compiler().event(event);
        let of_event = folder.join(event.as_str());
        for (name, text) in scripts_of(&of_event, &compiler, &mut problems) {
            // Findings and errors name the event as well.
            let name = format!("{}/{name}", event.as_str());
            match compiler.compile(&name, text.as_bytes()) {
                Ok(program) => scripts = scripts.and(event, Arc::new(program)),
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
    }
    match problems.is_empty() {
        true => Ok(scripts),
        false => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use mailcore_sieve::engine::Event;

    use super::*;

    #[test]
    fn scripts_are_read_in_the_order_of_their_files_and_for_their_event() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("connect/20-second.sieve", "stop;"),
            (
                "connect/10-first.sieve",
                "require \"vnd.mailcore.ip\"; if ip \"public\" { stop; }",
            ),
            ("connect/notes.txt", "no script"),
            (
                "rcpt/a.sieve",
                "require \"envelope\"; if envelope \"to\" \"x\" { stop; }",
            ),
            ("before/all.sieve", "keep;"),
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let scripts = events(folder.path(), &SieveSettings::default()).unwrap();
        let names = |event| {
            let programs: &[_] = scripts.at(event);
            let names = programs.iter().map(|program| program.name().to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            names(Event::Connect),
            ["connect/10-first", "connect/20-second"]
        );
        assert_eq!(names(Event::Rcpt), ["rcpt/a"]);
        assert_eq!(names(Event::Data), [] as [&str; 0]);
        let early = folder.path().join("helo/b.sieve");
        std::fs::create_dir_all(early.parent().unwrap()).unwrap();
        std::fs::write(early, "require \"fileinto\";\n").unwrap();
        let problems = events(folder.path(), &SieveSettings::default()).unwrap_err();
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(problem.contains("b.sieve: line 1"), "{problem}");
    }
}
