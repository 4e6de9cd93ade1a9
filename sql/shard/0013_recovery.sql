-- A shard that lost data stops, and says so, until it has caught up. It lost data if others have seen more of its log than it
-- has: then it was restored from an older copy, and would draw positions again that others drop as seen.

CREATE TABLE recovery (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- the last position in its own log when that was noticed
  log_end bigint NOT NULL,
  -- how far others had seen it, and who
  seen_to bigint NOT NULL,
  seen_by text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  -- what came of it, for people
  outcome text,
  CONSTRAINT others_have_seen_more CHECK (seen_to > log_end),
  CONSTRAINT what_ended_has_an_outcome CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

CREATE UNIQUE INDEX a_shard_recovers_once_at_a_time ON recovery ((true)) WHERE ended_at IS NULL;

-- Whatever changes the books writes an event, so nothing else needs to be guarded. Whoever catches up says so.
CREATE FUNCTION refuse_while_recovering() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM recovery WHERE ended_at IS NULL)
    AND current_setting('counterpoise.catching_up', true) IS DISTINCT FROM 'on'
  THEN
    RAISE EXCEPTION 'this shard was restored from an older copy, and takes nothing before it has caught up'
      USING ERRCODE = 'CP001', CONSTRAINT = 'a_shard_that_lost_data_writes_nothing';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER a_shard_that_lost_data_writes_nothing
  BEFORE INSERT ON event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_while_recovering();

GRANT SELECT ON recovery
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler, counterpoise_operator,
     counterpoise_auditor;
-- Anybody may find that a shard lost data; only its owner may say that it has caught up.
GRANT INSERT (log_end, seen_to, seen_by) ON recovery
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler;
