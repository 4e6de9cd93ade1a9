-- What a consumer of the events keeps in a database of its own: its lease, its places in the event log, and the messages
-- that wait for a person. One consumer, one database.

-- Whose database this is, so that no consumer takes another's places for its own.
CREATE TABLE consumer_identity (
  only_row boolean PRIMARY KEY DEFAULT true,
  name text NOT NULL,
  founded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT there_is_only_one_identity CHECK (only_row)
);

-- Who works as this consumer. The epoch grows with every new holder and fences the one before; time is the database's.
CREATE TABLE lease (
  only_row boolean PRIMARY KEY DEFAULT true,
  holder text NOT NULL,
  epoch bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT there_is_only_one_lease CHECK (only_row),
  CONSTRAINT epochs_are_numbered_from_one CHECK (epoch >= 1)
);

-- The consumer's place in each partition: it moves when what was read has been delivered, or with what is parked.
CREATE TABLE consumer_position (
  partition integer PRIMARY KEY,
  -- offsets mean something only within the event log of this name
  log text NOT NULL,
  next_offset bigint NOT NULL,
  -- the highest position seen of each source shard, by shard number (the array begins at 0)
  seen bigint[] NOT NULL DEFAULT '{}',
  CONSTRAINT offsets_are_numbered_from_zero CHECK (next_offset >= 0)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Parked messages. A key is parked while any of its messages waits. The first of those either has a trouble, and then all
-- of them wait for a person; or it has none, and then it is delivered next.
CREATE TABLE parked_message (
  -- ascends in the order of parking, which is the order of each key
  number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,

  -- the record, as it stood in the event log
  source_shard integer NOT NULL,
  position bigint NOT NULL,
  partition integer NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  subject text NOT NULL,
  -- not json: it may be here because it is none
  payload text NOT NULL,
  request_id text,
  traceparent text,
  occurred_at timestamptz NOT NULL,

  parked_at timestamptz NOT NULL DEFAULT now(),
  status text NOT NULL DEFAULT 'waiting',
  trouble text,
  detail text,
  tries integer NOT NULL DEFAULT 0,
  ended_at timestamptz,
  discarded_by text,
  discarded_because text,

  CONSTRAINT a_message_is_parked_once UNIQUE (source_shard, position),
  CONSTRAINT a_message_waits_or_was_delivered_or_discarded CHECK (status IN ('waiting', 'delivered', 'discarded')),
  CONSTRAINT a_message_ends_when_it_waits_no_more CHECK ((status = 'waiting') = (ended_at IS NULL)),
  CONSTRAINT a_trouble_is_one_that_is_known CHECK (trouble IN ('undecodable', 'refused', 'failing')),
  CONSTRAINT a_trouble_is_explained CHECK ((trouble IS NULL) = (detail IS NULL)),
  CONSTRAINT a_delivered_message_has_no_trouble CHECK (status <> 'delivered' OR trouble IS NULL),
  CONSTRAINT only_a_discarded_message_is_signed
    CHECK ((status = 'discarded') = (discarded_by IS NOT NULL) AND (status = 'discarded') = (discarded_because IS NOT NULL)),
  CONSTRAINT somebody_discards CHECK (discarded_by ~ '\S'),
  CONSTRAINT for_a_reason CHECK (discarded_because ~ '\S')
);

CREATE INDEX parked_message_waiting ON parked_message (key, number) WHERE status = 'waiting';

-- That somebody asked for a message to be tried again, and the trouble that it had until then.
CREATE TABLE parked_retry (
  message bigint NOT NULL REFERENCES parked_message,
  retried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  reason text NOT NULL,
  trouble text NOT NULL,
  detail text NOT NULL,
  tries integer NOT NULL,
  PRIMARY KEY (message, retried_at),
  CONSTRAINT somebody_retries CHECK (actor ~ '\S'),
  CONSTRAINT for_a_reason CHECK (reason ~ '\S')
);

CREATE FUNCTION refuse_to_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

-- Nothing that was parked is lost: a message is discarded by being marked so. The owner is refused too.
CREATE TRIGGER parked_messages_are_never_deleted
  BEFORE DELETE OR TRUNCATE ON parked_message
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER what_has_ended_stays_as_it_is
  BEFORE UPDATE ON parked_message
  FOR EACH ROW WHEN (OLD.status <> 'waiting')
  EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER a_parked_record_is_never_changed
  BEFORE UPDATE OF number, source_shard, position, partition, key, type, subject, payload, request_id, traceparent,
    occurred_at, parked_at ON parked_message
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER retries_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON parked_retry
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- Two roles: the consumer's own, for its process and for those who decide about parked messages; and the auditor's, who
-- reads. Roles belong to the whole server, so another database's migration may have made them, or be making them now.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['counterpoise_consumer', 'counterpoise_auditor']
  LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA public TO %I', wanted);
  END LOOP;
END
$$;

GRANT INSERT, UPDATE ON lease, consumer_position TO counterpoise_consumer;
GRANT INSERT (source_shard, position, partition, key, type, subject, payload, request_id, traceparent, occurred_at, trouble,
  detail, tries) ON parked_message TO counterpoise_consumer;
GRANT UPDATE (status, trouble, detail, tries, ended_at, discarded_by, discarded_because) ON parked_message
  TO counterpoise_consumer;
GRANT INSERT ON parked_retry TO counterpoise_consumer;
