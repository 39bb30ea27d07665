CREATE TABLE meta (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    store         BLOB    NOT NULL,
    next_lsn      INTEGER NOT NULL,
    segment       INTEGER NOT NULL,
    place         INTEGER NOT NULL,
    next_mailbox  INTEGER NOT NULL,
    next_body     INTEGER NOT NULL,
    next_content  INTEGER NOT NULL,
    next_version  INTEGER NOT NULL,
    next_event    INTEGER NOT NULL,
    next_validity INTEGER NOT NULL,
    released      INTEGER NOT NULL
);
CREATE TABLE mailboxes (
    id           INTEGER PRIMARY KEY,
    account      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next     INTEGER NOT NULL,
    modseq       INTEGER NOT NULL,
    messages     INTEGER NOT NULL,
    unseen       INTEGER NOT NULL,
    deleted      INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    special_use  TEXT
);
CREATE UNIQUE INDEX mailboxes_name ON mailboxes (account, name);
CREATE TABLE subscriptions (
    account TEXT NOT NULL,
    name    TEXT NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE TABLE bodies (
    id      INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    lsn     INTEGER NOT NULL,
    length  INTEGER NOT NULL,
    hash    BLOB    NOT NULL,
    refs    INTEGER NOT NULL,
    generation INTEGER NOT NULL
);
CREATE INDEX bodies_dead_extents ON bodies (id) WHERE id >= 4611686018427387904 AND refs <= 0;
CREATE TABLE segments (
    number     INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
);
CREATE TABLE contents (
    id      INTEGER PRIMARY KEY,
    body    INTEGER NOT NULL,
    refs    INTEGER NOT NULL,
    sum     INTEGER NOT NULL,
    prefix  BLOB    NOT NULL,
    summary BLOB    NOT NULL
);
CREATE TABLE messages (
    mailbox       INTEGER NOT NULL,
    uid           INTEGER NOT NULL,
    modseq        INTEGER NOT NULL,
    content       INTEGER NOT NULL,
    flags         INTEGER NOT NULL,
    keywords      TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    save_date     INTEGER NOT NULL,
    email_id      BLOB    NOT NULL,
    thread        INTEGER,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX messages_modseq ON messages (mailbox, modseq);
CREATE TABLE overviews (
    mailbox  INTEGER PRIMARY KEY,
    modseq   INTEGER NOT NULL,
    overview BLOB    NOT NULL
);
CREATE TABLE vanished (
    mailbox INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, first)
) WITHOUT ROWID;
CREATE TABLE threads (
    account TEXT    NOT NULL,
    key     INTEGER NOT NULL,
    thread  INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE TABLE rights (
    mailbox    INTEGER NOT NULL,
    identifier TEXT    NOT NULL,
    rights     TEXT    NOT NULL,
    PRIMARY KEY (mailbox, identifier)
) WITHOUT ROWID;
CREATE INDEX rights_identifier ON rights (identifier);
CREATE TABLE expunged (
    mailbox       INTEGER NOT NULL,
    uid           INTEGER NOT NULL,
    modseq        INTEGER NOT NULL,
    content       INTEGER NOT NULL,
    flags         INTEGER NOT NULL,
    keywords      TEXT    NOT NULL,
    size          INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    save_date     INTEGER NOT NULL,
    email_id      BLOB    NOT NULL,
    thread        INTEGER,
    account       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    expunged_at   INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX expunged_account ON expunged (account, expunged_at);
CREATE INDEX expunged_at ON expunged (expunged_at);
CREATE TABLE deliveries (
    id      BLOB    PRIMARY KEY,
    mailbox INTEGER NOT NULL,
    uid     INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    at      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE spool (
    id       BLOB    PRIMARY KEY,
    body     INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    fixed    BLOB    NOT NULL,
    progress BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX spool_due ON spool (state, priority, due);
CREATE INDEX spool_queued ON spool (id, state) WHERE state < 3;
CREATE TABLE state (
    namespace TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    value     BLOB    NOT NULL,
    version   INTEGER NOT NULL,
    expires   INTEGER,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX state_expires ON state (expires) WHERE expires IS NOT NULL;
CREATE TABLE events (
    cursor INTEGER PRIMARY KEY,
    event  BLOB NOT NULL
);
