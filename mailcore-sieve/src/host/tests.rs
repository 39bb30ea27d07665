use std::sync::Mutex;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::address::{Address, ReversePath};
use mailcore::batch::StateChange;
use mailcore::mailbox::{EntryName, MailboxName, SpecialUse};
use mailcore::message::Message;
use mailcore::plan::{Action, Form};
use mailcore::seams::{
    AccountChange, Directory, DirectoryError, DirectoryWrite, ListRecord, Scope, ScriptKind,
    Sending,
};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;

use super::*;

const ANN: &str = "ann@x.test";

/// A server with one account.
struct House {
    directory: Arc<MemoryDirectory>,
    store: Arc<MemoryStore>,
    clock: Arc<VirtualClock>,
    account: AccountId,
    rules: SieveRules,
}

impl House {
    async fn new() -> Self {
        Self::with(SieveSettings::default(), Vec::new()).await
    }

    async fn with(settings: SieveSettings, others: Vec<Arc<dyn ProgramSource>>) -> Self {
        let directory = MemoryDirectory::for_tests(&[(ANN, "secret")])
            .await
            .unwrap();
        let account = directory.accounts(None).await.unwrap();
        let account = account.first().unwrap().account.id.clone();
        let clock = Arc::new(VirtualClock::new());
        let entropy = Arc::new(SeededEntropy::new(1));
        let store = Arc::new(MemoryStore::with(clock.clone(), entropy));
        let seams = SieveSeams::new(
            directory.clone(),
            store.clone(),
            store.clone(),
            clock.clone(),
            Arc::new(SeededEntropy::new(1)),
        );
        let hostname = Domain::parse("mx.x.test").unwrap();
        Self {
            rules: SieveRules::with_sources(hostname, seams, settings, others),
            directory,
            store,
            clock,
            account,
        }
    }

    /// The account's own script.
    async fn own(&self, text: &str) {
        let scope = Scope::Account(self.account.clone());
        self.put(&scope, "main", text).await;
        let scripts = self.directory.scripts().unwrap();
        let activated = scripts.set_active(&scope, ScriptKind::Sieve, Some("main"));
        activated.await.unwrap();
    }

    async fn put(&self, scope: &Scope, name: &str, text: &str) {
        let scripts = self.directory.scripts().unwrap();
        let put = scripts.put_script(scope, ScriptKind::Sieve, name, text);
        put.await.unwrap();
    }

    async fn domain(&self, name: &str, text: &str) {
        let scope = Scope::Domain(Domain::parse("x.test").unwrap());
        self.put(&scope, name, text).await;
    }

    async fn deliver(&self) -> Ruling {
        self.message("From: bob@y.test\r\nTo: ann@x.test\r\nSubject: Hi\r\n\r\nbody\r\n")
            .await
    }

    async fn message(&self, text: &str) -> Ruling {
        let message = Message::from_bytes(text.to_owned());
        let summary = message.summarize().await.unwrap();
        let sender = ReversePath::parse("<bob@y.test>").unwrap();
        let recipient = Address::parse(ANN).unwrap();
        let input = RulesInput::new(&self.account, &sender, &recipient, &message, &summary);
        self.rules.evaluate(&input).await
    }
}

impl House {
    /// Does what filing does with what is to be remembered.
    async fn remember(&self, ruling: &Ruling) {
        let mut changes = ruling.state.clone();
        changes.extend(ruling.letters.iter().filter_map(|letter| {
            let once = letter.once.clone()?;
            Some(StateChange::Put {
                key: once.key,
                value: Vec::new(),
                expires: Some(once.until),
            })
        }));
        State::change(&*self.store, changes).await.unwrap();
    }
}

/// What is done, a word for each action.
fn told(ruling: &Ruling) -> Vec<String> {
    let told = ruling.actions.iter().map(|action| match action {
        Action::File {
            mailbox,
            flags,
            create,
            form,
        } => {
            let mut line = mailbox.to_string();
            if *create {
                line.push('+');
            }
            for flag in flags.system() {
                line.push_str(flag.as_str());
            }
            for keyword in flags.keywords() {
                line.push_str(&format!(" {}", keyword.as_str()));
            }
            if *form != Form::Unchanged {
                line.push('*');
            }
            line
        }
        Action::Redirect { to, .. } => format!(">{to}"),
        Action::Discard => "discard".into(),
        Action::Reject { reason } => format!("reject {reason}"),
        _ => "?".into(),
    });
    told.collect()
}

#[tokio::test]
async fn an_account_without_scripts_keeps_its_mail() {
    let house = House::new().await;
    assert_eq!(house.deliver().await, Ruling::keep());
}

#[tokio::test]
async fn a_script_counts_from_the_moment_it_is_active_or_changed() {
    let house = House::new().await;
    house.deliver().await;
    house.own("require \"fileinto\"; fileinto \"A\";").await;
    assert_eq!(told(&house.deliver().await), ["A"]);
    house.own("require \"fileinto\"; fileinto \"B\";").await;
    assert_eq!(told(&house.deliver().await), ["B"]);
    let scope = Scope::Account(house.account.clone());
    let scripts = house.directory.scripts().unwrap();
    scripts
        .set_active(&scope, ScriptKind::Sieve, None)
        .await
        .unwrap();
    assert_eq!(house.deliver().await, Ruling::keep());
}

#[tokio::test]
async fn scripts_of_site_and_domain_run_around_the_accounts_own() {
    let mut settings = SieveSettings::default();
    let require = "require [\"fileinto\", \"copy\"];";
    let script = |name: &str, text: &str| (name.into(), format!("{require} {text}").into());
    settings.site.before = vec![script("10-a", "fileinto :copy \"site before\";")];
    settings.site.after = vec![script("90-z", "fileinto :copy \"site after\";")];
    let house = House::with(settings, Vec::new()).await;
    house
        .domain(
            BEFORE,
            &format!("{require} fileinto :copy \"domain before\";"),
        )
        .await;
    house
        .domain(
            AFTER,
            &format!("{require} fileinto :copy \"domain after\";"),
        )
        .await;
    house
        .own(&format!("{require} fileinto :copy \"own\";"))
        .await;
    let wanted = [
        "site before",
        "domain before",
        "own",
        "domain after",
        "site after",
        "INBOX",
    ];
    assert_eq!(told(&house.deliver().await), wanted);
}

#[tokio::test]
async fn what_decides_before_the_accounts_own_script_is_the_last_word() {
    for (before, wanted) in [
        ("discard;", "discard"),
        ("fileinto \"Spam\"; stop;", "Spam"),
    ] {
        let house = House::new().await;
        house
            .domain(BEFORE, &format!("require \"fileinto\"; {before}"))
            .await;
        house.own("keep;").await;
        assert_eq!(told(&house.deliver().await), [wanted]);
    }
    let house = House::new().await;
    house.own("stop;").await;
    house
        .domain(AFTER, "require \"fileinto\"; fileinto \"Archive\";")
        .await;
    assert_eq!(told(&house.deliver().await), ["Archive"]);
}

#[tokio::test]
async fn an_implicit_keep_happens_once_and_only_where_nothing_cancelled_it() {
    let house = House::new().await;
    house
        .domain(BEFORE, "require \"fileinto\"; fileinto \"A\";")
        .await;
    house.own("# nothing\r\n").await;
    assert_eq!(told(&house.deliver().await), ["A"]);
    house.own("keep;").await;
    assert_eq!(told(&house.deliver().await), ["A", "INBOX"]);
    house.domain(BEFORE, "keep;").await;
    assert_eq!(told(&house.deliver().await), ["INBOX"]);
}

#[tokio::test]
async fn a_script_that_fails_keeps_the_mail_and_its_owner_hears_of_it() {
    let house = House::new().await;
    house.own("require \"fileinto\";\r\nfileinto 7;").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), Vec::<String>::new());
    let reason = ruling.failed.unwrap();
    assert!(reason.starts_with("main: line 2, column 10: "), "{reason}");
}

#[tokio::test]
async fn a_script_of_the_site_that_fails_counts_for_nothing() {
    let house = House::new().await;
    house.domain(BEFORE, "nonsense;").await;
    house.own("require \"fileinto\"; fileinto \"A\";").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), ["A"]);
    assert_eq!(ruling.failed, None);
}

#[tokio::test]
async fn steps_end_where_the_limit_says() {
    let mut settings = SieveSettings::default();
    settings.limits.steps = 50;
    let house = House::with(settings, Vec::new()).await;
    let test = "if header :contains \"subject\" \"x\" { discard; }\r\n";
    house.own(&test.repeat(60)).await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), Vec::<String>::new());
    assert!(ruling.failed.unwrap().starts_with("main: line "));
}

#[tokio::test]
async fn a_redirect_to_the_account_itself_keeps_the_mail() {
    let house = House::new().await;
    house.own("redirect \"Ann@x.test\";").await;
    assert_eq!(told(&house.deliver().await), ["INBOX"]);
    house.own("redirect \"bob@y.test\";").await;
    assert_eq!(told(&house.deliver().await), [">bob@y.test"]);
}

#[tokio::test]
async fn who_is_on_a_list_is_told_to_those_alone_who_are_or_who_run_it() {
    let house = House::new().await;
    let address = |text: &str| Address::parse(text).unwrap();
    let lists = house.directory.lists().unwrap();
    for (name, members, owner) in [
        ("board@x.test", vec!["bob@y.test"], None),
        ("club@x.test", vec!["bob@y.test", ANN], None),
        ("team@x.test", vec!["bob@y.test"], Some(address(ANN))),
    ] {
        let mut list = ListRecord::new(address(name));
        list.owner = owner;
        lists.add_list(&list).await.unwrap();
        let members: Vec<Address> = members.into_iter().map(address).collect();
        lists.add_members(&list.address, &members).await.unwrap();
    }
    let asks = "require [\"extlists\", \"envelope\", \"fileinto\", \"copy\"];\r\n\
        if envelope :list \"from\" \"board@x.test\" { fileinto :copy \"board\"; }\r\n\
        if valid_ext_list \"board@x.test\" { fileinto :copy \"is\"; }\r\n\
        if envelope :list \"from\" \"club@x.test\" { fileinto :copy \"club\"; }\r\n\
        if envelope :list \"from\" \"team@x.test\" { fileinto :copy \"team\"; }\r\n";
    house.own(asks).await;
    assert_eq!(told(&house.deliver().await), ["club", "team", "INBOX"]);
    let include = "require \"include\"; include :personal \"main\";";
    house.domain(BEFORE, include).await;
    assert_eq!(told(&house.deliver().await), ["club", "team", "INBOX"]);
    house.own("keep;").await;
    house.domain(BEFORE, asks).await;
    let all = ["board", "is", "club", "team", "INBOX"];
    assert_eq!(told(&house.deliver().await), all);
}

#[tokio::test]
async fn mail_of_an_account_that_sends_within_the_server_stays_there() {
    let house = House::new().await;
    let change = AccountChange {
        sending: Some(Sending::LocalOnly),
        ..AccountChange::default()
    };
    let administration = house.directory.administration().unwrap();
    let ann = Address::parse(ANN).unwrap();
    let changed = administration.change_account(&ann, &change);
    changed.await.unwrap();
    house.own("redirect \"eve@z.test\";").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), ["INBOX"]);
    assert!(ruling.failed.unwrap().contains("eve@z.test"));
    house.own("redirect \"tom@x.test\";").await;
    assert_eq!(told(&house.deliver().await), [">tom@x.test"]);
    house
        .own(
            "require [\"vacation\", \"enotify\"]; vacation \"away\"; notify \"mailto:eve@z.test\";",
        )
        .await;
    assert_eq!(house.deliver().await, Ruling::keep());
    house.own("keep;").await;
    house.domain(BEFORE, "redirect \"eve@z.test\";").await;
    assert_eq!(told(&house.deliver().await), [">eve@z.test", "INBOX"]);
}

#[tokio::test]
async fn letters_are_written_in_no_name_that_is_anothers() {
    let house = House::new().await;
    house
        .own(
            "require [\"vacation\", \"enotify\"];\r\n\
             vacation :from \"Boss <boss@x.test>\" \"away\";\r\n\
             notify :from \"boss@x.test\" \"mailto:eve@z.test\";",
        )
        .await;
    let letters = house.deliver().await.letters;
    assert_eq!(letters.len(), 2);
    for letter in letters {
        let text = String::from_utf8(letter.message.to_vec()).unwrap();
        assert!(text.contains("From: ann@x.test\r\n"), "{text}");
        assert!(!text.contains("boss"), "{text}");
    }
    house
        .own("require \"vacation\"; vacation :from \"Ann A <ann@x.test>\" \"away\";")
        .await;
    let letters = house.deliver().await.letters;
    let text = String::from_utf8(letters.first().unwrap().message.to_vec()).unwrap();
    assert!(text.contains("From: Ann A <ann@x.test>\r\n"), "{text}");
}

#[tokio::test]
async fn what_is_read_of_a_large_message_is_never_written_as_all_of_it() {
    let mut settings = SieveSettings::default();
    settings.limits.memory = 4_000;
    let house = House::with(settings, Vec::new()).await;
    house
        .domain(BEFORE, "require \"editheader\"; deleteheader \"X-Long\";")
        .await;
    house
        .own(
            "require [\"foreverypart\", \"mime\", \"replace\"];\r\n\
             foreverypart { if header :mime :type :is \"content-type\" \"image\" { replace \"\"; } }",
        )
        .await;
    let part = |media: &str| {
        format!(
            "--b\r\nContent-Type: {media}\r\n\r\n{}\r\n",
            "x".repeat(2_000)
        )
    };
    let message = format!(
        "To: ann@x.test\r\nX-Long: {}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}{}{}--b--\r\n",
        "x".repeat(500),
        part("image/png"),
        part("text/plain"),
        part("text/html"),
    );
    let ruling = house.message(&message).await;
    assert_eq!(told(&ruling), ["INBOX*"]);
    let [Action::File { form, .. }] = ruling.actions.as_slice() else {
        panic!("filed once");
    };
    assert!(matches!(form, Form::Header(_)), "the body is as it came");
    assert!(ruling.failed.unwrap().contains("too large"));
}

#[tokio::test]
async fn a_name_that_no_mailbox_can_have_goes_to_the_inbox_and_is_told() {
    let house = House::new().await;
    house.own("require \"fileinto\"; fileinto \"a//b\";").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), ["INBOX"]);
    assert!(ruling.failed.unwrap().contains("a//b"));
}

/// Rules of an account, as another part of a server brings them.
#[derive(Debug)]
struct Others(Mutex<Vec<Place>>);

#[async_trait]
impl ProgramSource for Others {
    async fn programs(
        &self,
        place: Place,
        _whose: &Whose<'_>,
        library: &Library,
    ) -> Result<Vec<Found>, DirectoryError> {
        self.0.lock().unwrap().push(place);
        let text = "require [\"fileinto\", \"copy\"]; fileinto :copy \"rules\";";
        let found = Found {
            name: "rules".into(),
            compiled: library.script("rules", text),
        };
        let at = [Place::GlobalRules, Place::Personal];
        Ok(at.contains(&place).then_some(found).into_iter().collect())
    }

    fn version(&self) -> Option<u64> {
        Some(0)
    }
}

#[tokio::test]
async fn rules_stand_where_an_account_has_no_script() {
    let others = Arc::new(Others(Mutex::default()));
    let sources: Vec<Arc<dyn ProgramSource>> = vec![others.clone()];
    let house = House::with(SieveSettings::default(), sources).await;
    assert_eq!(told(&house.deliver().await), ["rules", "INBOX"]);
    let asked = others.0.lock().unwrap().len();
    house.deliver().await;
    assert_eq!(others.0.lock().unwrap().len(), asked, "found once");
    house.own("require \"fileinto\"; fileinto \"own\";").await;
    assert_eq!(told(&house.deliver().await), ["rules", "own"]);
}

#[tokio::test]
async fn programs_are_held_within_their_limit_and_made_anew() {
    let settings = SieveSettings {
        cache: 8_000,
        ..SieveSettings::default()
    };
    let house = House::with(settings, Vec::new()).await;
    for number in 0..50 {
        let text = format!("require \"fileinto\"; fileinto \"{number}\";");
        house.own(&text).await;
        assert_eq!(told(&house.deliver().await), [number.to_string()]);
        assert!(house.rules.library().memory() <= 8_000);
    }
    let library = house.rules.library();
    let again = |text: &str| library.script("s", text).unwrap();
    assert!(Arc::ptr_eq(&again("keep;"), &again("keep;")));
}

#[tokio::test]
async fn an_answer_goes_once_to_each_sender_within_its_days() {
    let house = House::new().await;
    house
        .own("require \"vacation\"; vacation :days 3 \"away\";")
        .await;
    let first = house.deliver().await;
    let [letter] = first.letters.as_slice() else {
        panic!("{first:?}");
    };
    assert_eq!(letter.reverse_path, ReversePath::Null);
    let to: Vec<String> = letter.recipients.iter().map(ToString::to_string).collect();
    assert_eq!(to, ["bob@y.test"]);
    assert!(
        first.actions.is_empty(),
        "vacation leaves the implicit keep"
    );
    house.remember(&first).await;
    house.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(house.deliver().await.letters, []);
    house.clock.advance(Duration::from_secs(86_400 + 1));
    assert_eq!(house.deliver().await.letters.len(), 1);
}

#[tokio::test]
async fn an_answer_to_mail_for_another_address_of_the_account_is_given() {
    let house = House::new().await;
    let alias = Address::parse("anna@x.test").unwrap();
    let to = [Address::parse(ANN).unwrap()];
    house.directory.add_alias(&alias, &to).await.unwrap();
    house.own("require \"vacation\"; vacation \"away\";").await;
    let message = "From: bob@y.test\r\nTo: Anna <ANNA@x.test>\r\n\r\nbody\r\n";
    assert_eq!(house.message(message).await.letters.len(), 1);
    let message = "From: bob@y.test\r\nTo: other@x.test\r\n\r\nbody\r\n";
    assert_eq!(house.message(message).await.letters, []);
}

#[tokio::test]
async fn a_duplicate_is_one_once_its_first_copy_was_filed() {
    let house = House::new().await;
    house
        .own("require \"duplicate\"; if duplicate { discard; }")
        .await;
    let message = "Message-ID: <1@y.test>\r\n\r\nbody\r\n";
    let first = house.message(message).await;
    assert_eq!(
        house.message(message).await.actions,
        [],
        "nothing was filed yet"
    );
    house.remember(&first).await;
    assert_eq!(told(&house.message(message).await), ["discard"]);
}

#[tokio::test]
async fn a_refusal_says_why_and_brings_a_notice_where_no_reply_can() {
    let house = House::new().await;
    house.own("require \"reject\"; reject \"Go away\";").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), ["reject Go away"]);
    let notice = ruling.instead.unwrap();
    assert_eq!(notice.reverse_path, ReversePath::Null);
    house.own("require \"ereject\"; ereject \"Go away\";").await;
    let ruling = house.deliver().await;
    assert_eq!(told(&ruling), ["reject Go away"]);
    assert_eq!(ruling.instead, None);
}

#[tokio::test]
async fn mailboxes_are_found_by_name_use_and_id() {
    let house = House::new().await;
    let junk = MailboxName::parse("Spam").unwrap();
    let use_of = Some(SpecialUse::Junk);
    let id = Storage::create(&*house.store, &house.account, &junk, use_of)
        .await
        .unwrap();
    let require = "require [\"fileinto\", \"mailbox\", \"special-use\", \"mailboxid\"];";
    for (script, wanted) in [
        ("fileinto :specialuse \"\\\\Junk\" \"Junk\";", "Spam"),
        ("fileinto :specialuse \"\\\\Sent\" :create \"Out\";", "Out+"),
        (&*format!("fileinto :mailboxid \"{id}\" \"Else\";"), "Spam"),
        ("fileinto :mailboxid \"F0\" \"Else\";", "Else"),
        ("if mailboxexists \"Spam\" { fileinto \"a\"; }", "a"),
        ("if not mailboxexists \"None\" { fileinto \"b\"; }", "b"),
        ("if specialuse_exists \"\\\\Junk\" { fileinto \"c\"; }", "c"),
    ] {
        house.own(&format!("{require} {script}")).await;
        assert_eq!(told(&house.deliver().await), [wanted], "{script}");
    }
}

#[tokio::test]
async fn a_script_sees_what_the_one_before_it_edited() {
    let house = House::new().await;
    let before = "require \"editheader\"; addheader \"X-Site\" \"1\";";
    house.domain(BEFORE, before).await;
    let own = "require [\"fileinto\", \"editheader\"]; \
               if header \"X-Site\" \"1\" { deleteheader \"X-Gone\"; fileinto \"A\"; }";
    house.own(own).await;
    let ruling = house
        .message("X-Gone: 1\r\nSubject: s\r\n\r\nbody\r\n")
        .await;
    let [
        Action::File {
            mailbox,
            form: Form::Header(header),
            ..
        },
    ] = ruling.actions.as_slice()
    else {
        panic!("{ruling:?}");
    };
    assert_eq!(mailbox.as_str(), "A");
    assert_eq!(&header[..], b"X-Site: 1\r\nSubject: s\r\n\r\n");
    house.own("# nothing\r\n").await;
    let ruling = house.deliver().await;
    let [
        Action::File {
            mailbox,
            form: Form::OnTop(fields),
            ..
        },
    ] = ruling.actions.as_slice()
    else {
        panic!("{ruling:?}");
    };
    assert!(mailbox.is_inbox());
    assert_eq!(&fields[..], b"X-Site: 1\r\n");
}

#[tokio::test]
async fn scripts_include_others_of_the_account_the_domain_and_the_site() {
    let mut settings = SieveSettings::default();
    let text = "require \"fileinto\"; fileinto \"site\";";
    settings.site.include.insert("s".into(), text.into());
    let house = House::with(settings, Vec::new()).await;
    house
        .domain("d", "require \"fileinto\"; fileinto \"domain\";")
        .await;
    let own = Scope::Account(house.account.clone());
    house
        .put(&own, "p", "require \"fileinto\"; fileinto \"personal\";")
        .await;
    let includes = "include :personal \"p\"; include :global \"d\"; include :global \"s\";";
    house.own(&format!("require \"include\"; {includes}")).await;
    assert_eq!(told(&house.deliver().await), ["personal", "domain", "site"]);
    house.own("require \"include\"; include \"absent\";").await;
    assert!(house.deliver().await.failed.unwrap().contains("absent"));
}

#[tokio::test]
async fn a_notice_is_sent_but_for_what_a_program_sent() {
    let house = House::new().await;
    let notify = "notify :message \"mail\" \"mailto:sms@y.test\";";
    house.own(&format!("require \"enotify\"; {notify}")).await;
    assert_eq!(house.deliver().await.letters.len(), 1);
    let automatic = "Auto-Submitted: auto-notified\r\n\r\nbody\r\n";
    assert_eq!(house.message(automatic).await.letters, []);
}

#[tokio::test]
async fn annotations_of_mailboxes_and_of_the_server_are_seen() {
    let house = House::new().await;
    let entry = EntryName::parse(b"/private/comment").unwrap();
    let metadata = Storage::metadata(&*house.store).unwrap();
    for (mailbox, value) in [(Some(MailboxName::inbox()), "box"), (None, "server")] {
        let change = (entry.clone(), Some(value.as_bytes().to_vec()));
        let kept = metadata.annotate(&house.account, mailbox.as_ref(), vec![change]);
        kept.await.unwrap();
    }
    let require = "require [\"fileinto\", \"mboxmetadata\", \"servermetadata\"];";
    for (test, wanted) in [
        ("metadata \"INBOX\" \"/private/comment\" \"box\"", "seen"),
        ("metadata \"INBOX\" \"/private/comment\" \"server\"", ""),
        ("servermetadata \"/private/comment\" \"server\"", "seen"),
        ("metadataexists \"Elsewhere\" \"/private/comment\"", ""),
    ] {
        let script = format!("{require} if {test} {{ fileinto \"seen\"; }}");
        house.own(&script).await;
        let wanted = [wanted].into_iter().filter(|it| !it.is_empty());
        assert_eq!(
            told(&house.deliver().await),
            wanted.collect::<Vec<_>>(),
            "{test}"
        );
    }
}
