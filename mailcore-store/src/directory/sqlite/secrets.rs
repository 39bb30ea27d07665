//! App passwords, encrypted secrets and clients' certificates in the file.

use std::str::FromStr;

use mailcore::seams::AppPasswordScope;
use mailcore::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::load::{Loader, odd};
use super::save::{one, run};
use crate::directory::keep::{AppPasswordRow, Change};
use crate::directory::renewal::is_unknown;

pub(super) fn app_password(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut scope = AppPasswordScope::default();
    let protocols: Vec<String> = listed(row, 5)?;
    scope.protocols = protocols.into_iter().map(Into::into).collect();
    scope.networks = listed(row, 6)?;
    let password = AppPasswordRow {
        name: row.get_ref(1)?.as_str()?.into(),
        hash: row.get_ref(2)?.as_str()?.into(),
        created: Timestamp::from_millis(row.get(3)?),
        last_used: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
        scope,
        keys: row.get_ref(7)?.as_blob_or_null()?.map(Into::into),
    };
    if let Some(account) = loader.accounts.get(&row.get(0)?) {
        let change = Change::PutAppPassword(account.clone(), password);
        loader.table.apply(change);
    }
    Ok(())
}

pub(super) fn secret(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let Some(account) = loader.accounts.get(&row.get(0)?).cloned() else {
        return Ok(());
    };
    let read = || Ok((row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_blob()?));
    let (name, sealed) = read().inspect_err(|_: &rusqlite::Error| {
        loader.table.doubt_secrets(&account);
    })?;
    if is_unknown(name) {
        loader.table.doubt_secrets(&account);
    }
    let change = Change::PutSecret(account, name.into(), sealed.into());
    loader.table.apply(change);
    Ok(())
}

pub(super) fn certificate(loader: &mut Loader, row: &Row<'_>) -> rusqlite::Result<()> {
    let name = row.get_ref(0)?.as_str()?;
    let name = name.parse().map_err(|error| odd(0, Box::new(error)))?;
    if let Some(account) = loader.accounts.get(&row.get(1)?) {
        let change = Change::PutCertificate(account.clone(), name);
        loader.table.apply(change);
    }
    Ok(())
}

/// The words of a column. One that makes no sense makes the row make none: an
/// app password must not count in more places than it was made for.
fn listed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Vec<T>> {
    let words = row.get_ref(column)?.as_str()?.split_ascii_whitespace();
    words
        .map(|it| it.parse().map_err(|error| odd(column, Box::new(error))))
        .collect()
}

fn words<T: ToString>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    all.join(" ")
}

/// Writes one change.
pub(super) fn change(batch: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutAppPassword(id, row) => run(
            batch,
            "INSERT INTO app_password (account, name, hash, created, last_used, protocols, \
             networks, keys) \
             VALUES ((SELECT seq FROM account WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (account, name) DO UPDATE SET last_used = excluded.last_used",
            params![
                id.as_str(),
                row.name,
                row.hash,
                row.created.millis(),
                row.last_used.map(|it| it.millis()),
                words(&row.scope.protocols),
                words(&row.scope.networks),
                row.keys.as_deref(),
            ],
        ),
        Change::RemoveAppPassword(id, name) => {
            let sql = "DELETE FROM app_password WHERE name = ?2 AND \
                       account = (SELECT seq FROM account WHERE id = ?1)";
            one(batch, sql, params![id.as_str(), name])
        }
        Change::PutSecret(id, name, sealed) => {
            let sql = "INSERT INTO secret (account, name, sealed) \
                       VALUES ((SELECT seq FROM account WHERE id = ?1), ?2, ?3) \
                       ON CONFLICT (account, name) DO UPDATE SET sealed = excluded.sealed";
            one(batch, sql, params![id.as_str(), name, &**sealed])
        }
        Change::RemoveSecret(id, name) => {
            let sql = "DELETE FROM secret WHERE name = ?2 AND \
                       account = (SELECT seq FROM account WHERE id = ?1)";
            one(batch, sql, params![id.as_str(), name])
        }
        Change::PutCertificate(id, name) => {
            let sql = "INSERT INTO certificate (name, account) \
                       VALUES (?1, (SELECT seq FROM account WHERE id = ?2))";
            one(batch, sql, params![name.to_string(), id.as_str()])
        }
        Change::RemoveCertificate(id, name) => {
            let sql = "DELETE FROM certificate WHERE name = ?1 AND \
                       account = (SELECT seq FROM account WHERE id = ?2)";
            one(batch, sql, params![name.to_string(), id.as_str()])
        }
        _ => Ok(()),
    }
}
