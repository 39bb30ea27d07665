//! Scripts of mailboxes: what an IMAP client adds and changes runs them (RFC 6785).

use std::sync::Arc;

use mailcore::mailbox::{MailboxName, UidSet};
use mailcore::seams::{Directory, OsEntropy, Scope, ScriptKind, Storage};
use mailcore_imap::server::Imap;
use mailcore_sieve::host::{SieveRules, SieveSeams, SieveSettings};
use mailcore_tests::{Desk, Dialogue, PASSWORD};

/// A desk whose mailboxes go by scripts.
async fn desk() -> Desk {
    Desk::over(&["ann", "bob"], |builder, behind| {
        let seams = SieveSeams::new(
            Arc::new(behind.directory),
            behind.store.clone(),
            behind.store,
            Arc::new(behind.clock),
            Arc::new(OsEntropy),
        );
        let hostname = "mx.a.test".parse().unwrap();
        let mut settings = SieveSettings::default();
        settings.script_server = Some("sieve://mx.a.test".into());
        let rules = SieveRules::new(hostname, seams, settings);
        builder.serve(Imap::new().mailbox_rules(Arc::new(rules)))
    })
    .await
}

async fn keep_script(desk: &Desk, name: &str, text: &str) {
    let scope = Scope::Account(desk.account("ann").await);
    let scripts = desk.directory.scripts().unwrap();
    let put = scripts.put_script(&scope, ScriptKind::Sieve, name, text);
    put.await.unwrap();
}

async fn imap(desk: &Desk) -> Dialogue {
    let mut imap = Dialogue::new(desk.server.connect("imap").unwrap());
    imap.expect("* OK").await;
    let login = format!("1 LOGIN ann@a.test \"{PASSWORD}\"");
    imap.ask_all(&login, "1 OK").await;
    imap
}

async fn tie(imap: &mut Dialogue, mailbox: &str, script: &str) {
    let set = format!("2 SETMETADATA {mailbox} (/shared/imapsieve/script \"{script}\")");
    imap.ask(&set, "2 OK").await;
}

async fn append(imap: &mut Dialogue, mailbox: &str, subject: &str) {
    let message = format!("Subject: {subject}\r\n\r\nhi\r\n");
    let begin = format!("3 APPEND {mailbox} {{{}+}}", message.len());
    imap.send(&begin).await;
    imap.send_raw(message).await;
    imap.send("").await;
    imap.until("3 OK").await;
}

/// The flags of each message of a mailbox.
async fn flags(desk: &Desk, mailbox: &str) -> Vec<String> {
    let account = desk.account("ann").await;
    let name = MailboxName::parse(mailbox).unwrap();
    let Ok(mailbox) = desk.store().open(&account, &name).await else {
        return Vec::new();
    };
    let rows = mailbox.messages(&UidSet::all()).await.unwrap();
    let told = |row: &mailcore::mailbox::MessageInfo| {
        let system = row.flags.system().map(|it| it.as_str().to_owned());
        let keywords = row.flags.keywords().map(|it| it.as_str().to_owned());
        system.chain(keywords).collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(told).collect()
}

#[tokio::test]
async fn what_a_client_appends_is_copied_and_flagged_as_its_mailbox_says() {
    let desk = desk().await;
    keep_script(
        &desk,
        "sort",
        "require [\"imapsieve\", \"environment\", \"fileinto\", \"copy\", \"imap4flags\", \"mailbox\"];\n\
         if allof(environment \"imap.cause\" \"APPEND\", environment \"imap.user\" \"ann@a.test\",\n\
             environment \"imap.mailbox\" \"INBOX\", environment \"location\" \"MS\",\n\
             header :contains \"subject\" \"invoice\") {\n\
             fileinto :copy :create \"Books\"; addflag \"\\\\Flagged\"; }",
    )
    .await;
    let mut imap = imap(&desk).await;
    let told = imap.ask_all("1 CAPABILITY", "1 OK").await.join("\n");
    assert!(told.contains("IMAPSIEVE=sieve://mx.a.test"), "{told}");
    append(&mut imap, "INBOX", "invoice before").await;
    tie(&mut imap, "INBOX", "sort").await;
    append(&mut imap, "INBOX", "invoice").await;
    append(&mut imap, "INBOX", "hello").await;
    assert_eq!(flags(&desk, "INBOX").await, ["", "\\Flagged", ""]);
    assert_eq!(flags(&desk, "Books").await, [""]);
}

#[tokio::test]
async fn a_flag_that_a_client_sets_moves_mail_and_runs_no_second_script() {
    let desk = desk().await;
    keep_script(
        &desk,
        "junk",
        "require [\"imapsieve\", \"environment\", \"fileinto\", \"imap4flags\", \"mailbox\"];\n\
         if allof(environment \"imap.cause\" \"FLAG\",\n\
             environment :contains \"imap.changedflags\" \"$Junk\", hasflag \"$Junk\") {\n\
             fileinto :create \"Junk\"; discard; }\n\
         if environment \"imap.cause\" \"COPY\" { setflag \"\\\\Seen\"; }",
    )
    .await;
    let mut imap = imap(&desk).await;
    append(&mut imap, "INBOX", "one").await;
    append(&mut imap, "INBOX", "two").await;
    imap.ask_all("4 CREATE Junk", "4 OK").await;
    for mailbox in ["INBOX", "Junk"] {
        tie(&mut imap, mailbox, "junk").await;
    }
    imap.ask_all("5 SELECT INBOX", "5 OK").await;
    imap.ask_all("6 STORE 1 +FLAGS (\\Flagged)", "6 OK").await;
    assert_eq!(flags(&desk, "Junk").await.len(), 0);
    imap.ask_all("7 STORE 1 +FLAGS ($Junk)", "7 OK").await;
    // The copy that the script made ran none, or it would be seen.
    assert_eq!(flags(&desk, "Junk").await, ["\\Flagged $Junk"]);
    assert_eq!(
        flags(&desk, "INBOX").await,
        ["\\Flagged \\Deleted $Junk", ""]
    );
    // What was set before is no change.
    imap.ask_all("8 STORE 1 +FLAGS ($Junk)", "8 OK").await;
    assert_eq!(flags(&desk, "Junk").await.len(), 1);
    imap.ask_all("9 COPY 2 Junk", "9 OK").await;
    assert_eq!(flags(&desk, "Junk").await, ["\\Flagged $Junk", "\\Seen"]);
}

#[tokio::test]
async fn a_script_that_fails_or_is_missing_fails_no_command() {
    let desk = desk().await;
    keep_script(&desk, "answers", "require \"vacation\"; vacation \"away\";").await;
    let mut imap = imap(&desk).await;
    for script in ["answers", "none", ""] {
        tie(&mut imap, "INBOX", script).await;
        append(&mut imap, "INBOX", "one").await;
    }
    assert_eq!(flags(&desk, "INBOX").await, ["", "", ""]);
}

#[tokio::test]
async fn a_script_sends_mail_on_in_the_name_of_the_mailboxs_owner() {
    let desk = desk().await;
    keep_script(
        &desk,
        "on",
        "require [\"imapsieve\", \"copy\", \"enotify\"];\n\
         redirect :copy \"bob@a.test\"; notify \"mailto:bob@a.test\";",
    )
    .await;
    let mut imap = imap(&desk).await;
    tie(&mut imap, "INBOX", "on").await;
    append(&mut imap, "INBOX", "plans").await;
    desk.wait(60).await;
    let came = desk.messages("bob", "INBOX").await;
    assert_eq!(came.len(), 2, "{came:?}");
    let from_ann = came
        .iter()
        .filter(|it| it.contains("Return-Path: <ann@a.test>"));
    assert!(from_ann.count() >= 1, "{came:?}");
    assert!(
        came.iter().any(|it| it.contains("Subject: plans")),
        "{came:?}"
    );
    assert_eq!(flags(&desk, "INBOX").await, [""]);
}
