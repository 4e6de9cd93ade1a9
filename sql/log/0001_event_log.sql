-- The embedded event log: what Kafka is elsewhere, in one PostgreSQL database. A copy of the shards' own logs.

-- Names this log for its life. A log that was lost and is made anew has another name, so that nobody takes the offsets
-- of one for those of the other.
CREATE TABLE log_identity (
  only_row boolean PRIMARY KEY DEFAULT true,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  founded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT there_is_only_one_identity CHECK (only_row)
);

INSERT INTO log_identity DEFAULT VALUES;

-- Where each partition ends. Offsets are drawn by locking this row until the commit, so they have no gaps, and when one
-- is visible then so are all below it: a reader needs no barrier. The rows are few and written with every append; room
-- is left in their page for the new version of each to lie beside the old one.
CREATE TABLE log_head (
  partition integer PRIMARY KEY,
  next_offset bigint NOT NULL,
  CONSTRAINT a_partition_is_numbered_from_zero CHECK (partition >= 0),
  CONSTRAINT offsets_are_numbered_from_zero CHECK (next_offset >= 0)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Who may append the events of a source shard, and how far that has come. The epoch grows with every new writer and
-- fences the one before; what is not above the position is in the log already.
CREATE TABLE log_writer (
  source_shard integer PRIMARY KEY,
  epoch bigint NOT NULL,
  position bigint NOT NULL,
  -- where it stood before the last append: what that one took as already there
  position_before bigint NOT NULL,
  CONSTRAINT a_shard_is_numbered_from_zero CHECK (source_shard >= 0),
  CONSTRAINT epochs_are_numbered_from_one CHECK (epoch >= 1)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE event_log (
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  -- where the event comes from: a shard, and its place in that shard's log
  source_shard integer NOT NULL,
  position bigint NOT NULL,
  -- the account that acts next
  key text NOT NULL,
  type text NOT NULL,
  -- the transfer or account it is about
  subject text NOT NULL,
  -- kept as the text that was written, byte for byte
  payload json NOT NULL,
  traceparent text,
  request_id text,
  occurred_at timestamptz NOT NULL,
  appended_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT an_offset_is_given_once PRIMARY KEY (partition, "offset"),
  CONSTRAINT an_offset_is_numbered_from_zero CHECK ("offset" >= 0)
);
