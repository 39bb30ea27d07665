//! Commands on distribution lists.

use clap::{Args, Subcommand, ValueEnum};
use mailcore::address::Address;
use mailcore::deliver::list::ListSettings;
use mailcore::seams::{ListMode, ListRecord, Lists, Posting, ReplyTo, Scope, Settings};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, said, words};
use super::aligned;
use super::list_mail::ListMail;

/// Members read at a time.
const PAGE: usize = 1_000;

/// What can be asked of lists.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ListRequest {
    /// Adds a distribution list
    Add {
        /// `news@example.com`
        list: String,
        #[command(flatten)]
        options: Options,
    },
    /// Changes what holds for a list
    Set {
        /// `news@example.com`
        list: String,
        #[command(flatten)]
        options: Options,
    },
    /// Lists the lists
    List,
    /// Shows a list and its members
    Show {
        /// `news@example.com`
        list: String,
    },
    /// Removes a list
    Remove {
        /// `news@example.com`
        list: String,
    },
    /// Who is on a list
    #[command(subcommand)]
    Member(Member),
    #[command(flatten)]
    Mail(ListMail),
}

impl ListRequest {
    /// True when it can't be answered from the directory alone.
    pub(super) fn needs_store(&self) -> bool {
        matches!(self, Self::Mail(request) if request.needs_store())
    }
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Member {
    /// Puts addresses on a list; they may be elsewhere, or lists
    Add {
        /// `news@example.com`
        list: String,
        /// Who
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Takes addresses off a list
    Remove {
        /// `news@example.com`
        list: String,
        /// Who
        #[arg(required = true)]
        members: Vec<String>,
    },
}

/// What can be set for a list; `none` takes an address away.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Who may write to it: anybody, or its members
    #[arg(long)]
    mode: Option<Mode>,
    /// Whether moderation narrows that: what others than moderators write waits for
    /// one of them, or only they and the owner write
    #[arg(long)]
    posting: Option<PostingBy>,
    /// Who answers for it
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// Who may write in any case, with commas between
    #[arg(long, value_name = "ADDRESSES")]
    moderators: Option<String>,
    /// Where answers go: `sender`, `list`, or an address
    #[arg(long, value_name = "WHERE")]
    reply_to: Option<String>,
    /// Where failure notices go
    #[arg(long, value_name = "ADDRESS")]
    errors_to: Option<String>,
    /// A file with one member a line, instead of members kept here
    #[arg(long, value_name = "FILE")]
    members_file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mode {
    Public,
    Membership,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum PostingBy {
    Mode,
    Moderated,
    Moderators,
}

impl Options {
    fn apply(self, list: &mut ListRecord) -> Result<(), String> {
        if let Some(mode) = self.mode {
            list.mode = match mode {
                Mode::Public => ListMode::Public,
                Mode::Membership => ListMode::Membership,
            };
        }
        if let Some(posting) = self.posting {
            list.posting = match posting {
                PostingBy::Mode => Posting::ByMode,
                PostingBy::Moderated => Posting::Moderated,
                PostingBy::Moderators => Posting::Moderators,
            };
        }
        if let Some(text) = self.moderators {
            let all = text.split(',').map(str::trim).filter(|it| *it != "none");
            list.moderators = all.map(parse_address).collect::<Result<_, _>>()?;
        }
        if let Some(text) = self.reply_to {
            list.reply_to = match text.as_str() {
                "sender" => ReplyTo::Sender,
                "list" => ReplyTo::List,
                address => ReplyTo::Address(parse_address(address)?),
            };
        }
        if let Some(text) = self.members_file {
            list.members_file = Some(text).filter(|it| it != "none").map(Into::into);
        }
        set(&mut list.owner, self.owner.as_deref())?;
        set(&mut list.errors_to, self.errors_to.as_deref())
    }
}

fn set(field: &mut Option<Address>, text: Option<&str>) -> Result<(), String> {
    match text {
        None => {}
        Some("none") => *field = None,
        Some(text) => *field = Some(parse_address(text)?),
    }
    Ok(())
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn list(&self, request: ListRequest) -> Result<Vec<String>, String> {
        let lists: &dyn Lists = &*self.directory;
        match request {
            ListRequest::Add { list, options } => {
                let mut record = ListRecord::new(parse_address(&list)?);
                options.apply(&mut record)?;
                let added = lists.add_list(&record).await;
                said(added, format!("list {} added", record.address))
            }
            ListRequest::Set { list, options } => {
                let mut record = found(lists, &parse_address(&list)?).await?;
                options.apply(&mut record)?;
                let changed = lists.change_list(&record).await;
                said(changed, format!("list {} changed", record.address))
            }
            ListRequest::List => {
                let all = lists.all_lists().await.map_err(words)?;
                Ok(all.iter().map(ToString::to_string).collect())
            }
            ListRequest::Show { list } => show(lists, &parse_address(&list)?).await,
            ListRequest::Remove { list } => {
                let list = parse_address(&list)?;
                lists.remove_list(&list).await.map_err(words)?;
                // A list that is added anew begins with what holds for all.
                let scope = Scope::Domain(list.domain().clone());
                for name in ListSettings::KEYS {
                    let key = ListSettings::key(name, Some(&list));
                    let taken = self.directory.set(&scope, &key, None).await;
                    taken.map_err(words)?;
                }
                Ok(vec![format!("list {list} removed")])
            }
            ListRequest::Mail(request) => self.list_mail(request).await,
            ListRequest::Member(Member::Add { list, members }) => {
                let (list, members) = (parse_address(&list)?, parse_all(&members)?);
                let count = lists.add_members(&list, &members).await.map_err(words)?;
                Ok(vec![format!("{count} added to {list}")])
            }
            ListRequest::Member(Member::Remove { list, members }) => {
                let (list, members) = (parse_address(&list)?, parse_all(&members)?);
                let count = lists.remove_members(&list, &members).await;
                Ok(vec![format!("{} taken off {list}", count.map_err(words)?)])
            }
        }
    }
}

fn parse_all(texts: &[String]) -> Result<Vec<Address>, String> {
    texts.iter().map(|text| parse_address(text)).collect()
}

pub(super) async fn found(lists: &dyn Lists, list: &Address) -> Result<ListRecord, String> {
    let found = lists.list(list).await.map_err(words)?;
    found.ok_or_else(|| format!("{list} does not exist; add it first"))
}

async fn show(lists: &dyn Lists, list: &Address) -> Result<Vec<String>, String> {
    let record = found(lists, list).await?;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let or_none = |it: Option<String>| it.unwrap_or_else(|| "none".to_owned());
    let text = |it: &Option<Address>| or_none(it.as_ref().map(ToString::to_string));
    let mode = match record.mode {
        ListMode::Membership => "membership",
        ListMode::Public => "public",
    };
    let posting = match record.posting {
        Posting::Moderators => "moderators",
        Posting::Moderated => "moderated",
        Posting::ByMode => "mode",
    };
    let moderators: Vec<String> = record.moderators.iter().map(ToString::to_string).collect();
    let reply_to = match &record.reply_to {
        ReplyTo::Sender => "sender".to_owned(),
        ReplyTo::List => "list".to_owned(),
        ReplyTo::Address(address) => address.to_string(),
    };
    let file = record.members_file.map(|it| it.display().to_string());
    let mut lines = aligned(&[
        row("list", record.address.to_string()),
        row("mode", mode.to_owned()),
        row("posting", posting.to_owned()),
        row("owner", text(&record.owner)),
        row(
            "moderators",
            or_none(Some(moderators.join(", ")).filter(|it| !it.is_empty())),
        ),
        row("reply-to", reply_to),
        row("errors-to", text(&record.errors_to)),
        row("members-file", or_none(file)),
    ]);
    let mut after = None;
    loop {
        let page = lists.members(list, after.as_ref(), PAGE).await;
        let page = page.map_err(words)?;
        lines.extend(page.iter().map(|it| format!("member {it}")));
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(lines),
        }
    }
}
