-- Who this database is, and who may do what in it.

-- Exactly one row. Every process checks it against its shard map before it touches anything, so that shard 1's address
-- can never be given shard 0's database.
CREATE TABLE shard_identity (
  only_row boolean PRIMARY KEY DEFAULT true,
  shard smallint NOT NULL,
  partitions integer NOT NULL,
  founded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT there_is_only_one_identity CHECK (only_row),
  CONSTRAINT a_shard_is_numbered_from_zero CHECK (shard >= 0),
  CONSTRAINT partitions_fit_a_transfer_id CHECK (partitions BETWEEN 1 AND 1024)
);

-- One role per process; a login is a member of the role of its process and of nothing else. Roles belong to the whole
-- server, so another shard's migration may have made them, or be making them at this moment.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['counterpoise_api', 'counterpoise_relay', 'counterpoise_ledger',
                                'counterpoise_reconciler', 'counterpoise_auditor']
  LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
    EXECUTE format('GRANT SELECT ON shard_identity TO %I', wanted);
  END LOOP;
END
$$;

-- What is written once stays as it was: entries, holds, verdicts and events. The owner is refused too.
CREATE FUNCTION refuse_to_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

-- Money: whole minor units. An amount is positive and has at most 38 digits; sums of amounts have room above it.
CREATE DOMAIN amount AS numeric(38, 0)
  CONSTRAINT an_amount_is_positive CHECK (VALUE > 0);

CREATE DOMAIN minor_units AS numeric(48, 0);
