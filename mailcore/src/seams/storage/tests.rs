use super::*;

/// A mailbox that shows one message and does no more.
#[derive(Debug)]
struct Notice;

#[async_trait]
impl Mailbox for Notice {
    async fn status(&self) -> Result<MailboxStatus, StoreError> {
        let rows = self.messages(&UidSet::all()).await?;
        let id = MailboxId(1);
        Ok(MailboxStatus::of(id, UidValidity::MIN, &rows, None))
    }

    async fn messages(&self, _: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
        Ok(vec![MessageInfo::new(Uid::MIN, 4, Timestamp::EPOCH)])
    }

    async fn message(&self, _: Uid) -> Result<Message, StoreError> {
        Ok(Message::from_bytes("\r\nx\r\n"))
    }
}

#[test]
fn a_mailbox_that_tells_nothing_is_not_taken_for_deleted() {
    let watch = Notice.watch();
    assert!(!watch.has_changed().expect("open"));
}
