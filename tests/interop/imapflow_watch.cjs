// Watches the mailbox `shared` by ImapFlow's events, and tells what it believes to be
// in it when a line comes in. Arguments: host, port, user, password.
'use strict';

const { ImapFlow } = require('imapflow');

async function main([host, port, user, pass]) {
    const client = new ImapFlow({
        host, port: Number(port), secure: true, auth: { user, pass },
        tls: { rejectUnauthorized: false }, logger: false, qresync: true,
    });
    await client.connect();
    const known = new Map();
    const learn = async (range) => {
        for await (const message of client.fetch(range, { uid: true, flags: true }, { uid: true })) {
            known.set(message.uid, [...message.flags]);
        }
    };
    // The lowest UID of which not everything is known.
    let next = 1;
    client.on('flags', (news) => {
        if (known.has(news.uid)) known.set(news.uid, [...news.flags]);
        else if (news.uid) next = Math.min(next, news.uid);
    });
    client.on('expunge', (news) => {
        if (news.uid) known.delete(news.uid);
        else throw new Error('EXPUNGE with QRESYNC in use');
    });
    const look = async () => {
        const from = next;
        next = Infinity;
        await learn(`${from}:*`);
        next = Math.min(next, Math.max(0, ...known.keys()) + 1);
    };
    await client.mailboxOpen('shared');
    await look();
    process.stdout.write('watching\n');
    let stopped = false;
    process.stdin.once('data', () => { stopped = true; });
    while (!stopped) {
        const idle = client.idle();
        await new Promise((resolve) => { setTimeout(resolve, 200); });
        await client.noop();
        await idle;
        await look();
    }
    for (let round = 0; round < 2; round += 1) {
        await client.noop();
        await look();
    }
    process.stdout.write(JSON.stringify(Object.fromEntries(known)));
    await client.logout();
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);
});
