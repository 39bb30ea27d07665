//! Checks of settings, scripts and secrets.

use std::sync::Arc;

use super::{Accounts, add_account, add_local, address, domain, leaves_out, log_in, run};
use crate::account::{AccountId, Secret};
use crate::seams::{
    AppPasswordScope, AuthRequest, CertificateName, DirectoryError, Proof, Scope, ScriptKind,
    Scripts, Secrets, Settings,
};
use crate::wire::ClientCertificate;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Accounts>) {
    run!(&make().await;
        the_nearest_setting_holds,
        a_change_of_settings_is_told,
        a_change_of_scripts_is_told,
        scripts_are_kept_as_managesieve_needs_them,
        kinds_and_owners_of_scripts_are_apart,
        app_passwords_log_in_until_removed,
        app_passwords_count_within_their_scope,
        a_certificate_stands_for_one_account,
        secrets_come_back_in_clear,
    );
}

async fn the_nearest_setting_holds(directory: &Arc<dyn Accounts>) {
    let Some(settings) = directory.settings() else {
        return;
    };
    add_local(directory, "x.test").await;
    let id = add_account(directory, "user@x.test").await;
    let account = Scope::Account(id);
    let of_domain = Scope::Domain(domain("x.test"));
    let first = settings.set(&Scope::Global, "k", Some("global")).await;
    if leaves_out(&first) {
        return;
    }
    first.expect("set");
    let holds = async |scope: &Scope| {
        let found = settings.setting(scope, "k").await.expect("read");
        let found = found.expect("something holds");
        (found.value.to_string(), found.scope)
    };
    let global = ("global".to_owned(), Scope::Global);
    assert_eq!(holds(&account).await, global);
    let set = settings.set(&of_domain, "k", Some("domain")).await;
    set.expect("set");
    assert_eq!(holds(&account).await.0, "domain");
    assert_eq!(holds(&of_domain).await.0, "domain");
    assert_eq!(holds(&Scope::Global).await, global);
    settings.set(&account, "k", Some("")).await.expect("set");
    assert_eq!(holds(&account).await, (String::new(), account.clone()));
    settings.set(&account, "k", None).await.expect("unset");
    settings
        .set(&account, "k", None)
        .await
        .expect("unset twice");
    assert_eq!(holds(&account).await.0, "domain");
    let values = settings.values(&of_domain).await.expect("read");
    assert_eq!(values, [("k".into(), "domain".into())]);
    below_a_prefix(settings, &of_domain).await;
    let none = settings.setting(&account, "other").await.expect("read");
    assert_eq!(none, None);
    for (scope, key) in [
        (Scope::Global, ""),
        (Scope::Global, "a b"),
        (Scope::Account(AccountId::new("nobody")), "k"),
    ] {
        assert!(settings.set(&scope, key, Some("v")).await.is_err());
    }
    settings.set(&account, "k", Some("own")).await.expect("set");
    let removed = directory.remove_account(&address("user@x.test")).await;
    removed.expect("remove");
    add_account(directory, "user@x.test").await;
    assert_eq!(
        settings.value(&account, "k").await.expect("read"),
        None,
        "an account's settings go with it"
    );
}

async fn below_a_prefix(settings: &dyn Settings, scope: &Scope) {
    for key in ["j.z", "k.a", "k.b", "l"] {
        settings.set(scope, key, Some(key)).await.expect("set");
    }
    let below = settings.values_below(scope, "k.").await.expect("read");
    let of = |key: &str| (key.into(), key.into());
    assert_eq!(below, [of("k.a"), of("k.b")]);
    for key in ["j.z", "k.a", "k.b", "l"] {
        settings.set(scope, key, None).await.expect("unset");
    }
}

async fn a_change_of_settings_is_told(directory: &Arc<dyn Accounts>) {
    let Some(settings) = directory.settings() else {
        return;
    };
    let Some(mut watch) = settings.watch() else {
        return;
    };
    watch.mark_unchanged();
    let set = settings.set(&Scope::Global, "k", Some("v")).await;
    if leaves_out(&set) {
        return;
    }
    set.expect("set");
    assert!(watch.has_changed().expect("the directory lives"));
}

async fn a_change_of_scripts_is_told(directory: &Arc<dyn Accounts>) {
    let owner = owner(directory).await;
    let Some(scripts) = directory.scripts() else {
        return;
    };
    let Some(mut watch) = scripts.watch() else {
        return;
    };
    let kind = ScriptKind::Sieve;
    let put = scripts.put_script(&owner, kind, "s", "keep;").await;
    if leaves_out(&put) {
        return;
    }
    put.expect("put");
    assert!(watch.has_changed().expect("the directory lives"));
    watch.mark_unchanged();
    let activated = scripts.set_active(&owner, kind, Some("s")).await;
    activated.expect("activated");
    assert!(watch.has_changed().expect("the directory lives"));
}

async fn owner(directory: &Arc<dyn Accounts>) -> Scope {
    add_local(directory, "x.test").await;
    Scope::Account(add_account(directory, "user@x.test").await)
}

async fn listing(scripts: &dyn Scripts, owner: &Scope, kind: ScriptKind) -> Vec<String> {
    let entries = scripts.script_entries(owner, kind).await.expect("read");
    let line = |it: &crate::seams::ScriptEntry| {
        let active = if it.is_active { "*" } else { "" };
        format!("{}{active} {}", it.name, it.size)
    };
    entries.iter().map(line).collect()
}

async fn scripts_are_kept_as_managesieve_needs_them(directory: &Arc<dyn Accounts>) {
    let Some(scripts) = directory.scripts() else {
        return;
    };
    let owner = owner(directory).await;
    let kind = ScriptKind::Sieve;
    let put = async |name: &str, text: &str| scripts.put_script(&owner, kind, name, text).await;
    let first = put("main", "keep;").await;
    if leaves_out(&first) {
        return;
    }
    first.expect("put");
    put("other", "stop;\r\n").await.expect("put");
    assert_eq!(listing(scripts, &owner, kind).await, ["main 5", "other 7"]);
    assert_eq!(
        scripts.active_script(&owner, kind).await.expect("read"),
        None
    );
    let active = async |name| scripts.set_active(&owner, kind, name).await;
    active(Some("main")).await.expect("activate");
    active(Some("other")).await.expect("one at a time");
    put("other", "discard;").await.expect("replace");
    assert_eq!(listing(scripts, &owner, kind).await, ["main 5", "other* 8"]);
    let read = scripts.active_script(&owner, kind).await.expect("read");
    assert_eq!(read, Some(("other".into(), "discard;".into())));
    let rename = async |name: &str, new| scripts.rename_script(&owner, kind, name, new).await;
    rename("other", "new").await.expect("rename");
    let exists = rename("new", "main").await;
    assert!(matches!(exists, Err(DirectoryError::Exists(_))));
    let missing = rename("other", "newer").await;
    assert!(matches!(missing, Err(DirectoryError::NotFound(_))));
    assert_eq!(listing(scripts, &owner, kind).await, ["main 5", "new* 8"]);
    let delete = async |name: &str| scripts.delete_script(&owner, kind, name).await;
    let in_use = delete("new").await;
    assert!(
        matches!(in_use, Err(DirectoryError::InUse { .. })),
        "the active script stays (RFC 5804 section 2.10)"
    );
    active(None).await.expect("deactivate");
    delete("new").await.expect("delete");
    let missing = active(Some("new")).await;
    assert!(matches!(missing, Err(DirectoryError::NotFound(_))));
    let missing = scripts.script(&owner, kind, "new").await;
    assert!(matches!(missing, Err(DirectoryError::NotFound(_))));
    for name in ["", "a\r\nb", "a\u{2028}b", &"x".repeat(600)] {
        assert!(put(name, "keep;").await.is_err(), "{name:?}");
    }
    let space = scripts.check_space(&owner, kind, "big", u64::MAX).await;
    assert!(matches!(space, Err(DirectoryError::OverQuota { .. })));
    let space = scripts.check_space(&owner, kind, "main", 100).await;
    space.expect("there is room");
}

async fn kinds_and_owners_of_scripts_are_apart(directory: &Arc<dyn Accounts>) {
    let Some(scripts) = directory.scripts() else {
        return;
    };
    let owner = owner(directory).await;
    let of_domain = Scope::Domain(domain("x.test"));
    let places = [
        (&owner, ScriptKind::Sieve),
        (&owner, ScriptKind::Rules),
        (&of_domain, ScriptKind::Sieve),
        (&Scope::Global, ScriptKind::Sieve),
    ];
    for (count, (owner, kind)) in places.iter().enumerate() {
        let text = "x".repeat(count);
        let put = scripts.put_script(owner, *kind, "same", &text).await;
        if leaves_out(&put) {
            return;
        }
        put.expect("put");
    }
    for (count, (owner, kind)) in places.iter().enumerate() {
        let text = scripts.script(owner, *kind, "same").await.expect("read");
        assert_eq!(text.len(), count);
    }
    let removed = directory.remove_account(&address("user@x.test")).await;
    removed.expect("remove");
    assert!(listing(scripts, &owner, ScriptKind::Sieve).await.is_empty());
    assert_eq!(
        listing(scripts, &of_domain, ScriptKind::Sieve).await.len(),
        1
    );
}

/// An account, where the directory keeps secrets.
async fn holder(directory: &Arc<dyn Accounts>) -> Option<(&dyn Secrets, AccountId)> {
    let secrets = directory.secrets()?;
    add_local(directory, "x.test").await;
    Some((secrets, add_account(directory, "user@x.test").await))
}

async fn app_passwords_log_in_until_removed(directory: &Arc<dyn Accounts>) {
    let Some((secrets, id)) = holder(directory).await else {
        return;
    };
    let anywhere = AppPasswordScope::default();
    let added = secrets.add_app_password(&id, "phone", &anywhere).await;
    if leaves_out(&added) {
        return;
    }
    let phone = added.expect("add");
    let pad = secrets.add_app_password(&id, "pad", &anywhere).await;
    let pad = pad.expect("add");
    let again = secrets.add_app_password(&id, "pad", &anywhere).await;
    assert!(matches!(again, Err(DirectoryError::Exists(_))));
    let login = async |secret: &Secret| log_in(directory, "user@x.test", secret).await;
    for secret in [&phone, &pad, &super::password()] {
        assert_eq!(login(secret).await.expect("a right password"), id);
    }
    let listed = secrets.app_passwords(&id).await.expect("read");
    let names: Vec<&str> = listed.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["pad", "phone"]);
    assert!(listed.iter().all(|it| it.last_used.is_some()));
    secrets
        .remove_app_password(&id, "phone")
        .await
        .expect("remove");
    assert!(login(&phone).await.is_err());
    login(&pad).await.expect("the other one stays");
    let gone = secrets.remove_app_password(&id, "phone").await;
    assert!(matches!(gone, Err(DirectoryError::NotFound(_))));
}

async fn app_passwords_count_within_their_scope(directory: &Arc<dyn Accounts>) {
    let Some((secrets, id)) = holder(directory).await else {
        return;
    };
    let scope = AppPasswordScope {
        protocols: vec!["smtp".into(), "pop3".into()],
        networks: vec!["192.0.2.0/24".parse().expect("a network")],
    };
    let added = secrets.add_app_password(&id, "printer", &scope).await;
    if leaves_out(&added) {
        return;
    }
    let printer = added.expect("add");
    let login = async |protocol, peer: Option<&str>| {
        let request = AuthRequest {
            login: "user@x.test".to_owned(),
            proof: Proof::Password(printer.clone()),
            peer: peer.map(|it| it.parse().expect("an address")),
            protocol,
        };
        directory.authenticate(&request).await.is_ok()
    };
    assert!(login("smtp", Some("192.0.2.7")).await);
    assert!(login("pop3", Some("::ffff:192.0.2.7")).await);
    assert!(!login("imap", Some("192.0.2.7")).await, "another protocol");
    assert!(!login("smtp", Some("198.51.100.7")).await, "elsewhere");
    assert!(!login("smtp", None).await, "nobody knows where");
    let listed = secrets.app_passwords(&id).await.expect("read");
    assert_eq!(listed.first().map(|it| &it.scope), Some(&scope));
}

async fn a_certificate_stands_for_one_account(directory: &Arc<dyn Accounts>) {
    let Some((secrets, id)) = holder(directory).await else {
        return;
    };
    let other = add_account(directory, "other@x.test").await;
    let name: CertificateName = "address:USER@x.test".parse().expect("a name");
    let added = secrets.add_certificate(&id, &name).await;
    if leaves_out(&added) {
        return;
    }
    added.expect("add");
    let again = secrets.add_certificate(&other, &name).await;
    assert!(matches!(again, Err(DirectoryError::Exists(_))));
    let mut certificate = ClientCertificate::new(*b"der");
    certificate.addresses = vec!["nobody@x.test".into(), "User@x.test".into()];
    let shown = Arc::new(certificate);
    let login = async |login: &str| {
        let request = AuthRequest {
            login: login.to_owned(),
            proof: Proof::Certificate(Arc::clone(&shown)),
            peer: None,
            protocol: "imap",
        };
        directory.authenticate(&request).await.map(|it| it.account)
    };
    assert_eq!(login("").await.expect("it says who"), id);
    assert_eq!(login("user@x.test").await.expect("the same"), id);
    assert!(login("other@x.test").await.is_err(), "not its own");
    let names = secrets.certificates(&id).await.expect("read");
    assert_eq!(names, std::slice::from_ref(&name));
    let not_its = secrets.remove_certificate(&other, &name).await;
    assert!(matches!(not_its, Err(DirectoryError::NotFound(_))));
    secrets
        .remove_certificate(&id, &name)
        .await
        .expect("remove");
    assert!(login("").await.is_err());
}

async fn secrets_come_back_in_clear(directory: &Arc<dyn Accounts>) {
    let Some((secrets, id)) = holder(directory).await else {
        return;
    };
    let word = Secret::new("tanstaaf");
    let kept = secrets.keep_secret(&id, "cram-md5", &word).await;
    if leaves_out(&kept) {
        return;
    }
    kept.expect("keep");
    let read = async |name: &str| secrets.secret(&id, name).await.expect("read");
    assert_eq!(read("cram-md5").await, Some(word));
    assert_eq!(read("apop").await, None);
    let other = Secret::new("other");
    let kept = secrets.keep_secret(&id, "cram-md5", &other).await;
    kept.expect("replace");
    assert_eq!(read("cram-md5").await, Some(other));
    secrets
        .forget_secret(&id, "cram-md5")
        .await
        .expect("forget");
    assert_eq!(read("cram-md5").await, None);
}
