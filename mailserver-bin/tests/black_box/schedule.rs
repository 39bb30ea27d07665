//! The server's own work, from the command line.

use crate::support::Home;

#[test]
fn jobs_are_listed_and_run_while_the_server_runs_and_when_it_is_down() {
    let home = Home::new();
    home.write(
        "mailserver.toml",
        "[server]\nhostname = \"mail.example.test\"\n\
         [schedule]\ntime_zone = \"Europe/Berlin\"\ncheck = \"0 4 * * sun\"\n\
         [retention]\ntrash = \"30d\"\n",
    );
    let args = ["init", "--admin", "ann@example.test", "--password-stdin"];
    assert_eq!(home.run_with(&args, "correct-horse-7\n").code, 0);
    let server = home.start();
    let list = home.ok(&["schedule", "list"]);
    let line = |list: &str, name: &str| {
        let mut lines = list.lines();
        lines
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    let check = line(&list, "check");
    assert!(
        check.contains("0 4 * * sun  next ") && check.ends_with("never run"),
        "{list}"
    );
    assert!(line(&list, "purge").contains("10 3 * * *"), "{list}");

    let done = home.ok(&["schedule", "run", "check"]);
    assert!(done.contains("all data is sound"), "{done}");
    server.wait_for(&["job done", "job=check"]);
    assert!(line(&home.ok(&["schedule", "list"]), "check").contains("done 2"));
    for job in ["tidy", "compact"] {
        let done = home.ok(&["schedule", "run", job]);
        assert!(done.contains("removed"), "{done}");
    }
    let done = home.ok(&["schedule", "run", "purge"]);
    assert_eq!(done, "0 messages removed from Trash\n");
    server.stop();

    let list = home.ok(&["schedule", "list"]);
    assert!(
        line(&list, "check").contains("done 2"),
        "kept over the end: {list}"
    );
    assert!(
        home.ok(&["schedule", "run", "check"])
            .contains("all data is sound")
    );
    let unknown = home.run(&["schedule", "run", "sweep"]);
    assert_eq!(unknown.code, 1);
    let named = (unknown.stderr.split_once("there is: ")).map_or("", |(_, names)| names.trim());
    let names: Vec<&str> = named.split(", ").collect();
    assert!(
        ["purge", "dkim", "check"]
            .iter()
            .all(|name| names.contains(name)),
        "{unknown:?}"
    );
}
