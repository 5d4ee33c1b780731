-- Organizations. What runs is run for one, so that a row of an execution costs nothing more.
ALTER TABLE program RENAME TO old_program;
CREATE TABLE program (
    no           INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    workflow     TEXT NOT NULL,
    definition   TEXT NOT NULL,
    UNIQUE (organization, workflow, definition)
) STRICT;
INSERT INTO program SELECT no, 'default', workflow, definition FROM old_program;

-- The code of the error that an execution failed with.
ALTER TABLE execution ADD COLUMN error TEXT;
CREATE INDEX execution_error ON execution (error, program) WHERE error IS NOT NULL;
-- Lists: the newest of each version in each status, which are merged. (The number of the execution ends every index.)
CREATE INDEX execution_program ON execution (program, status);

-- When the executions of a block of 4,096 numbers began, in whole minutes around them: where a list that is for a time
-- need not look. Numbers rise with time, but for clocks that are set back.
CREATE TABLE started (
    block INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL
) STRICT;
INSERT INTO started SELECT exec_no >> 12, min(started_at) / 60000 - 1, max(started_at) / 60000 + 1
FROM execution GROUP BY exec_no >> 12;

DROP VIEW executions;
DROP TABLE old_program;
CREATE VIEW executions AS
SELECT exec_no, id, organization, workflow, definition, parent,
    CASE status WHEN 0 THEN 'running' WHEN 1 THEN 'waiting' WHEN 2 THEN 'paused' WHEN 3 THEN 'succeeded'
        WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' END AS status,
    started_at, finished_at, wake_at, origin, error
FROM execution JOIN program ON program.no = execution.program;

ALTER TABLE deliveries ADD COLUMN organization TEXT NOT NULL DEFAULT 'default';
ALTER TABLE events ADD COLUMN organization TEXT NOT NULL DEFAULT 'default';
DROP INDEX events_name;
DROP INDEX events_key;
CREATE INDEX events_name ON events (event, organization);
CREATE INDEX events_key ON events (event, key, organization) WHERE key IS NOT NULL;

ALTER TABLE start_keys RENAME TO old_start_keys;
DROP INDEX start_keys_execution;
CREATE TABLE start_keys (
    organization TEXT NOT NULL,
    workflow     TEXT NOT NULL,
    key          TEXT NOT NULL,
    exec_no      INTEGER NOT NULL,
    input_hash   BLOB NOT NULL,
    PRIMARY KEY (organization, workflow, key)
) STRICT, WITHOUT ROWID;
INSERT INTO start_keys SELECT 'default', workflow, key, exec_no, input_hash FROM old_start_keys;
DROP TABLE old_start_keys;
CREATE INDEX start_keys_execution ON start_keys (exec_no);

ALTER TABLE paused_workflows RENAME TO old_paused_workflows;
CREATE TABLE paused_workflows (
    organization TEXT NOT NULL,
    workflow     TEXT NOT NULL,
    PRIMARY KEY (organization, workflow)
) STRICT, WITHOUT ROWID;
INSERT INTO paused_workflows SELECT 'default', workflow FROM old_paused_workflows;
DROP TABLE old_paused_workflows;

-- Requests that name a workflow say whose it is.
UPDATE requests SET kind = json_replace(kind, '$.pause.workflow',
    json_object('organization', 'default', 'workflow', kind ->> '$.pause.workflow'))
WHERE json_type(kind, '$.pause.workflow') = 'text';
UPDATE requests SET kind = json_replace(kind, '$.unpause.workflow',
    json_object('organization', 'default', 'workflow', kind ->> '$.unpause.workflow'))
WHERE json_type(kind, '$.unpause.workflow') = 'text';

-- What is kept beside executions: an ordered map. With a number of its own, as values may be large.
CREATE TABLE entries (
    id    INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (space, key)
) STRICT;
