//! Writes changes, each as the statements of its tables.

use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountTemplate, AddressState, DomainKind, DomainRecord, GroupKind, KeepCopy, ListMode,
    ListRecord, Posting, ReplyTo, Role, Scope, ScriptKind, Sending,
};
use rusqlite::{Connection, ToSql, params};

use super::secrets;
use crate::directory::keep::{AccountRow, Change, ScriptKey};

/// Writes one change within a transaction.
pub(super) fn change(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutDomain(..)
        | Change::RemoveDomain(_)
        | Change::SetDefaultDomain(_)
        | Change::PutTemplate(..) => domain(batch, change),
        Change::PutAccount(row) => put_account(batch, row),
        Change::SetPassword(id, hash) => {
            let sql = "UPDATE account SET hash = ?2 WHERE id = ?1";
            one(batch, sql, params![id.as_str(), hash])
        }
        Change::RemoveAccount(id) => remove_account(batch, id),
        Change::PutAlias(seq, alias, targets) => put_alias(batch, *seq, alias, targets),
        Change::RemoveAlias(alias) => {
            switch_on(batch, alias)?;
            one(batch, "DELETE FROM alias WHERE address = ?1", [text(alias)])
        }
        Change::Switch(address, AddressState::On) => switch_on(batch, address),
        Change::Switch(address, AddressState::Off) => {
            let sql = "INSERT INTO switched_off (address) VALUES (?1) ON CONFLICT DO NOTHING";
            run(batch, sql, [text(address)])
        }
        Change::PutList(..)
        | Change::RemoveList(_)
        | Change::AddMember(..)
        | Change::RemoveMember(..) => list(batch, change),
        Change::PutGroup(..)
        | Change::RemoveGroup(_)
        | Change::AddToGroup(..)
        | Change::RemoveFromGroup(..) => group(batch, change),
        Change::PutSetting(scope, key, value) => {
            let (level, owner) = scope_columns(scope);
            let sql = "INSERT INTO setting (level, owner, key, value) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (level, owner, key) DO UPDATE SET value = excluded.value";
            run(batch, sql, params![level, owner, key, value])
        }
        Change::RemoveSetting(scope, key) => {
            let (level, owner) = scope_columns(scope);
            let sql = "DELETE FROM setting WHERE level = ?1 AND owner = ?2 AND key = ?3";
            one(batch, sql, params![level, owner, key])
        }
        Change::PutScript(..)
        | Change::RenameScript(..)
        | Change::SetActive(..)
        | Change::RemoveScript(_) => script(batch, change),
        Change::PutAppPassword(..)
        | Change::RemoveAppPassword(..)
        | Change::PutSecret(..)
        | Change::RemoveSecret(..)
        | Change::PutCertificate(..)
        | Change::RemoveCertificate(..) => secrets::change(batch, change),
    }
}

pub(super) fn run(
    batch: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    batch.prepare_cached(sql)?.execute(values).map(drop)
}

/// A statement that changes what is known to be there: when it finds nothing,
/// the file is not what was read from it.
pub(super) fn one(
    batch: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    match batch.prepare_cached(sql)?.execute(values)? {
        1 => Ok(()),
        count => Err(rusqlite::Error::StatementChangedRows(count)),
    }
}

fn text(address: &Address) -> String {
    address.to_string()
}

fn optional(address: Option<&Address>) -> Option<String> {
    address.map(ToString::to_string)
}

fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Columns `level` and `owner`.
fn scope_columns(scope: &Scope) -> (i64, &str) {
    match scope {
        Scope::Global => (0, ""),
        Scope::Domain(domain) => (1, domain.as_str()),
        Scope::Account(id) => (2, id.as_str()),
    }
}

fn kind_column(kind: ScriptKind) -> i64 {
    match kind {
        ScriptKind::Sieve => 0,
        _ => 1,
    }
}

fn switch_on(batch: &Connection, address: &Address) -> rusqlite::Result<()> {
    let sql = "DELETE FROM switched_off WHERE address = ?1";
    run(batch, sql, [text(address)])
}

fn forget_scope(batch: &Connection, scope: &Scope) -> rusqlite::Result<()> {
    let (level, owner) = scope_columns(scope);
    for sql in [
        "DELETE FROM setting WHERE level = ?1 AND owner = ?2",
        "DELETE FROM script WHERE level = ?1 AND owner = ?2",
    ] {
        run(batch, sql, params![level, owner])?;
    }
    Ok(())
}

fn domain(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutDomain(seq, record) => put_domain(batch, *seq, record),
        Change::RemoveDomain(domain) => {
            forget_scope(batch, &Scope::Domain(domain.clone()))?;
            // Kept as it was given, found by its key.
            let names = named(batch, domain)?;
            names
                .iter()
                .try_for_each(|name| one(batch, "DELETE FROM domain WHERE name = ?1", [name]))
        }
        Change::SetDefaultDomain(wanted) => {
            let sql = "UPDATE domain SET is_default = 0 WHERE is_default <> 0";
            run(batch, sql, [])?;
            let names = wanted.iter().map(|it| named(batch, it));
            for name in names.collect::<Result<Vec<_>, _>>()?.concat() {
                let sql = "UPDATE domain SET is_default = 1 WHERE name = ?1";
                one(batch, sql, [name])?;
            }
            Ok(())
        }
        Change::PutTemplate(domain, template) => {
            let names = named(batch, domain)?;
            names
                .iter()
                .try_for_each(|name| put_template(batch, name, template))
        }
        _ => Ok(()),
    }
}

/// The names under which a domain is kept, given its key: U-labels and A-labels
/// are one name.
fn named(batch: &Connection, key: &Domain) -> rusqlite::Result<Vec<String>> {
    let mut all = batch.prepare_cached("SELECT name FROM domain")?;
    let names = all.query_map([], |row| row.get::<_, String>(0))?;
    let is_it = |name: &String| {
        Domain::parse(name).is_ok_and(|it| crate::directory::table::domain_key(&it) == *key)
    };
    names
        .filter(|name| name.as_ref().map_or(true, is_it))
        .collect()
}

fn put_domain(batch: &Connection, seq: u64, record: &DomainRecord) -> rusqlite::Result<()> {
    let (host, port, alias_of) = match &record.kind {
        DomainKind::Relay { host, port } => (Some(host.as_str()), Some(*port), None),
        DomainKind::Alias { of } => (None, None, Some(of.as_str())),
        _ => (None, None, None),
    };
    let sql = "INSERT INTO domain (seq, name, relay_host, relay_port, alias_of) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let name = record.domain.as_str();
    run(batch, sql, params![to_sql(seq), name, host, port, alias_of])
}

fn put_template(
    batch: &Connection,
    domain: &str,
    template: &AccountTemplate,
) -> rusqlite::Result<()> {
    let options = &template.options;
    run(
        batch,
        "INSERT OR REPLACE INTO template (domain, quota, quota_messages, enabled, language, \
         local_only, in_contacts, spam_to_folder, domain_signature) \
         VALUES ((SELECT seq FROM domain WHERE name = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            domain,
            template.quota.map(to_sql),
            template.quota_messages.map(to_sql),
            template.enabled,
            options.language,
            options.sending == Sending::LocalOnly,
            options.in_contacts,
            options.spam_to_folder,
            options.domain_signature,
        ],
    )
}

/// Columns `administrator`, and the domains of `administers`.
fn role_columns(row: &AccountRow) -> (i64, Vec<&Domain>) {
    let own = row.record.address.domain();
    match &row.role {
        Role::Domains(domains) => {
            let others = domains.iter().filter(|it| *it != own).collect();
            (i64::from(domains.contains(own)), others)
        }
        Role::Global => (2, Vec::new()),
        _ => (0, Vec::new()),
    }
}

fn put_account(batch: &Connection, row: &AccountRow) -> rusqlite::Result<()> {
    let (record, options) = (&row.record, &row.record.options);
    let (administrator, others) = role_columns(row);
    let redirect = options.redirect.as_ref();
    let values: &[&dyn ToSql] = params![
        to_sql(row.seq),
        text(&record.address),
        record.id.as_str(),
        row.hash,
        record.quota.map(to_sql),
        record.quota_messages.map(to_sql),
        record.enabled,
        administrator,
        options.display_name,
        options.language,
        options.sending == Sending::LocalOnly,
        optional(redirect.map(|it| &it.to)),
        redirect.is_some_and(|it| it.copy == KeepCopy::Yes),
        options.in_contacts,
        options.spam_to_folder,
        options.domain_signature,
    ];
    run(
        batch,
        "INSERT INTO account (seq, address, id, hash, quota, quota_messages, enabled, \
         administrator, display_name, language, local_only, redirect_to, redirect_copy, \
         in_contacts, spam_to_folder, domain_signature) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (seq) DO UPDATE SET address = excluded.address, hash = excluded.hash, \
         quota = excluded.quota, quota_messages = excluded.quota_messages, \
         enabled = excluded.enabled, administrator = excluded.administrator, \
         display_name = excluded.display_name, language = excluded.language, \
         local_only = excluded.local_only, redirect_to = excluded.redirect_to, \
         redirect_copy = excluded.redirect_copy, in_contacts = excluded.in_contacts, \
         spam_to_folder = excluded.spam_to_folder, \
         domain_signature = excluded.domain_signature",
        values,
    )?;
    let seq = to_sql(row.seq);
    run(batch, "DELETE FROM administers WHERE account = ?1", [seq])?;
    for domain in others {
        let sql = "INSERT INTO administers (account, domain) VALUES (?1, ?2)";
        run(batch, sql, params![seq, domain.as_str()])?;
    }
    Ok(())
}

fn remove_account(batch: &Connection, id: &AccountId) -> rusqlite::Result<()> {
    forget_scope(batch, &Scope::Account(id.clone()))?;
    let sql =
        "DELETE FROM switched_off WHERE address = (SELECT address FROM account WHERE id = ?1)";
    run(batch, sql, [id.as_str()])?;
    one(batch, "DELETE FROM account WHERE id = ?1", [id.as_str()])
}

fn put_alias(
    batch: &Connection,
    seq: u64,
    alias: &Address,
    targets: &[Address],
) -> rusqlite::Result<()> {
    let seq = to_sql(seq);
    let sql = "INSERT INTO alias (seq, address) VALUES (?1, ?2) \
               ON CONFLICT (seq) DO UPDATE SET address = excluded.address";
    run(batch, sql, params![seq, text(alias)])?;
    run(batch, "DELETE FROM alias_target WHERE alias = ?1", [seq])?;
    let sql = "INSERT INTO alias_target (alias, place, target) VALUES (?1, ?2, ?3)";
    for (place, target) in (0i64..).zip(targets) {
        run(batch, sql, params![seq, place, text(target)])?;
    }
    Ok(())
}

fn list(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutList(seq, record) => put_list(batch, to_sql(*seq), record),
        Change::RemoveList(list) => {
            switch_on(batch, list)?;
            one(batch, "DELETE FROM list WHERE address = ?1", [text(list)])
        }
        Change::AddMember(list, member) => {
            let sql = "INSERT INTO list_member (list, address) \
                       VALUES ((SELECT seq FROM list WHERE address = ?1), ?2) \
                       ON CONFLICT DO NOTHING";
            run(batch, sql, [text(list), text(member)])
        }
        Change::RemoveMember(list, member) => {
            let sql = "DELETE FROM list_member WHERE address = ?2 AND \
                       list = (SELECT seq FROM list WHERE address = ?1)";
            one(batch, sql, [text(list), text(member)])
        }
        _ => Ok(()),
    }
}

fn put_list(batch: &Connection, seq: i64, record: &ListRecord) -> rusqlite::Result<()> {
    let (to_list, reply_to) = match &record.reply_to {
        ReplyTo::Sender => (false, None),
        ReplyTo::List => (true, None),
        ReplyTo::Address(address) => (false, Some(address)),
    };
    let posting = match record.posting {
        Posting::ByMode => 0i64,
        Posting::Moderators => 1,
        Posting::Moderated => 2,
    };
    run(
        batch,
        "INSERT INTO list (seq, address, members_only, moderated, owner, reply_to_list, reply_to, \
         errors_to, members_file) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (seq) DO UPDATE SET members_only = excluded.members_only, \
         moderated = excluded.moderated, owner = excluded.owner, \
         reply_to_list = excluded.reply_to_list, reply_to = excluded.reply_to, \
         errors_to = excluded.errors_to, members_file = excluded.members_file",
        params![
            seq,
            text(&record.address),
            record.mode == ListMode::Membership,
            posting,
            optional(record.owner.as_ref()),
            to_list,
            optional(reply_to),
            optional(record.errors_to.as_ref()),
            record.members_file.as_ref().and_then(|it| it.to_str()),
        ],
    )?;
    run(batch, "DELETE FROM list_moderator WHERE list = ?1", [seq])?;
    let sql = "INSERT INTO list_moderator (list, place, address) VALUES (?1, ?2, ?3)";
    for (place, moderator) in (0i64..).zip(&record.moderators) {
        run(batch, sql, params![seq, place, text(moderator)])?;
    }
    Ok(())
}

fn group(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutGroup(seq, name, kind) => {
            let sql = "INSERT INTO account_group (seq, name, closed) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (seq) DO UPDATE SET closed = excluded.closed";
            let closed = *kind == GroupKind::Closed;
            run(batch, sql, params![to_sql(*seq), name.as_str(), closed])
        }
        Change::RemoveGroup(name) => {
            name.address().map_or(Ok(()), |it| switch_on(batch, &it))?;
            one(
                batch,
                "DELETE FROM account_group WHERE name = ?1",
                [name.as_str()],
            )
        }
        Change::AddToGroup(name, id) => {
            let sql = "INSERT INTO group_member (account_group, account) \
                       VALUES ((SELECT seq FROM account_group WHERE name = ?1), \
                       (SELECT seq FROM account WHERE id = ?2)) ON CONFLICT DO NOTHING";
            run(batch, sql, [name.as_str(), id.as_str()])
        }
        Change::RemoveFromGroup(name, id) => {
            let sql = "DELETE FROM group_member WHERE \
                       account_group = (SELECT seq FROM account_group WHERE name = ?1) \
                       AND account = (SELECT seq FROM account WHERE id = ?2)";
            one(batch, sql, [name.as_str(), id.as_str()])
        }
        _ => Ok(()),
    }
}

fn script(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutScript(key, text) => {
            let (level, owner) = scope_columns(&key.owner);
            let sql = "INSERT INTO script (level, owner, kind, name, active, text) \
                       VALUES (?1, ?2, ?3, ?4, 0, ?5) \
                       ON CONFLICT (level, owner, kind, name) DO UPDATE SET text = excluded.text";
            let kind = kind_column(key.kind);
            run(batch, sql, params![level, owner, kind, key.name, text])
        }
        Change::RenameScript(key, new) => {
            let (level, owner) = scope_columns(&key.owner);
            let sql = "UPDATE script SET name = ?5 \
                       WHERE level = ?1 AND owner = ?2 AND kind = ?3 AND name = ?4";
            let kind = kind_column(key.kind);
            one(batch, sql, params![level, owner, kind, key.name, new])
        }
        Change::SetActive(owner, kind, name) => {
            let (level, owner) = scope_columns(owner);
            // `IS`: no name is no script's.
            let sql = "UPDATE script SET active = name IS ?4 \
                       WHERE level = ?1 AND owner = ?2 AND kind = ?3";
            run(batch, sql, params![level, owner, kind_column(*kind), name])
        }
        Change::RemoveScript(key) => {
            let (level, owner) = scope_columns(&key.owner);
            let sql = "DELETE FROM script \
                       WHERE level = ?1 AND owner = ?2 AND kind = ?3 AND name = ?4";
            run(
                batch,
                sql,
                params![level, owner, kind_column(key.kind), key.name],
            )
        }
        _ => Ok(()),
    }
}

/// The text of a script.
pub(super) fn read_script(
    connection: &Connection,
    key: &ScriptKey,
) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension;

    let (level, owner) = scope_columns(&key.owner);
    let sql = "SELECT text FROM script \
               WHERE level = ?1 AND owner = ?2 AND kind = ?3 AND name = ?4";
    let values = params![level, owner, kind_column(key.kind), key.name];
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(values, |row| row.get(0)).optional()
}
