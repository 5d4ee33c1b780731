-- One row an execution. Its number is small and ascending, so that the journal's index stays small and near; the
-- id that users see is in one index only. Times are milliseconds since the Unix epoch.
CREATE TABLE executions (
    exec_no     INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    workflow    TEXT NOT NULL,
    definition  TEXT NOT NULL,
    parent      TEXT,
    status      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX executions_id ON executions (id);
-- What recovery reads: it must not depend on how many have finished.
CREATE INDEX executions_open ON executions (exec_no) WHERE status = 'running';
CREATE INDEX executions_parent ON executions (parent) WHERE parent IS NOT NULL;

-- The journals of all executions, appended to in rowid order. `events` belongs to the engine.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY,
    exec_no INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    events  BLOB NOT NULL,
    UNIQUE (exec_no, seq)
) STRICT;

CREATE TABLE definitions (
    hash     TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    content  BLOB NOT NULL
) STRICT;

-- What other processes ask of the one that writes, as JSON. Numbers are not used twice, because whoever polls
-- remembers the last one it saw.
CREATE TABLE requests (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL
) STRICT;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
-- Numbers of executions are not used twice either. The next is one more than the highest row or this mark,
-- which follows what is deleted, so that inserting costs nothing.
INSERT INTO meta (name, value) VALUES ('high_water', 0);
CREATE TRIGGER executions_high_water AFTER DELETE ON executions
WHEN OLD.exec_no > (SELECT value FROM meta WHERE name = 'high_water')
BEGIN
    UPDATE meta SET value = OLD.exec_no WHERE name = 'high_water';
END;
