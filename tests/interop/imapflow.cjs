// ImapFlow's day: it enables IMAP4rev2, CONDSTORE and what else it knows, compresses
// within TLS (RFC 4978), and works by UID. Arguments: host, port, user, password.
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const { ImapFlow } = require('imapflow');

const config = (words, more) => {
    const [host, port, user, pass] = words;
    return {
        host, port: Number(port), secure: true, auth: { user, pass },
        tls: { rejectUnauthorized: false }, logger: false, ...more,
    };
};

// What is sent compressed in both directions is what an uncompressed session sees, be it
// text that shrinks or noise that does not.
async function compressed(words) {
    const client = new ImapFlow(config(words, { disableAutoIdle: true }));
    const plain = new ImapFlow(config(words, { disableAutoIdle: true, disableCompression: true }));
    await client.connect();
    await plain.connect();
    assert(client._inflate && !plain._inflate, 'one of them compresses');
    const bodies = [
        Buffer.from(`${'The same line again and again.\r\n'.repeat(60000)}`),
        Buffer.from(crypto.randomBytes(1500000).toString('base64').replace(/.{76}/g, '$&\r\n')),
        Buffer.from('x'),
    ];
    await client.mailboxCreate('Compressed');
    const read = async (session, uid) => {
        const message = await session.fetchOne(String(uid), { source: true }, { uid: true });
        return message.source;
    };
    const locks = [await client.getMailboxLock('Compressed'), await plain.getMailboxLock('Compressed')];
    for (const body of bodies) {
        const message = Buffer.concat([Buffer.from('Subject: c\r\n\r\n'), body]);
        const { uid } = await client.append('Compressed', message);
        await plain.noop();
        assert(message.equals(await read(client, uid)), 'as it was');
        assert(message.equals(await read(plain, uid)), 'the same without compression');
    }
    // News come through while nothing is asked.
    const told = new Promise((resolve) => { client.once('exists', resolve); });
    const idle = client.idle();
    await plain.append('Compressed', 'Subject: news\r\n\r\nx\r\n');
    assert.equal((await told).count, bodies.length + 1);
    await client.noop();
    await idle;
    locks.forEach((lock) => lock.release());
    await plain.logout();
    await client.mailboxDelete('Compressed');
    await client.logout();
}

async function main(words) {
    await compressed(words);
    const client = new ImapFlow(config(words, { qresync: true, disableAutoIdle: true }));
    await client.connect();
    assert(client._inflate, 'it compresses');
    assert(['CONDSTORE', 'IMAP4REV2'].every((name) => client.enabled.has(name)), `enabled: ${[...client.enabled]}`);
    const made = await client.mailboxCreate(['Проекты', 'R&D']);
    assert.equal(made.path, 'Проекты/R&D');
    const text = (n) => Buffer.from(
        `From: a@x.test\r\nSubject: n${n}\r\nMIME-Version: 1.0\r\n` +
        'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody\r\n--b\r\n' +
        'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n' +
        `Content-Transfer-Encoding: base64\r\n\r\n${Buffer.alloc(60000, n).toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n--b--\r\n`);
    for (let n = 1; n <= 5; n += 1) {
        const appended = await client.append('Проекты/R&D', text(n), n === 1 ? ['\\Seen', '$Forwarded'] : []);
        assert.equal(appended.uid, n);
    }
    const status = await client.status('Проекты/R&D', { messages: true, unseen: true, highestModseq: true });
    assert.equal(status.messages, 5);
    assert.equal(status.unseen, 4);
    const list = await client.list({ statusQuery: { messages: true } });
    assert(list.some((box) => box.path === 'Проекты/R&D' && box.status.messages === 5));

    const lock = await client.getMailboxLock('Проекты/R&D');
    try {
        assert.deepEqual(await client.search({ keyword: '$Forwarded' }, { uid: true }), [1]);
        assert.deepEqual(await client.search({ subject: 'n3' }, { uid: true }), [3]);
        const seen = [];
        for await (const message of client.fetch('1:*', {
            uid: true, flags: true, envelope: true, bodyStructure: true, size: true, internalDate: true,
        })) {
            seen.push(message.envelope.subject);
            assert.equal(message.bodyStructure.childNodes.length, 2);
        }
        assert.deepEqual(seen, ['n1', 'n2', 'n3', 'n4', 'n5']);
        const { content } = await client.download('2', '2', { uid: true });
        let size = 0;
        for await (const chunk of content) {
            assert(chunk.every((octet) => octet === 2));
            size += chunk.length;
        }
        assert.equal(size, 60000);
        assert(await client.messageFlagsAdd('2:3', ['\\Flagged'], { uid: true }));
        assert.deepEqual(await client.search({ flagged: true }, { uid: true }), [2, 3]);
        await client.mailboxCreate('Archive');
        const moved = await client.messageMove('2', 'Archive', { uid: true });
        assert.equal(moved.uidMap.get(2), 1);
        const copied = await client.messageCopy('3', 'Archive', { uid: true });
        assert.equal(copied.uidMap.get(3), 2);
        assert(await client.messageDelete('3', { uid: true }));
        assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 4, 5]);
    } finally {
        lock.release();
    }
    await client.mailboxRename('Archive', 'Old');
    await client.mailboxSubscribe('Old');
    assert((await client.list()).some((box) => box.path === 'Old' && box.subscribed));
    await client.mailboxDelete('Old');
    await client.logout();
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error, error.response && JSON.stringify(error.response));
    process.exit(1);
});
