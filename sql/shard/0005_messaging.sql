-- The shard's event log, which is its outbox; and the places of those who read and write logs.

-- Positions are drawn from a sequence, so they ascend but have gaps, and a lower one may become visible after a higher
-- one: read the log only up to a position barrier. Whoever inserts must have a transaction id before a position is
-- drawn, by writing something else first: the barrier relies on it.
CREATE TABLE event (
  position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  type text NOT NULL,
  -- the transfer or account it is about
  subject text NOT NULL,
  -- the account that acts next, and its partition
  key text NOT NULL,
  partition integer NOT NULL,
  -- kept as the text that was written: what is sealed later must not be reformatted
  payload json NOT NULL,
  request_id text,
  traceparent text,
  occurred_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX event_subject ON event (subject);

CREATE TRIGGER events_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- Who works for this shard in a role ('relay', 'ledger', 'reconciler'). The epoch grows with every new holder and fences
-- the one before; time is the database's.
CREATE TABLE lease (
  role text PRIMARY KEY,
  holder text NOT NULL,
  epoch bigint NOT NULL,
  expires_at timestamptz NOT NULL
);

-- How far the relay has carried this shard's log into an event log of that name.
CREATE TABLE relay_cursor (
  log text PRIMARY KEY,
  position bigint NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now()
);

-- The ledger worker's place in each of the shard's partitions, moved in the transaction of the effects.
CREATE TABLE consumer_position (
  partition integer PRIMARY KEY,
  -- offsets mean something only within the event log of this name
  log text NOT NULL,
  next_offset bigint NOT NULL,
  -- the highest position seen of each source shard, by shard number (the array begins at 0)
  seen bigint[] NOT NULL DEFAULT '{}'
);

-- The position barrier. Answers the highest position up to which every event is committed or will never exist, once that
-- is so; NULL, at no cost, when nothing was written after `after`.
--
-- First the last position drawn, then (never in the same snapshot) a transaction id of our own: every writer that drew a
-- position up to there already had an older id. When ours is the oldest that still runs, they have all ended. The order
-- of these steps is the proof; test/postgres holds the two popular ways that look simpler and lose events.
CREATE FUNCTION event_barrier(after bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  drawn bigint;
  mine xid8;
BEGIN
  SELECT last_value INTO drawn FROM event_position_seq WHERE is_called;
  IF drawn IS NULL OR drawn <= after THEN
    RETURN NULL;
  END IF;
  mine := pg_current_xact_id();
  WHILE pg_snapshot_xmin(pg_current_snapshot()) < mine LOOP
    PERFORM pg_sleep(0.0005);
  END LOOP;
  RETURN drawn;
END
$$;
