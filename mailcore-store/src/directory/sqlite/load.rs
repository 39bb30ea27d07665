//! Reads a whole file into a [`Table`]. What can't be read is left out and
//! reported, section by section; the rest is served.

use std::collections::HashMap;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::{Address, AddressError, Domain};
use mailcore::seams::{
    AccountOptions, AccountRecord, AccountTemplate, AddressState, DomainKind, DomainRecord,
    GroupKind, GroupName, KeepCopy, ListMode, ListRecord, Posting, Redirect, ReplyTo, Role, Scope,
    ScriptKind, Sending,
};
use rusqlite::{Connection, Row};

use super::secrets;
use crate::directory::keep::{AccountRow, Change, Damage, Extent, ScriptKey, Section};
use crate::directory::table::{Table, domain_key};

/// A file being read: the table so far, and the numbers by which rows refer to
/// each other. A row that refers to one that could not be read is left out with
/// it, without being damage of its own.
#[derive(Default)]
pub(super) struct Loader {
    pub(super) table: Table,
    domains: HashMap<i64, Domain>,
    pub(super) accounts: HashMap<i64, AccountId>,
    lists: HashMap<i64, Address>,
    groups: HashMap<i64, GroupName>,
    /// Targets of aliases; `None` where one makes no sense.
    targets: HashMap<i64, Option<Vec<Address>>>,
}

/// Takes one row.
type Read = fn(&mut Loader, &Row<'_>) -> rusqlite::Result<()>;

/// One table of the file: its section, the query, the key that orders it, and
/// what a row means. What is referred to comes before what refers to it.
const QUERIES: [(Section, &str, &[&str], Read); 17] = [
    (
        Section::Domains,
        "SELECT seq, name, relay_host, relay_port, alias_of, is_default FROM domain",
        &["seq"],
        domain,
    ),
    (
        Section::Domains,
        "SELECT domain, quota, quota_messages, enabled, language, local_only, in_contacts, \
         spam_to_folder, domain_signature FROM template",
        &["domain"],
        template,
    ),
    (
        Section::Accounts,
        "SELECT seq, address, id, hash, quota, quota_messages, enabled, administrator, \
         display_name, language, local_only, redirect_to, redirect_copy, in_contacts, \
         spam_to_folder, domain_signature FROM account",
        &["seq"],
        account,
    ),
    (
        Section::Accounts,
        "SELECT account, domain FROM administers",
        &["account", "domain"],
        administers,
    ),
    (
        Section::Aliases,
        "SELECT alias, target FROM alias_target",
        &["alias", "place"],
        target,
    ),
    (
        Section::Aliases,
        "SELECT seq, address FROM alias",
        &["seq"],
        alias,
    ),
    (
        Section::Lists,
        "SELECT seq, address, members_only, moderated, owner, reply_to_list, reply_to, errors_to, \
         members_file FROM list",
        &["seq"],
        list,
    ),
    (
        Section::Lists,
        "SELECT list, address FROM list_moderator",
        &["list", "place"],
        moderator,
    ),
    (
        Section::Lists,
        "SELECT list, address FROM list_member",
        &["list", "address"],
        member,
    ),
    (
        Section::Groups,
        "SELECT seq, name, closed FROM account_group",
        &["seq"],
        group,
    ),
    (
        Section::Groups,
        "SELECT account_group, account FROM group_member",
        &["account_group", "account"],
        group_member,
    ),
    (
        Section::Switches,
        "SELECT address FROM switched_off",
        &["address"],
        switched_off,
    ),
    (
        Section::Settings,
        "SELECT level, owner, key, value FROM setting",
        &["seq"],
        setting,
    ),
    (
        Section::Scripts,
        "SELECT level, owner, kind, name, active, octet_length(text) FROM script",
        &["seq"],
        script,
    ),
    (
        Section::Secrets,
        "SELECT account, name, hash, created, last_used, protocols, networks, keys \
         FROM app_password",
        &["account", "name"],
        secrets::app_password,
    ),
    (
        Section::Secrets,
        "SELECT account, name, sealed FROM secret",
        &["account", "name"],
        secrets::secret,
    ),
    (
        Section::Secrets,
        "SELECT name, account FROM certificate",
        &["name"],
        secrets::certificate,
    ),
];

/// Reads everything.
pub(super) fn table(connection: &Connection) -> Table {
    let mut loader = Loader::default();
    for (section, sql, order, read) in QUERIES {
        let mut faults = Faults::new(section);
        loader.read(connection, (sql, order), read, &mut faults);
        loader.table.damage.extend(faults.damage);
    }
    loader.table
}

impl Loader {
    /// Reads the rows of one query, in order; past an unreadable page also from
    /// the other end, so that only what the page held is missing.
    fn read(
        &mut self,
        connection: &Connection,
        (sql, order): (&str, &[&str]),
        read: Read,
        faults: &mut Faults,
    ) {
        for direction in ["ASC", "DESC"] {
            let order: Vec<String> = order.iter().map(|it| format!("{it} {direction}")).collect();
            let sql = format!("{sql} ORDER BY {}", order.join(", "));
            match self.rows(connection, &sql, read, faults) {
                Ok(()) => break,
                Err(error) => faults.page(&error),
            }
        }
    }

    /// Takes every row. `Err` when there may be more.
    fn rows(
        &mut self,
        connection: &Connection,
        sql: &str,
        read: Read,
        faults: &mut Faults,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Err(error) = read(self, row) {
                faults.row(&error);
            }
        }
        Ok(())
    }

    /// The row's number, which is taken even when the rest makes no sense.
    fn seq(&mut self, row: &Row<'_>) -> rusqlite::Result<u64> {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        self.table.saw(seq);
        Ok(seq)
    }
}

/// What is wrong with a section.
struct Faults {
    section: Section,
    damage: Option<Damage>,
}

impl Faults {
    fn new(section: Section) -> Self {
        Self {
            section,
            damage: None,
        }
    }

    fn row(&mut self, error: &rusqlite::Error) {
        let damage = self.damage.get_or_insert_with(|| Damage {
            section: self.section,
            extent: Extent::Rows(0),
            reason: error.to_string(),
        });
        if let Extent::Rows(count) = &mut damage.extent {
            *count += 1;
        }
    }

    fn page(&mut self, error: &rusqlite::Error) {
        self.damage = Some(Damage {
            section: self.section,
            extent: Extent::Pages,
            reason: error.to_string(),
        });
    }
}

fn domain(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let seq = loader.seq(row)?;
    let relay: Option<String> = row.get(2)?;
    let alias: Option<String> = row.get(4)?;
    let kind = match (relay, alias) {
        (Some(host), _) => DomainKind::Relay {
            host: parsed(2, Domain::parse(&host))?,
            port: row.get(3)?,
        },
        (None, Some(of)) => DomainKind::Alias {
            of: parsed(4, Domain::parse(&of))?,
        },
        (None, None) => DomainKind::Local,
    };
    let domain = domain_at(row, 1)?;
    let key = domain_key(&domain);
    let record = DomainRecord { domain, kind };
    if row.get(5)? {
        let change = Change::SetDefaultDomain(Some(key.clone()));
        loader.table.apply(change);
    }
    loader.domains.insert(seq.cast_signed(), key);
    loader.table.apply(Change::PutDomain(seq, record));
    Ok(())
}

fn template(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut options = AccountOptions::default();
    options.language = text(row, 4)?;
    options.sending = sending(row.get(5)?);
    options.in_contacts = row.get(6)?;
    options.spam_to_folder = row.get(7)?;
    options.domain_signature = row.get(8)?;
    let template = AccountTemplate {
        quota: number(row, 1)?,
        quota_messages: number(row, 2)?,
        enabled: row.get(3)?,
        options,
    };
    if let Some(domain) = loader.domains.get(&row.get(0)?) {
        let change = Change::PutTemplate(domain.clone(), template);
        loader.table.apply(change);
    }
    Ok(())
}

fn account(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let seq = loader.seq(row)?;
    let address = address(row, 1)?;
    let domain = address.domain().clone();
    let id = AccountId::new(row.get_ref(2)?.as_str()?);
    let mut record = AccountRecord::new(id.clone(), address);
    record.quota = number(row, 4)?;
    record.quota_messages = number(row, 5)?;
    record.enabled = row.get(6)?;
    let options = &mut record.options;
    options.display_name = text(row, 8)?;
    options.language = text(row, 9)?;
    options.sending = sending(row.get(10)?);
    let copy = match row.get(12)? {
        true => KeepCopy::Yes,
        false => KeepCopy::No,
    };
    options.redirect = optional_address(row, 11)?.map(|to| Redirect { to, copy });
    options.in_contacts = row.get(13)?;
    options.spam_to_folder = row.get(14)?;
    options.domain_signature = row.get(15)?;
    let role = match row.get::<_, i64>(7)? {
        0 => Role::User,
        1 => Role::Domains(vec![domain]),
        2 => Role::Global,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(7, other)),
    };
    let hash = row.get_ref(3)?.as_str()?.into();
    loader.accounts.insert(seq.cast_signed(), id);
    loader.table.apply(Change::PutAccount(AccountRow {
        seq,
        record,
        hash,
        role,
    }));
    Ok(())
}

fn administers(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let domain = domain_at(row, 1)?;
    let id = loader.accounts.get(&row.get(0)?);
    let Some(account) = id.and_then(|id| loader.table.account_by_id(id)) else {
        return Ok(());
    };
    let mut row = account.row.clone();
    row.role = match row.role {
        Role::Domains(mut domains) => {
            domains.push(domain);
            domains.sort_unstable();
            domains.dedup();
            Role::Domains(domains)
        }
        Role::User => Role::Domains(vec![domain]),
        other => other,
    };
    loader.table.apply(Change::PutAccount(row));
    Ok(())
}

fn target(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let targets = loader.targets.entry(row.get(0)?);
    let targets = targets.or_insert_with(|| Some(Vec::new()));
    match address(row, 1) {
        Ok(target) => {
            targets.iter_mut().for_each(|it| it.push(target.clone()));
            Ok(())
        }
        Err(error) => {
            *targets = None;
            Err(error)
        }
    }
}

/// An alias with a target that makes no sense has none at all, and so is not
/// known to lead anywhere rather than known to lead to half of them.
fn alias(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let seq = loader.seq(row)?;
    let targets = loader.targets.remove(&seq.cast_signed()).flatten();
    let targets = targets.unwrap_or_default().into();
    let change = Change::PutAlias(seq, address(row, 1)?, targets);
    loader.table.apply(change);
    Ok(())
}

fn list(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let seq = loader.seq(row)?;
    let mut record = ListRecord::new(address(row, 1)?);
    if row.get(2)? {
        record.mode = ListMode::Membership;
    }
    record.posting = match row.get(3)? {
        0i64 => Posting::ByMode,
        1 => Posting::Moderators,
        // What is not known lets nobody in by himself.
        _ => Posting::Moderated,
    };
    record.owner = optional_address(row, 4)?;
    record.reply_to = match (optional_address(row, 6)?, row.get(5)?) {
        (Some(address), _) => ReplyTo::Address(address),
        (None, true) => ReplyTo::List,
        (None, false) => ReplyTo::Sender,
    };
    record.errors_to = optional_address(row, 7)?;
    record.members_file = row.get::<_, Option<String>>(8)?.map(Into::into);
    let address = record.address.clone();
    loader.lists.insert(seq.cast_signed(), address);
    loader.table.apply(Change::PutList(seq, record));
    Ok(())
}

fn moderator(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let moderator = address(row, 1)?;
    let list = loader.lists.get(&row.get(0)?);
    if let Some(list) = list.and_then(|it| loader.table.lists.get_mut(it)) {
        list.record.moderators.push(moderator);
    }
    Ok(())
}

fn member(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let member = address(row, 1)?;
    if let Some(list) = loader.lists.get(&row.get(0)?) {
        let change = Change::AddMember(list.clone(), member);
        loader.table.apply(change);
    }
    Ok(())
}

fn group(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let seq = loader.seq(row)?;
    let kind = match row.get(2)? {
        true => GroupKind::Closed,
        false => GroupKind::Open,
    };
    let name = row.get_ref(1)?.as_str()?;
    let name = GroupName::parse(name).map_err(|error| odd(1, Box::new(error)))?;
    loader.groups.insert(seq.cast_signed(), name.clone());
    loader.table.apply(Change::PutGroup(seq, name, kind));
    Ok(())
}

fn group_member(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let group = loader.groups.get(&row.get(0)?);
    let account = loader.accounts.get(&row.get(1)?);
    if let (Some(group), Some(account)) = (group, account) {
        let change = Change::AddToGroup(group.clone(), account.clone());
        loader.table.apply(change);
    }
    Ok(())
}

fn switched_off(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let change = Change::Switch(address(row, 0)?, AddressState::Off);
    loader.table.apply(change);
    Ok(())
}

fn setting(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let (key, value) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
    let change = Change::PutSetting(scope(row)?, key.into(), value.into());
    loader.table.apply(change);
    Ok(())
}

fn script(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let kind = match row.get::<_, i64>(2)? {
        0 => ScriptKind::Sieve,
        1 => ScriptKind::Rules,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
    };
    let key = ScriptKey {
        owner: scope(row)?,
        kind,
        name: row.get_ref(3)?.as_str()?.into(),
    };
    let (owner, name) = (key.owner.clone(), Arc::clone(&key.name));
    let size = row.get::<_, i64>(5)?.cast_unsigned();
    loader.table.put_script(key, None, size);
    if row.get(4)? {
        let change = Change::SetActive(owner, kind, Some(name));
        loader.table.apply(change);
    }
    Ok(())
}

fn scope(row: &Row<'_>) -> rusqlite::Result<Scope> {
    Ok(match row.get::<_, i64>(0)? {
        0 => Scope::Global,
        1 => Scope::Domain(domain_at(row, 1)?),
        2 => Scope::Account(AccountId::new(row.get_ref(1)?.as_str()?)),
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, other)),
    })
}

fn sending(local_only: bool) -> Sending {
    match local_only {
        true => Sending::LocalOnly,
        false => Sending::Anywhere,
    }
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<str>>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Into::into))
}

fn domain_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Domain> {
    parsed(column, Domain::parse(row.get_ref(column)?.as_str()?))
}

fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<Address> {
    parsed(column, Address::parse(row.get_ref(column)?.as_str()?))
}

fn optional_address(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Address>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|it| parsed(column, Address::parse(it)))
        .transpose()
}

fn parsed<T>(column: usize, result: Result<T, AddressError>) -> rusqlite::Result<T> {
    result.map_err(|error| odd(column, Box::new(error)))
}

pub(super) fn odd(
    column: usize,
    error: Box<dyn std::error::Error + Send + Sync>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
}
