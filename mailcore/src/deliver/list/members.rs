//! The members of a list, one after the other: those kept in the directory in
//! pages, those of a file as it is read, those of lists and groups that are
//! members themselves. Nothing of it is held but a mark for each that was met.

use std::collections::{HashMap, HashSet, VecDeque};

use super::members_file::MembersFile;
use crate::address::{Address, Domain};
use crate::seams::{Directory, DirectoryError, DomainKind, ListRecord, Resolution};

/// Members read at a time.
const PAGE: usize = 1_000;
/// Lists within a list, all together.
const MAX_LISTS: usize = 1_000;

/// Where a member lies, for those whose mail ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Here,
    Elsewhere,
}

/// A member, each but once.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: Address,
    pub(super) lies: Where,
    /// The place in the walk, by which it is taken up again.
    pub(super) at: String,
    /// What two addresses of one account have in common.
    pub(super) key: String,
}

/// A walk over members.
#[derive(Debug)]
pub(super) struct Members<'d> {
    directory: &'d dyn Directory,
    lists: VecDeque<ListRecord>,
    met: HashSet<Address>,
    current: Option<Source>,
    /// A mark of each member met.
    seen: HashSet<u128>,
    domains: HashMap<Domain, Where>,
}

#[derive(Debug)]
struct Source {
    list: Address,
    from: From,
}

#[derive(Debug)]
enum From {
    Directory(Option<Address>),
    File(MembersFile),
    Ended,
}

impl<'d> Members<'d> {
    pub(super) fn new(directory: &'d dyn Directory, list: &ListRecord) -> Self {
        Self {
            directory,
            met: HashSet::from([list.address.clone()]),
            lists: VecDeque::from([list.clone()]),
            current: None,
            seen: HashSet::new(),
            domains: HashMap::new(),
        }
    }

    /// The next of them; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Member>>, DirectoryError> {
        loop {
            let mut source = match self.current.take() {
                Some(source) => source,
                None => match self.lists.pop_front() {
                    Some(list) => Source::of(list),
                    None => return Ok(None),
                },
            };
            let page = self.page(&mut source).await?;
            if !matches!(source.from, From::Ended) {
                self.current = Some(source);
            }
            let mut members = Vec::with_capacity(page.len());
            for (at, address) in page {
                self.take(at, address, &mut members).await?;
            }
            if !members.is_empty() {
                return Ok(Some(members));
            }
        }
    }

    /// Some addresses, each with its place.
    async fn page(&self, source: &mut Source) -> Result<Vec<(String, Address)>, DirectoryError> {
        let list = &source.list;
        match &mut source.from {
            From::Ended => Ok(Vec::new()),
            From::File(file) => {
                let lines = file.next().await?;
                if !lines.bad.is_empty() {
                    let lines = &lines.bad;
                    tracing::warn!(%list, ?lines, "lines of a file of members that are no address");
                }
                // With the address: in a file that was changed meanwhile the line
                // is another member's.
                let at = |(line, address)| (format!("{list} {line} {address}"), address);
                let members = lines.members.into_iter().map(at).collect();
                if lines.last {
                    source.from = From::Ended;
                }
                Ok(members)
            }
            From::Directory(after) => {
                let Some(lists) = self.directory.lists() else {
                    return Ok(Vec::new());
                };
                let page = lists.members(list, after.as_ref(), PAGE).await?;
                let at = |address: &Address| (format!("{list} {address}"), address.clone());
                let members = page.iter().map(at).collect();
                match page.last() {
                    Some(last) if page.len() == PAGE => *after = Some(last.clone()),
                    _ => source.from = From::Ended,
                }
                Ok(members)
            }
        }
    }

    /// Takes a member up: a list among them is walked over later, a group is the
    /// accounts in it.
    async fn take(
        &mut self,
        at: String,
        address: Address,
        members: &mut Vec<Member>,
    ) -> Result<(), DirectoryError> {
        let lies = self.lies(address.domain()).await?;
        let stands = match lies {
            Where::Here => self.directory.resolve(&address).await?,
            Where::Elsewhere => Resolution::Unknown,
        };
        match stands {
            Resolution::List(inner) => self.follow(&inner).await?,
            Resolution::Group(name) => {
                let Some(groups) = self.directory.groups() else {
                    return Ok(());
                };
                let group = groups.group(&name).await?;
                for id in group.map(|it| it.members).unwrap_or_default() {
                    if let Some(account) = self.directory.account(&id).await? {
                        let key = id.as_str().to_owned();
                        let at = format!("{at} {key}");
                        self.add((at, key), (account.address, lies), members);
                    }
                }
            }
            Resolution::Account(id) => {
                let key = id.as_str().to_owned();
                self.add((at, key), (address, lies), members);
            }
            _ => {
                let key = address.folded().to_string();
                self.add((at, key), (address, lies), members);
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        (at, key): (String, String),
        (address, lies): (Address, Where),
        members: &mut Vec<Member>,
    ) {
        if self.seen.insert(mark(&key)) {
            members.push(Member {
                address,
                lies,
                at,
                key,
            });
        }
    }

    async fn follow(&mut self, list: &Address) -> Result<(), DirectoryError> {
        if self.met.len() >= MAX_LISTS || !self.met.insert(list.clone()) {
            return Ok(());
        }
        if let Some(lists) = self.directory.lists()
            && let Some(record) = lists.list(list).await?
        {
            self.lists.push_back(record);
        }
        Ok(())
    }

    async fn lies(&mut self, domain: &Domain) -> Result<Where, DirectoryError> {
        if let Some(lies) = self.domains.get(domain) {
            return Ok(*lies);
        }
        let served = self.directory.domain(domain).await?;
        let lies = match served.map(|it| it.kind) {
            Some(DomainKind::Local | DomainKind::Alias { .. }) => Where::Here,
            _ => Where::Elsewhere,
        };
        // A list may have members in as many domains as it likes.
        if self.domains.len() < PAGE {
            self.domains.insert(domain.clone(), lies);
        }
        Ok(lies)
    }
}

impl Source {
    fn of(list: ListRecord) -> Self {
        Self {
            from: match &list.members_file {
                Some(path) => From::File(MembersFile::new(path)),
                None => From::Directory(None),
            },
            list: list.address,
        }
    }
}

/// 16 octets for a member, of which a list may have a million: two of a million
/// have one mark with a chance of 1 to 10^26.
fn mark(key: &str) -> u128 {
    // FNV-1a over 128 bits.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let step = |hash: u128, octet: u8| (hash ^ u128::from(octet)).wrapping_mul(PRIME);
    key.bytes().fold(START, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_keys_apart() {
        let all: HashSet<u128> = (0..50_000).map(|n| mark(&format!("u{n}@a.test"))).collect();
        assert_eq!(all.len(), 50_000);
    }
}
