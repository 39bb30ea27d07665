//! [`Administration`]: options, other addresses, ends and roles of accounts.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountChange, AccountRecord, AccountTemplate, Administration, DirectoryError, DomainKind,
    Held, Role, SharedSecret,
};

use super::keep::{AccountRow, Change, Keep};
use super::local::LocalDirectory;
use super::table::{Account, Table, domain_key, key, not_found};

/// Octets allowed in a display name or language.
const MAX_TEXT: usize = 256;

#[async_trait]
impl<K: Keep> Administration for LocalDirectory<K> {
    async fn change_account(
        &self,
        address: &Address,
        change: &AccountChange,
    ) -> Result<AccountRecord, DirectoryError> {
        let (address, change) = (address.clone(), change.clone());
        self.change(move |table| {
            let row = table.expect_account(&address)?.row.clone();
            let record = change.apply(row.record);
            check_options(table, &record)?;
            let row = AccountRow {
                record: record.clone(),
                ..row
            };
            Ok((vec![Change::PutAccount(row)], record))
        })
        .await
    }

    async fn rename_account(&self, address: &Address, new: &Address) -> Result<(), DirectoryError> {
        let (address, new) = (address.clone(), key(new));
        self.change(move |table| Ok((rename(table, &address, new)?, ())))
            .await
    }

    async fn close_account(
        &self,
        address: &Address,
        heir: Option<&Address>,
    ) -> Result<AccountId, DirectoryError> {
        let (address, heir) = (address.clone(), heir.cloned());
        self.change(move |table| close(table, &address, heir.as_ref()))
            .await
    }

    async fn add_account_with_hash(
        &self,
        address: &Address,
        hash: &str,
    ) -> Result<AccountId, DirectoryError> {
        self.add_with_hash(address, hash).await
    }

    async fn set_password_hash(&self, address: &Address, hash: &str) -> Result<(), DirectoryError> {
        self.take_over_hash(address, hash).await
    }

    async fn shared_secrets(
        &self,
        address: &Address,
    ) -> Result<Vec<(SharedSecret, Held)>, DirectoryError> {
        self.held_secrets(address).await
    }

    async fn allow_shared_secrets(
        &self,
        address: &Address,
        allowed: &[SharedSecret],
    ) -> Result<(), DirectoryError> {
        self.allow_secrets(address, allowed).await
    }

    async fn role(&self, address: &Address) -> Result<Role, DirectoryError> {
        self.read(|table| Ok(table.expect_account(address)?.row.role.clone()))
            .await?
    }

    async fn set_role(&self, address: &Address, role: &Role) -> Result<(), DirectoryError> {
        let (address, role) = (address.clone(), role.clone());
        self.change(move |table| {
            let row = table.expect_account(&address)?.row.clone();
            let role = checked_role(table, role)?;
            Ok((vec![Change::PutAccount(AccountRow { role, ..row })], ()))
        })
        .await
    }

    async fn template(&self, domain: &Domain) -> Result<AccountTemplate, DirectoryError> {
        self.read(|table| {
            let served = table.served(domain).ok_or_else(|| not_found(domain))?;
            Ok(served.template.as_deref().cloned().unwrap_or_default())
        })
        .await?
    }

    async fn set_template(
        &self,
        domain: &Domain,
        template: &AccountTemplate,
    ) -> Result<(), DirectoryError> {
        let (domain, template) = (domain.clone(), template.clone());
        self.change(move |table| {
            check_local(table, &domain)?;
            let options = &template.options;
            check_text("language", options.language.as_deref())?;
            Ok((vec![Change::PutTemplate(domain_key(&domain), template)], ()))
        })
        .await
    }

    async fn default_domain(&self) -> Result<Option<Domain>, DirectoryError> {
        self.read(|table| {
            self.configured_default_domain()
                .or_else(|| table.default_domain())
                .cloned()
        })
        .await
    }

    async fn set_default_domain(&self, domain: Option<&Domain>) -> Result<(), DirectoryError> {
        let domain = domain.cloned();
        self.change(move |table| {
            if let Some(domain) = &domain {
                check_local(table, domain)?;
            }
            let domain = domain.as_ref().map(domain_key);
            Ok((vec![Change::SetDefaultDomain(domain)], ()))
        })
        .await
    }
}

fn check_local(table: &Table, domain: &Domain) -> Result<(), DirectoryError> {
    match table.served(domain).map(|it| &it.record.kind) {
        Some(DomainKind::Local) => Ok(()),
        Some(_) => Err(DirectoryError::NotLocal(domain.clone())),
        None => Err(not_found(domain)),
    }
}

fn check_text(what: &str, text: Option<&str>) -> Result<(), DirectoryError> {
    let bad = |it: &str| it.is_empty() || it.len() > MAX_TEXT || it.contains(char::is_control);
    match text.filter(|it| bad(it)) {
        Some(_) => Err(DirectoryError::Invalid(format!(
            "a {what} has 1 to {MAX_TEXT} octets and no control characters"
        ))),
        None => Ok(()),
    }
}

fn check_options(table: &Table, account: &AccountRecord) -> Result<(), DirectoryError> {
    let options = &account.options;
    check_text("display name", options.display_name.as_deref())?;
    check_text("language", options.language.as_deref())?;
    match &options.redirect {
        Some(redirect) if table.canonical(&redirect.to) == account.address => Err(
            DirectoryError::Invalid(format!("{} can't be redirected to itself", account.address)),
        ),
        _ => Ok(()),
    }
}

/// The role with domains by their keys, each once.
fn checked_role(table: &Table, role: Role) -> Result<Role, DirectoryError> {
    let Role::Domains(domains) = role else {
        return Ok(role);
    };
    let mut keys = BTreeSet::new();
    for domain in domains {
        match table.served(&domain).map(|it| &it.record.kind) {
            None => return Err(not_found(&domain)),
            Some(_) => keys.insert(table.home(&domain)),
        };
    }
    match keys.is_empty() {
        true => Ok(Role::User),
        false => Ok(Role::Domains(keys.into_iter().collect())),
    }
}

fn rename(table: &Table, address: &Address, new: Address) -> Result<Vec<Change>, DirectoryError> {
    let row = table.expect_account(address)?.row.clone();
    let old = row.record.address.clone();
    let mut changes = Vec::new();
    match table.aliases.get(&new) {
        Some(alias) if alias.targets.iter().all(|it| table.canonical(it) == old) => {
            changes.push(Change::RemoveAlias(new.clone()));
        }
        _ => table.check_free(&new)?,
    }
    let mut record = row.record;
    record.address = new.clone();
    changes.push(Change::PutAccount(AccountRow { record, ..row }));
    changes.push(Change::PutAlias(table.next_seq(), old, [new].into()));
    Ok(changes)
}

fn close(
    table: &Table,
    address: &Address,
    heir: Option<&Address>,
) -> Result<(Vec<Change>, AccountId), DirectoryError> {
    let Account { row, .. } = table.expect_account(address)?;
    let (closed, id) = (row.record.address.clone(), row.record.id.clone());
    let heir = match heir {
        Some(heir) => {
            let heir = &table.expect_account(heir)?.row.record.address;
            if *heir == closed {
                return Err(DirectoryError::Invalid(format!(
                    "{closed} can't take over from itself"
                )));
            }
            Some(heir.clone())
        }
        None => None,
    };
    let mut changes = vec![Change::RemoveAccount(id.clone())];
    if let Some(heir) = &heir {
        let targets = [heir.clone()].into();
        changes.push(Change::PutAlias(table.next_seq(), closed.clone(), targets));
        if table.off.contains(&closed) {
            let off = mailcore::seams::AddressState::Off;
            changes.push(Change::Switch(closed.clone(), off));
        }
    }
    changes.extend(repointed_aliases(table, &closed, heir.as_ref()));
    for (list, it) in &table.lists {
        if it.members.contains(&closed) {
            changes.push(Change::RemoveMember(list.clone(), closed.clone()));
            let heir = heir.iter().filter(|heir| !it.members.contains(heir));
            changes.extend(heir.map(|heir| Change::AddMember(list.clone(), heir.clone())));
        }
    }
    Ok((changes, id))
}

/// The aliases that lead to `closed`, leading to `heir` or nowhere.
fn repointed_aliases<'a>(
    table: &'a Table,
    closed: &'a Address,
    heir: Option<&'a Address>,
) -> impl Iterator<Item = Change> + 'a {
    table.aliases.iter().filter_map(move |(alias, it)| {
        if !it.targets.iter().any(|it| table.canonical(it) == *closed) {
            return None;
        }
        let mut targets: Vec<Address> = Vec::new();
        for target in &*it.targets {
            let target = match table.canonical(target) == *closed {
                true => heir,
                false => Some(target),
            };
            targets.extend(target.filter(|it| !targets.contains(it)).cloned());
        }
        Some(match targets.is_empty() {
            true => Change::RemoveAlias(alias.clone()),
            false => Change::PutAlias(it.seq, alias.clone(), Arc::from(targets)),
        })
    })
}
