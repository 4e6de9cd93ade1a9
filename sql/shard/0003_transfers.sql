-- Transfers, with the requests they came from; and what the destination's partition ruled.

-- The state of a transfer lives on the shard of its source account.
CREATE TABLE transfer (
  transfer_id text PRIMARY KEY,
  source text NOT NULL,
  destination text NOT NULL,
  amount amount NOT NULL,
  currency char(3) NOT NULL,
  capture text NOT NULL,
  -- what is to move: the amount, or the part of it that was captured
  moving amount NOT NULL,
  status text NOT NULL DEFAULT 'requested',
  reason_code text,
  reason_detail text,
  reference text,
  description text,
  metadata json NOT NULL DEFAULT '{}',
  client text NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  status_changed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT a_transfer_has_two_accounts CHECK (source <> destination),
  CONSTRAINT a_transfer_is_captured_once_or_by_hand CHECK (capture IN ('automatic', 'manual')),
  CONSTRAINT a_transfer_has_a_known_status
    CHECK (status IN ('requested', 'authorized', 'held', 'committed', 'rejected', 'cancelled')),
  CONSTRAINT a_transfer_moves_no_more_than_was_asked CHECK (moving <= amount),
  CONSTRAINT only_a_transfer_that_failed_has_a_reason
    CHECK ((status IN ('rejected', 'cancelled')) = (reason_code IS NOT NULL))
) WITH (fillfactor = 80);

-- Silent transfers are looked for by time. Summaries of page ranges cost next to nothing to keep, and (unlike an index on
-- the status) let a change of status stay on its page.
CREATE INDEX transfer_created_at ON transfer USING brin (created_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE INDEX transfer_expires_at ON transfer (expires_at) WHERE expires_at IS NOT NULL;

-- A transfer only goes forward, and its terms never change.
CREATE FUNCTION keep_transfers_on_their_way() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM before
    JOIN after USING (transfer_id)
    WHERE (before.source, before.destination, before.amount, before.currency, before.capture)
          IS DISTINCT FROM (after.source, after.destination, after.amount, after.currency, after.capture)
       OR (before.status, after.status) NOT IN (
            -- of one batch: a transfer may be authorized, and voided or captured, before either is written
            ('requested', 'authorized'), ('requested', 'held'), ('requested', 'committed'), ('requested', 'rejected'),
            ('requested', 'cancelled'),
            ('authorized', 'held'), ('authorized', 'committed'), ('authorized', 'cancelled'),
            ('held', 'committed'), ('held', 'cancelled'))
  ) THEN
    RAISE EXCEPTION 'a transfer would change its terms or go back'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'a_transfer_only_goes_forward';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER a_transfer_only_goes_forward
  AFTER UPDATE ON transfer
  REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION keep_transfers_on_their_way();

CREATE TRIGGER a_transfer_is_never_deleted
  BEFORE DELETE OR TRUNCATE ON transfer
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- One effect per key, for ever: the key leads to what it once made.
CREATE TABLE idempotency_key (
  client text NOT NULL,
  -- what the request was routed by: 'transfer:<source account>', 'account:<id>', or 'account' where the id was drawn
  scope text NOT NULL,
  key text NOT NULL,
  -- SHA-256 of the request
  fingerprint bytea NOT NULL,
  resource_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client, scope, key),
  CONSTRAINT a_key_has_1_to_255_characters CHECK (length(key) BETWEEN 1 AND 255),
  CONSTRAINT a_fingerprint_is_a_sha_256 CHECK (length(fingerprint) = 32)
);

CREATE TRIGGER an_idempotency_key_is_kept
  BEFORE UPDATE OR DELETE OR TRUNCATE ON idempotency_key
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- What the destination's partition says of a transfer, once and for ever. It lives on the destination's shard.
CREATE TABLE verdict (
  transfer_id text NOT NULL,
  leg smallint NOT NULL DEFAULT 1,
  ruling text NOT NULL,
  reason_code text,
  reason_detail text,
  source text NOT NULL,
  destination text NOT NULL,
  amount amount NOT NULL,
  currency char(3) NOT NULL,
  -- the shard of the source
  from_shard smallint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT a_transfer_has_one_verdict PRIMARY KEY (transfer_id, leg),
  CONSTRAINT a_verdict_is_credited_or_refused CHECK (ruling IN ('CREDITED', 'REFUSED')),
  CONSTRAINT only_a_refusal_has_a_reason CHECK ((ruling = 'REFUSED') = (reason_code IS NOT NULL))
);

CREATE TRIGGER a_verdict_is_final
  BEFORE UPDATE OR DELETE OR TRUNCATE ON verdict
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();
