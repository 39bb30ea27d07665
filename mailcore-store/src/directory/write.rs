//! Domains, accounts and aliases come and go: [`DirectoryWrite`], and the rules
//! that each change must keep.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountSummary, Addresses, Administration, DirectoryError, DirectoryWrite, DomainKind,
    DomainRecord, Role,
};

use super::keep::{AccountRow, Change, Keep};
use super::local::LocalDirectory;
use super::table::{Table, domain_key, key, not_found};

/// Targets allowed for one alias.
pub const MAX_ALIAS_TARGETS: usize = 10_000;

#[async_trait]
impl<K: Keep> DirectoryWrite for LocalDirectory<K> {
    async fn add_domain(&self, domain: &Domain, kind: DomainKind) -> Result<(), DirectoryError> {
        let domain = domain.clone();
        self.change(move |table| Ok((add_domain(table, domain, kind)?, ())))
            .await
    }

    async fn remove_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let domain = domain_key(domain);
        self.change(move |table| Ok((remove_domain(table, domain)?, ())))
            .await
    }

    async fn add_account(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<AccountId, DirectoryError> {
        let address = key(address);
        let mut made = self.made_of(&address, password).await?;
        self.change(move |table| {
            let hash = made.hash.take().unwrap_or_default();
            let (mut changes, id) = add_account(table, address, hash)?;
            changes.extend(made.changes(&id, None)?);
            Ok((changes, id))
        })
        .await
    }

    async fn remove_account(&self, address: &Address) -> Result<(), DirectoryError> {
        let address = address.clone();
        self.change(move |table| {
            let account = table.expect_account(&address)?;
            let id = account.row.record.id.clone();
            Ok((vec![Change::RemoveAccount(id)], ()))
        })
        .await
    }

    async fn set_password(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<(), DirectoryError> {
        let address = address.clone();
        let made = self.made_of(&address, password).await?;
        self.change(move |table| {
            let account = table.expect_account(&address)?;
            let id = &account.row.record.id;
            Ok((made.changes(id, Some(account))?, ()))
        })
        .await
    }

    async fn add_alias(&self, alias: &Address, targets: &[Address]) -> Result<(), DirectoryError> {
        let (alias, targets) = (key(alias), Arc::from(targets));
        self.change(move |table| {
            Ok((
                vec![add_alias(table, table.next_seq(), alias, targets)?],
                (),
            ))
        })
        .await
    }

    async fn remove_alias(&self, alias: &Address) -> Result<(), DirectoryError> {
        let alias = alias.clone();
        self.change(move |table| {
            let key = table.canonical(&alias);
            match table.aliases.contains_key(&key) {
                true => Ok((vec![Change::RemoveAlias(key)], ())),
                false => Err(not_found(&alias)),
            }
        })
        .await
    }

    async fn accounts(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<AccountSummary>, DirectoryError> {
        let records = self.read(|table| table.accounts(domain)).await?;
        Ok(records
            .into_iter()
            .map(|account| AccountSummary { account })
            .collect())
    }

    async fn aliases(&self) -> Result<Vec<(Address, Vec<Address>)>, DirectoryError> {
        let all = |table: &Table| {
            let aliases = table.aliases.iter();
            aliases
                .map(|(alias, it)| (alias.clone(), it.targets.to_vec()))
                .collect()
        };
        self.read(all).await
    }

    fn administration(&self) -> Option<&dyn Administration> {
        Some(self)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        Some(self)
    }
}

fn add_domain(
    table: &Table,
    domain: Domain,
    kind: DomainKind,
) -> Result<Vec<Change>, DirectoryError> {
    if table.served(&domain).is_some() {
        return Err(DirectoryError::Exists(domain.to_string()));
    }
    if let DomainKind::Alias { of } = &kind {
        if domain_key(of) == domain_key(&domain) {
            return Err(DirectoryError::Invalid(format!(
                "{domain} can't be an alias of itself"
            )));
        }
        // Only a domain that is there can be the target of one that is not, so
        // that aliases never go in a circle.
        match table.served(of).map(|it| &it.record.kind) {
            Some(DomainKind::Local | DomainKind::Alias { .. }) => {}
            _ => return Err(DirectoryError::NotLocal(of.clone())),
        }
    }
    let record = DomainRecord { domain, kind };
    Ok(vec![Change::PutDomain(table.next_seq(), record)])
}

fn remove_domain(table: &Table, domain: Domain) -> Result<Vec<Change>, DirectoryError> {
    let served = table.served(&domain).ok_or_else(|| not_found(&domain))?;
    let others = table.domains.values().map(|it| &it.record);
    let aliases = others
        .filter(|it| matches!(&it.kind, DomainKind::Alias { of } if domain_key(of) == domain));
    let by = match (served.accounts.len(), served.names, aliases.count()) {
        (0, 0, 0) => None,
        (0, 0, domains) => Some(format!("{domains} domains that are aliases of it")),
        (accounts, 0, _) => Some(format!("{accounts} accounts")),
        (accounts, names, _) => Some(format!(
            "{accounts} accounts and {names} aliases, lists or groups"
        )),
    };
    if let Some(by) = by {
        return Err(DirectoryError::InUse {
            what: domain.to_string(),
            by,
        });
    }
    // An account that can't be read may be one of this domain.
    table.check_names()?;
    let mut changes: Vec<Change> = Vec::new();
    for account in served.administrators.values() {
        let Some(account) = table.account_by_id(account) else {
            continue;
        };
        let mut row = account.row.clone();
        if let Role::Domains(domains) = &mut row.role {
            domains.retain(|it| *it != domain);
            changes.push(Change::PutAccount(row));
        }
    }
    changes.push(Change::RemoveDomain(domain));
    Ok(changes)
}

pub(super) fn add_account(
    table: &Table,
    address: Address,
    hash: Arc<str>,
) -> Result<(Vec<Change>, AccountId), DirectoryError> {
    table.check_free(&address)?;
    let seq = table.next_seq();
    let mut id = AccountId::new(&address.to_string());
    if table.by_id.contains_key(&id) {
        // An account that was made with this address and has another now.
        id = AccountId::new(&format!("{address}/{seq}"));
    }
    let template = table.served(address.domain());
    let template = template.and_then(|it| it.template.as_deref().cloned());
    let row = AccountRow {
        seq,
        record: template.unwrap_or_default().account(id.clone(), address),
        hash,
        role: Role::User,
    };
    Ok((vec![Change::PutAccount(row)], id))
}

/// A new alias at a free address.
pub(super) fn add_alias(
    table: &Table,
    seq: u64,
    alias: Address,
    targets: Arc<[Address]>,
) -> Result<Change, DirectoryError> {
    if targets.is_empty() || targets.len() > MAX_ALIAS_TARGETS {
        return Err(DirectoryError::Invalid(format!(
            "an alias has 1 to {MAX_ALIAS_TARGETS} targets"
        )));
    }
    table.check_free(&alias)?;
    Ok(Change::PutAlias(seq, alias, targets))
}
