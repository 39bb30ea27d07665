//! How a change that was allowed and kept changes the [`Table`]: the one way
//! for live use, for loading a file, and for the memory directory.

use mailcore::address::{Address, Domain};
use mailcore::route::keys;
use mailcore::seams::{AddressState, Role, Scope, ScriptKind, SharedSecret};
use std::sync::Arc;

use super::keep::{AccountRow, Change, ScriptKey};
use super::patterns::Lookup;
use super::renewal::kept_as;
use super::table::{
    Account, AccountSecrets, Alias, Group, List, Script, Served, Table, domain_key,
};

impl Table {
    /// Applies a checked change. What refers to something that is not there,
    /// as rows of a damaged file may, changes nothing.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::PutDomain(seq, record) => self.put_domain(seq, record),
            Change::RemoveDomain(domain) => self.remove_domain(&domain),
            Change::SetDefaultDomain(domain) => self.default_domain = domain,
            Change::PutTemplate(domain, template) => {
                if let Some(served) = self.domains.get_mut(&domain) {
                    served.template = Some(Box::new(template));
                }
            }
            Change::PutAccount(row) => self.put_account(row),
            Change::SetPassword(id, hash) => {
                let account = self.by_id.get(&id).and_then(|it| self.accounts.get_mut(it));
                if let Some(account) = account {
                    account.row.hash = hash;
                }
            }
            Change::RemoveAccount(id) => self.remove_account(&id),
            Change::PutAlias(seq, address, targets) => {
                self.saw(seq);
                let alias = Alias { seq, targets };
                if self.aliases.insert(address.clone(), alias).is_none() {
                    self.count_name(&address, 1);
                }
            }
            Change::RemoveAlias(address) => {
                let known = self.aliases.remove(&address).is_some();
                self.forget_name(&address, known);
            }
            Change::Switch(address, AddressState::Off) => {
                self.off.insert(address);
            }
            Change::Switch(address, AddressState::On) => {
                self.off.remove(&address);
            }
            list @ (Change::PutList(..)
            | Change::RemoveList(_)
            | Change::AddMember(..)
            | Change::RemoveMember(..)) => self.apply_to_list(list),
            group @ (Change::PutGroup(..)
            | Change::RemoveGroup(_)
            | Change::AddToGroup(..)
            | Change::RemoveFromGroup(..)) => self.apply_to_group(group),
            Change::PutSetting(scope, key, value) => {
                let values = self.settings.entry(scope.clone()).or_default();
                values.insert(Arc::clone(&key), value);
                self.look_again(scope, &key);
            }
            Change::RemoveSetting(scope, key) => {
                if let Some(values) = self.settings.get_mut(&scope) {
                    values.remove(&key);
                }
                self.look_again(scope, &key);
            }
            script @ (Change::PutScript(..)
            | Change::RenameScript(..)
            | Change::SetActive(..)
            | Change::RemoveScript(_)) => self.apply_to_script(script),
            secret => self.apply_to_secret(secret),
        }
    }

    /// Reads what a scope's settings say of addresses, when one of those that
    /// do has changed.
    fn look_again(&mut self, scope: Scope, key: &str) {
        if ![keys::SEPARATOR, keys::CATCH_ALL, keys::PATTERNS].contains(&key) {
            return;
        }
        let lookup = self.settings.get(&scope).map(Lookup::new);
        self.lookups.insert(scope, lookup.unwrap_or_default());
    }

    /// Numbers up to this one are taken.
    pub(super) fn saw(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
    }

    fn put_domain(&mut self, seq: u64, record: mailcore::seams::DomainRecord) {
        self.saw(seq);
        let served = Served {
            seq,
            record,
            template: None,
            accounts: std::collections::BTreeMap::new(),
            administrators: std::collections::BTreeMap::new(),
            names: 0,
        };
        self.domains
            .insert(domain_key(&served.record.domain), served);
    }

    fn remove_domain(&mut self, domain: &Domain) {
        self.domains.remove(domain);
        if self.default_domain.as_ref().map(domain_key).as_ref() == Some(domain) {
            self.default_domain = None;
        }
        self.forget_scope(&Scope::Domain(domain.clone()));
    }

    fn forget_scope(&mut self, scope: &Scope) {
        self.settings.remove(scope);
        self.lookups.remove(scope);
        for kind in [ScriptKind::Sieve, ScriptKind::Rules] {
            self.scripts.remove(&(scope.clone(), kind));
        }
    }

    fn count_name(&mut self, address: &Address, by: isize) {
        if let Some(served) = self.domains.get_mut(address.domain()) {
            served.names = served.names.saturating_add_signed(by);
        }
    }

    /// An alias, list or group that was there is gone.
    fn forget_name(&mut self, address: &Address, known: bool) {
        if known {
            self.count_name(address, -1);
            self.off.remove(address);
        }
    }

    fn put_account(&mut self, row: AccountRow) {
        self.saw(row.seq);
        let id = row.record.id.clone();
        let before = self.by_id.get(&id).cloned();
        let secrets = before.and_then(|address| self.take_account(&address)?.secrets);
        let address = row.record.address.clone();
        if let Some(served) = self.domains.get_mut(address.domain()) {
            served.accounts.insert(row.seq, id.clone());
        }
        for domain in administered(&row) {
            if let Some(served) = self.domains.get_mut(&domain) {
                served.administrators.insert(row.seq, id.clone());
            }
        }
        self.by_id.insert(id, address.clone());
        self.accounts.insert(address, Account { row, secrets });
    }

    /// Takes an account out, and its traces in domains.
    fn take_account(&mut self, address: &Address) -> Option<Account> {
        let account = self.accounts.remove(address)?;
        let row = &account.row;
        self.by_id.remove(&row.record.id);
        if let Some(served) = self.domains.get_mut(address.domain()) {
            served.accounts.remove(&row.seq);
        }
        for domain in administered(row) {
            if let Some(served) = self.domains.get_mut(&domain) {
                served.administrators.remove(&row.seq);
            }
        }
        Some(account)
    }

    fn remove_account(&mut self, id: &mailcore::account::AccountId) {
        if let Some(address) = self.by_id.get(id).cloned() {
            if let Some(secrets) = self.take_account(&address).and_then(|it| it.secrets) {
                for name in secrets.sealed.keys() {
                    self.count_sealed(name, -1);
                }
            }
            self.off.remove(&address);
        }
        self.certificates.retain(|_, of| of != id);
        for name in self.groups_of.remove(id).unwrap_or_default() {
            if let Some(group) = self.groups.get_mut(&name) {
                group.members.remove(id);
            }
        }
        self.forget_scope(&Scope::Account(id.clone()));
    }

    fn apply_to_list(&mut self, change: Change) {
        match change {
            Change::PutList(seq, record) => {
                self.saw(seq);
                let address = record.address.clone();
                let before = self.lists.remove(&address);
                if before.is_none() {
                    self.count_name(&address, 1);
                }
                let members = before.map(|it| it.members).unwrap_or_default();
                let list = List {
                    seq,
                    record,
                    members,
                };
                self.lists.insert(address, list);
            }
            Change::RemoveList(address) => {
                let known = self.lists.remove(&address).is_some();
                self.forget_name(&address, known);
            }
            Change::AddMember(list, member) => {
                if let Some(list) = self.lists.get_mut(&list) {
                    list.members.insert(member);
                }
            }
            Change::RemoveMember(list, member) => {
                if let Some(list) = self.lists.get_mut(&list) {
                    list.members.remove(&member);
                }
            }
            _ => {}
        }
    }

    fn apply_to_group(&mut self, change: Change) {
        match change {
            Change::PutGroup(seq, name, kind) => {
                self.saw(seq);
                let before = self.groups.remove(&name);
                if let (None, Some(address)) = (&before, name.address()) {
                    self.count_name(&address, 1);
                }
                let members = before.map(|it| it.members).unwrap_or_default();
                self.groups.insert(name, Group { seq, kind, members });
            }
            Change::RemoveGroup(name) => {
                let Some(group) = self.groups.remove(&name) else {
                    return;
                };
                for id in group.members {
                    if let Some(groups) = self.groups_of.get_mut(&id) {
                        groups.remove(&name);
                    }
                }
                if let Some(address) = name.address() {
                    self.forget_name(&address, true);
                }
            }
            Change::AddToGroup(name, id) => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.members.insert(id.clone());
                    self.groups_of.entry(id).or_default().insert(name);
                }
            }
            Change::RemoveFromGroup(name, id) => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.members.remove(&id);
                }
                if let Some(groups) = self.groups_of.get_mut(&id) {
                    groups.remove(&name);
                }
            }
            _ => {}
        }
    }

    fn apply_to_script(&mut self, change: Change) {
        match change {
            Change::PutScript(key, text) => {
                let size = text.len() as u64;
                self.put_script(key, Some(text), size);
            }
            Change::RenameScript(key, new) => {
                if let Some(all) = self.scripts.get_mut(&(key.owner, key.kind))
                    && let Some(script) = all.remove(&key.name)
                {
                    all.insert(new, script);
                }
            }
            Change::SetActive(owner, kind, name) => {
                for (other, script) in self.scripts.entry((owner, kind)).or_default() {
                    script.is_active = name.as_ref() == Some(other);
                }
            }
            Change::RemoveScript(key) => {
                if let Some(all) = self.scripts.get_mut(&(key.owner, key.kind)) {
                    all.remove(&key.name);
                }
            }
            _ => {}
        }
    }

    pub(super) fn put_script(&mut self, key: ScriptKey, text: Option<Arc<str>>, size: u64) {
        let all = self.scripts.entry((key.owner, key.kind)).or_default();
        let is_active = all.get(&key.name).is_some_and(|it| it.is_active);
        let script = Script {
            text,
            size,
            is_active,
        };
        all.insert(key.name, script);
    }

    fn apply_to_certificate(&mut self, change: Change) {
        match change {
            Change::PutCertificate(id, name) if self.by_id.contains_key(&id) => {
                self.certificates.insert(name, id);
            }
            Change::RemoveCertificate(_, name) => {
                self.certificates.remove(&name);
            }
            _ => {}
        }
    }

    fn apply_to_secret(&mut self, change: Change) {
        let (Change::PutAppPassword(id, _)
        | Change::RemoveAppPassword(id, _)
        | Change::PutSecret(id, ..)
        | Change::RemoveSecret(id, _)) = &change
        else {
            return self.apply_to_certificate(change);
        };
        let account = self.by_id.get(id).and_then(|it| self.accounts.get_mut(it));
        let Some(account) = account else {
            return;
        };
        let secrets: &mut AccountSecrets = account.secrets.get_or_insert_default();
        let counted = match change {
            Change::PutAppPassword(_, row) => {
                secrets.app_passwords.insert(row.name.clone(), row);
                None
            }
            Change::RemoveAppPassword(_, name) => {
                secrets.app_passwords.remove(&name);
                None
            }
            Change::PutSecret(_, name, sealed) => {
                let is_new = secrets.sealed.insert(Arc::clone(&name), sealed);
                is_new.then_some((name, 1))
            }
            Change::RemoveSecret(_, name) => {
                let was_there = secrets.sealed.remove(&name);
                was_there.then_some((name, -1))
            }
            _ => None,
        };
        if let Some((name, by)) = counted {
            self.count_sealed(&name, by);
        }
    }

    fn count_sealed(&mut self, name: &str, by: isize) {
        let kind = SharedSecret::ALL.iter().find(|it| kept_as(**it) == name);
        if let Some(kind) = kind {
            let count = self.shared_secrets.entry(*kind).or_default();
            *count = count.saturating_add_signed(by);
        }
    }
}

/// The domains whose duty mail the account answers.
fn administered(row: &AccountRow) -> Vec<Domain> {
    match &row.role {
        Role::Domains(domains) => domains.clone(),
        Role::Global => vec![row.record.address.domain().clone()],
        _ => Vec::new(),
    }
}
