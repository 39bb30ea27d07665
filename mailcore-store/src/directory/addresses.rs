//! [`Addresses`]: every served address, in order, searched and switched.

use std::collections::HashSet;

use async_trait::async_trait;
use mailcore::address::Address;
use mailcore::seams::{
    AddressLine, AddressQuery, AddressState, Addresses, DirectoryError, ServedAddress, Stands,
};

use super::keep::{Change, Keep};
use super::local::LocalDirectory;
use super::table::{Table, domain_key, key, not_found};
use super::write::add_alias;

/// Faults of an import that are named; more are only counted.
const FAULTS_NAMED: usize = 10;

#[async_trait]
impl<K: Keep> Addresses for LocalDirectory<K> {
    async fn search(&self, query: &AddressQuery) -> Result<Vec<ServedAddress>, DirectoryError> {
        self.read(|table| search(table, query)).await
    }

    async fn set_address(
        &self,
        address: &Address,
        state: AddressState,
    ) -> Result<(), DirectoryError> {
        let address = address.clone();
        self.change(move |table| {
            let key = table.canonical(&address);
            match table.exact(&key) {
                Some(_) => Ok((vec![Change::Switch(key, state)], ())),
                None => Err(not_found(&address)),
            }
        })
        .await
    }

    async fn import(&self, lines: &[AddressLine]) -> Result<usize, DirectoryError> {
        let lines = lines.to_vec();
        self.change(move |table| import(table, lines)).await
    }
}

fn search(table: &Table, query: &AddressQuery) -> Vec<ServedAddress> {
    let domain = query.domain.as_ref().map(domain_key);
    let text = query.contains.as_ref().map(|it| it.to_lowercase());
    let after = query.after.as_ref().map(key);
    let wanted = |address: &Address| {
        after.as_ref().is_none_or(|after| address > after)
            && domain.as_ref().is_none_or(|it| it == address.domain())
            && text
                .as_ref()
                .is_none_or(|it| address.to_string().contains(it))
    };
    let accounts = table
        .accounts
        .keys()
        .map(|it| (it.clone(), Stands::Account));
    let aliases = table
        .aliases
        .iter()
        .filter(|(address, _)| wanted(address))
        .map(|(address, it)| (address.clone(), Stands::Alias(it.targets.to_vec())));
    let lists = table.lists.keys().map(|it| (it.clone(), Stands::List));
    let groups = table.groups.keys().filter_map(|it| it.address());
    let mut found: Vec<ServedAddress> = accounts
        .chain(aliases)
        .chain(lists)
        .chain(groups.map(|it| (it, Stands::Group)))
        .filter(|(address, _)| wanted(address))
        .map(|(address, stands)| ServedAddress {
            state: match table.off.contains(&address) {
                true => AddressState::Off,
                false => AddressState::On,
            },
            address,
            stands,
        })
        .collect();
    found.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    found.truncate(query.limit.unwrap_or(usize::MAX));
    found
}

fn import(table: &Table, lines: Vec<AddressLine>) -> Result<(Vec<Change>, usize), DirectoryError> {
    let (mut changes, mut faults, mut changed) = (Vec::new(), Vec::new(), 0);
    let mut seen = HashSet::new();
    let numbered = (table.next_seq()..).zip(lines);
    for (at, (seq, line)) in numbered.enumerate() {
        let before = changes.len();
        let key = table.canonical(&line.address);
        let taken = match seen.insert(key.clone()) {
            true => import_line(table, seq, key, line, &mut changes),
            false => Err(DirectoryError::Exists(key.to_string())),
        };
        if let Err(error) = taken {
            faults.push(format!("line {}: {error}", at + 1));
        }
        changed += usize::from(changes.len() > before);
    }
    if faults.is_empty() {
        return Ok((changes, changed));
    }
    let more = faults.len().saturating_sub(FAULTS_NAMED);
    faults.truncate(FAULTS_NAMED);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Err(DirectoryError::Invalid(faults.join("; ")))
}

fn import_line(
    table: &Table,
    seq: u64,
    key: Address,
    line: AddressLine,
    changes: &mut Vec<Change>,
) -> Result<(), DirectoryError> {
    let known = table.aliases.get(&key);
    if line.targets.is_empty() {
        table.exact(&key).ok_or_else(|| not_found(&line.address))?;
    } else if known.is_none_or(|it| *it.targets != *line.targets) {
        changes.push(add_alias(table, seq, key.clone(), line.targets.into())?);
    }
    let is_off = table.off.contains(&key);
    if is_off != (line.state == AddressState::Off) {
        changes.push(Change::Switch(key, line.state));
    }
    Ok(())
}
