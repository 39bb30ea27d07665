//! Every effect survives being written and read.

use super::codec::{FIRST, write_flags, write_range};
use super::*;
use mailcore::mailbox::SystemFlag;

fn text(it: &str) -> String {
    it.to_owned()
}

fn mail_effects() -> Vec<Effect> {
    let mut flags: Flags = [SystemFlag::Seen].into_iter().collect();
    flags.insert_keyword(Keyword::new("$Work").unwrap());
    let source = BodySource::Frame(0);
    let extent = BodySource::Extent(9);
    let filed = Filed {
        mailbox: 1,
        uid: 2,
        modseq: 3,
        content: 4,
        flags: flags.clone(),
        size: 5,
        internal_date: -6,
        save_date: 7,
        email_id: 8,
        thread: Some(9),
        thread_key: Some(u64::MAX),
    };
    let (id, mailbox, modseq) = (1, 2, 3);
    vec![
        Effect::Body {
            id,
            source,
            length: 3,
            hash: [1; 32],
        },
        Effect::Body {
            id,
            source: extent,
            length: 3,
            hash: [2; 32],
        },
        Effect::Content {
            id,
            body: 2,
            prefix: vec![1],
            summary: vec![2, 3],
        },
        Effect::File(filed),
        Effect::Delivery {
            id: 1,
            mailbox,
            uid: 3,
            modseq,
        },
        Effect::Flags {
            mailbox,
            modseq,
            messages: vec![(3, 7, flags)],
        },
        Effect::Expunge {
            mailbox,
            modseq,
            uids: vec![(1, 2), (4, 9)],
            keep: Keep::ForUndelete,
        },
    ]
}

fn counted_effects() -> Vec<Effect> {
    vec![
        Effect::Floor(Floor {
            mailbox: 1,
            uid_next: 1 << 32,
            modseq: 3,
            threads: vec![(4, 5)],
        }),
        Effect::Numbers(Numbers {
            mailbox: 1,
            body: 2,
            content: 3,
            version: 4,
            event: 5,
            validity: 6,
            first_event: 7,
        }),
    ]
}

fn other_effects() -> Vec<Effect> {
    let (account, name) = (text("a"), text("b"));
    let (namespace, key) = (text("n"), text("k"));
    let created = Effect::CreateMailbox {
        id: 1,
        account: account.clone(),
        name: name.clone(),
        uid_validity: 2,
        special_use: Some(text("\\Junk")),
    };
    let put = Effect::Put {
        namespace: namespace.clone(),
        key: key.clone(),
        value: vec![1],
        version: 2,
        expires: Some(-3),
    };
    vec![
        created,
        put,
        Effect::DeleteMailbox {
            id: 1,
            keep: Keep::Nothing,
        },
        Effect::Rights {
            mailbox: 1,
            identifier: text("anyone"),
            rights: Some(text("lr")),
        },
        Effect::Forget {
            mailbox: 1,
            uids: vec![(1, 2), (4, 4)],
        },
        Effect::RenameMailbox {
            id: 1,
            name: name.clone(),
        },
        Effect::Subscribe {
            account: account.clone(),
            name: name.clone(),
        },
        Effect::Unsubscribe { account, name },
        Effect::Enqueue {
            id: 1,
            body: 2,
            fixed: vec![3],
            progress: vec![4],
        },
        Effect::Progress {
            id: 1,
            progress: vec![4],
        },
        Effect::Dequeue { id: 1 },
        Effect::Drop { namespace, key },
        Effect::Event {
            cursor: 1,
            event: vec![1],
        },
    ]
}

#[test]
fn every_effect_reads_back_and_no_prefix_of_it_does() {
    let record = Record {
        at: -1,
        effects: [mail_effects(), counted_effects(), other_effects()].concat(),
    };
    let octets = record.encode();
    assert_eq!(Record::decode(&octets), Ok(record));
    for cut in 0..octets.len() {
        assert!(Record::decode(&octets[..cut]).is_err(), "cut at {cut}");
    }
}

/// One effect as the first format wrote it.
fn first_layout(tag: u64, write: impl FnOnce(&mut Packer)) -> Record {
    let mut effect = Packer::new(FIRST);
    write(&mut effect);
    let mut out = Packer::new(RECORD);
    out.i64(5);
    out.list(&[effect.finish()], |out, effect| {
        out.u64(tag);
        out.octets(effect);
    });
    Record::decode(&out.finish()).unwrap()
}

#[test]
fn effects_of_the_first_layout_are_read() {
    let filed = first_layout(3, |out| {
        (1..=5).for_each(|it| out.u64(it));
        write_flags(out, &Flags::NONE);
        out.i64(6);
        out.i64(7);
        out.u128(8);
    });
    let [Effect::File(filed)] = &filed.effects[..] else {
        panic!("{filed:?}")
    };
    assert_eq!((filed.email_id, filed.size), (8, 5));
    assert_eq!((filed.thread, filed.thread_key), (None, None));
    let expunged = first_layout(6, |out| {
        out.u64(1);
        out.u64(2);
        out.list(&[(3, 4)], write_range);
    });
    let deleted = first_layout(8, |out| out.u64(1));
    let keep = Keep::Nothing;
    let expunge = Effect::Expunge {
        mailbox: 1,
        modseq: 2,
        uids: vec![(3, 4)],
        keep,
    };
    assert_eq!(expunged.effects, [expunge]);
    assert_eq!(deleted.effects, [Effect::DeleteMailbox { id: 1, keep }]);
}
