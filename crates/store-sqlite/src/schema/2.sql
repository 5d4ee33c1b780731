-- Executions, smaller: what runs is a number, and so is the status. Shells read the view `executions`, which looks as the
-- table did.
ALTER TABLE executions RENAME TO old_executions;

-- What is run: a definition under the name of a workflow.
CREATE TABLE program (
    no         INTEGER PRIMARY KEY,
    workflow   TEXT NOT NULL,
    definition TEXT NOT NULL,
    UNIQUE (workflow, definition)
) STRICT;
INSERT INTO program (workflow, definition) SELECT DISTINCT workflow, definition FROM old_executions;

-- `status` is 0 running, 1 waiting, 2 paused, 3 succeeded, 4 failed, 5 cancelled.
CREATE TABLE execution (
    exec_no     INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    program     INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    wake_at     INTEGER,
    parent      TEXT,
    origin      TEXT
) STRICT;
INSERT INTO execution (exec_no, id, program, status, started_at, finished_at, parent)
SELECT exec_no, id, (SELECT no FROM program WHERE program.workflow = old.workflow AND program.definition = old.definition),
    CASE status WHEN 'running' THEN 0 WHEN 'succeeded' THEN 3 WHEN 'failed' THEN 4 WHEN 'cancelled' THEN 5 ELSE -1 END,
    started_at, finished_at, parent
FROM old_executions AS old ORDER BY exec_no;
DROP TABLE old_executions;

CREATE UNIQUE INDEX execution_id ON execution (id);
-- What recovery reads: it must not depend on how many wait or have finished.
CREATE INDEX execution_open ON execution (exec_no) WHERE status = 0;
-- Who is to be woken next.
CREATE INDEX execution_due ON execution (wake_at) WHERE status = 1 AND wake_at IS NOT NULL;
CREATE INDEX execution_parent ON execution (parent) WHERE parent IS NOT NULL;
-- What retention reads.
CREATE INDEX execution_finished ON execution (program, finished_at) WHERE finished_at IS NOT NULL;
CREATE TRIGGER execution_high_water AFTER DELETE ON execution
WHEN OLD.exec_no > (SELECT value FROM meta WHERE name = 'high_water')
BEGIN
    UPDATE meta SET value = OLD.exec_no WHERE name = 'high_water';
END;

CREATE VIEW executions AS
SELECT exec_no, id, workflow, definition, parent,
    CASE status WHEN 0 THEN 'running' WHEN 1 THEN 'waiting' WHEN 2 THEN 'paused' WHEN 3 THEN 'succeeded'
        WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' END AS status,
    started_at, finished_at, wake_at, origin
FROM execution JOIN program ON program.no = execution.program;

-- What executions wait for. `kind` is 0 callback, 1 signal, 2 event; `state` is 0 open, 1 answered, 2 failed,
-- 3 cancelled. `tag` is a 64-bit number without sign, less 2^63, so that it sorts as one.
CREATE TABLE waits (
    exec_no   INTEGER NOT NULL,
    tag       INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    name      TEXT NOT NULL,
    key       TEXT,
    path      TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    until     INTEGER,
    detail    BLOB,
    PRIMARY KEY (exec_no, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_key ON waits (key, name) WHERE kind = 0 AND key IS NOT NULL;
CREATE INDEX waits_event ON waits (name, key) WHERE kind = 2;

-- Answers that came before anybody waited for them, or for nobody.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    exec_no     INTEGER,
    tag         INTEGER,
    name        TEXT NOT NULL,
    key         TEXT,
    answer      BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_wait ON deliveries (exec_no, tag) WHERE exec_no IS NOT NULL;
CREATE INDEX deliveries_key ON deliveries (key, name) WHERE key IS NOT NULL;
CREATE INDEX deliveries_expiry ON deliveries (expires_at);

-- What executions emitted. `at` never falls as `id` rises.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    event  TEXT NOT NULL,
    key    TEXT,
    data   BLOB NOT NULL,
    source TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX events_name ON events (event);
CREATE INDEX events_key ON events (event, key) WHERE key IS NOT NULL;
CREATE INDEX events_at ON events (at);

-- Who started with a key.
CREATE TABLE start_keys (
    workflow   TEXT NOT NULL,
    key        TEXT NOT NULL,
    exec_no    INTEGER NOT NULL,
    input_hash BLOB NOT NULL,
    PRIMARY KEY (workflow, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX start_keys_execution ON start_keys (exec_no);

-- What recovery reads instead of the records from `from_seq` to before `to_seq`.
CREATE TABLE condensed (
    id       INTEGER PRIMARY KEY,
    exec_no  INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    events   BLOB NOT NULL,
    UNIQUE (exec_no, from_seq)
) STRICT;

CREATE TABLE blob_refs (
    exec_no INTEGER NOT NULL,
    blob    TEXT NOT NULL,
    PRIMARY KEY (exec_no, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_refs_blob ON blob_refs (blob);

CREATE TABLE paused_workflows (
    workflow TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Executions whose row is deleted, and of which other rows are left.
CREATE TABLE deleting (
    exec_no INTEGER PRIMARY KEY
) STRICT;

-- The key of callback tokens. Whoever reads this can answer any callback.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
