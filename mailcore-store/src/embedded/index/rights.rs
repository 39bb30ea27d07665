//! Rights on mailboxes, as rows.

use mailcore::account::AccountId;
use mailcore::mailbox::{AclEntry, Identifier, MailboxName, Rights};
use mailcore::seams::AclMailbox;
use rusqlite::{Connection, Row, params};

use super::{Index, signed};

impl Index {
    pub(super) fn apply_rights(
        &mut self,
        mailbox: u64,
        identifier: &str,
        rights: Option<&str>,
    ) -> rusqlite::Result<()> {
        match rights {
            Some(rights) => self
                .conn
                .prepare_cached("INSERT OR REPLACE INTO rights VALUES (?, ?, ?)")?
                .execute(params![signed(mailbox), identifier, rights])?,
            None => self
                .conn
                .prepare_cached("DELETE FROM rights WHERE mailbox = ? AND identifier = ?")?
                .execute(params![signed(mailbox), identifier])?,
        };
        let owner = self.mailbox(mailbox)?.map(|it| it.account.clone());
        self.touched.extend(owner);
        Ok(())
    }
}

/// An entry; `None` for one that cannot be read.
fn entry(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<AclEntry>> {
    let (identifier, rights): (String, String) = (row.get(at)?, row.get(at + 1)?);
    let parsed = Identifier::parse(&identifier).zip(Rights::parse(rights.as_bytes()));
    Ok(parsed.map(|(identifier, rights)| AclEntry { identifier, rights }))
}

/// A mailbox's entries, ordered by identifier.
pub(crate) fn of_mailbox(conn: &Connection, mailbox: u64) -> rusqlite::Result<Vec<AclEntry>> {
    let mut query = conn.prepare_cached(
        "SELECT identifier, rights FROM rights WHERE mailbox = ? ORDER BY identifier",
    )?;
    let rows = query.query_map([signed(mailbox)], |row| entry(row, 0))?;
    rows.filter_map(Result::transpose).collect()
}

/// Mailboxes with an entry for one of these identifiers, ordered by account and
/// name.
pub(crate) fn mailboxes_of(
    conn: &Connection,
    identifiers: &[Identifier],
) -> rusqlite::Result<Vec<AclMailbox>> {
    let mut query = conn.prepare_cached(
        "SELECT identifier, rights, account, name FROM rights JOIN mailboxes ON id = mailbox
         WHERE identifier = ?",
    )?;
    let mut found = Vec::new();
    for identifier in identifiers {
        let rows = query.query_map([identifier.as_str()], |row| {
            let (account, name): (String, String) = (row.get(2)?, row.get(3)?);
            Ok((account, name, entry(row, 0)?))
        })?;
        for row in rows {
            let (account, name, entry) = row?;
            found.extend(
                MailboxName::parse(&name)
                    .ok()
                    .zip(entry)
                    .map(|(name, entry)| AclMailbox {
                        owner: AccountId::new(&account),
                        name,
                        entries: vec![entry],
                    }),
            );
        }
    }
    found.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
    found.dedup_by(|next, kept| {
        let same = (&next.owner, &next.name) == (&kept.owner, &kept.name);
        if same {
            kept.entries.append(&mut next.entries);
        }
        same
    });
    Ok(found)
}
