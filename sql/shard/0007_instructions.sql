-- What clients ask of transfers and accounts that exist; and transfers that bring money back.

-- Capture, void, freeze, unfreeze, close: the API records what is asked, the ledger worker answers it, once.
CREATE TABLE instruction (
  instruction_id text PRIMARY KEY,
  asks text NOT NULL,
  -- the transfer or account of which it is asked
  subject text NOT NULL,
  -- what is to be captured; NULL is all of it
  amount amount,
  client text NOT NULL,
  status text NOT NULL DEFAULT 'open',
  reason_code text,
  reason_detail text,
  created_at timestamptz NOT NULL DEFAULT now(),
  answered_at timestamptz,
  CONSTRAINT an_instruction_asks_what_is_known CHECK (asks IN ('capture', 'void', 'freeze', 'unfreeze', 'close')),
  CONSTRAINT only_a_capture_has_an_amount CHECK (amount IS NULL OR asks = 'capture'),
  CONSTRAINT an_instruction_is_open_done_or_refused CHECK (status IN ('open', 'done', 'refused')),
  CONSTRAINT only_a_refused_instruction_has_a_reason CHECK ((status = 'refused') = (reason_code IS NOT NULL)),
  CONSTRAINT only_an_open_instruction_has_no_answer CHECK ((status = 'open') = (answered_at IS NULL))
) WITH (fillfactor = 80);

-- The reconciler looks for those that got no answer.
CREATE INDEX instruction_open ON instruction (created_at) WHERE status = 'open';

CREATE INDEX instruction_subject ON instruction (subject);

CREATE FUNCTION keep_answers() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM before
    JOIN after USING (instruction_id)
    WHERE before.status <> 'open'
       OR (before.asks, before.subject, before.amount, before.client)
          IS DISTINCT FROM (after.asks, after.subject, after.amount, after.client)
  ) THEN
    RAISE EXCEPTION 'an instruction would change, or be answered twice'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'an_instruction_is_answered_once';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER an_instruction_is_answered_once
  AFTER UPDATE ON instruction
  REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION keep_answers();

CREATE TRIGGER an_instruction_is_never_deleted
  BEFORE DELETE OR TRUNCATE ON instruction
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- A reversal names the transfer whose money it brings back. That one's verdict lives here, on the home shard of the
-- account that was credited; what was reversed of it is the sum of its reversals, so nothing needs to be kept up to date.
ALTER TABLE transfer
  ADD COLUMN reverses text,
  ADD CONSTRAINT a_reversal_is_captured_at_once CHECK (reverses IS NULL OR capture = 'automatic');

CREATE INDEX transfer_reverses ON transfer (reverses) WHERE reverses IS NOT NULL;

-- A transfer only goes forward, its terms never change, and never more comes back than went. A reversal counts from when
-- its money is held until it has failed.
CREATE OR REPLACE FUNCTION keep_transfers_on_their_way() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM before
    JOIN after USING (transfer_id)
    WHERE (before.source, before.destination, before.amount, before.currency, before.capture, before.reverses)
          IS DISTINCT FROM (after.source, after.destination, after.amount, after.currency, after.capture, after.reverses)
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
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT reverses FROM after WHERE reverses IS NOT NULL) AS touched
    JOIN transfer AS reversal USING (reverses)
    LEFT JOIN verdict ON verdict.transfer_id = touched.reverses AND verdict.ruling = 'CREDITED'
    WHERE reversal.status NOT IN ('requested', 'rejected', 'cancelled')
    GROUP BY touched.reverses, verdict.amount
    HAVING sum(reversal.moving) > coalesce(verdict.amount, 0)
  ) THEN
    RAISE EXCEPTION 'more would come back than went'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'no_more_comes_back_than_went';
  END IF;
  RETURN NULL;
END
$$;

-- The account's own version: what a client compares when it changes the metadata. The balance has another.
ALTER TABLE account
  ADD COLUMN revision bigint NOT NULL DEFAULT 1,
  ADD CONSTRAINT a_revision_counts_up CHECK (revision > 0);

-- No account goes below its floor or above its ceiling, and a closed one has nothing, whoever writes.
CREATE OR REPLACE FUNCTION keep_balances_within_limits() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  crossed text;
BEGIN
  SELECT account_id INTO crossed
  FROM changed
  JOIN account USING (account_id)
  WHERE CASE normal_side
          WHEN 'credit' THEN posted - held < floor OR posted > ceiling
          ELSE -posted < floor OR -posted + held > ceiling
        END
     OR (status = 'closed' AND (posted <> 0 OR held <> 0))
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'balance of % would cross a limit', crossed
      USING ERRCODE = 'check_violation', CONSTRAINT = 'a_balance_stays_within_its_limits';
  END IF;
  RETURN NULL;
END
$$;

-- Closed is for ever.
CREATE FUNCTION keep_accounts_closed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM before JOIN after USING (account_id) WHERE before.status = 'closed' AND after.status <> 'closed'
  ) THEN
    RAISE EXCEPTION 'a closed account would be opened again'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'a_closed_account_stays_closed';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER a_closed_account_stays_closed
  AFTER UPDATE ON account
  REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION keep_accounts_closed();

GRANT SELECT ON instruction
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler, counterpoise_auditor;
GRANT INSERT (instruction_id, asks, subject, amount, client) ON instruction TO counterpoise_api;
GRANT UPDATE (status, reason_code, reason_detail, answered_at) ON instruction TO counterpoise_ledger;
GRANT INSERT (reverses) ON transfer TO counterpoise_api;
GRANT UPDATE (metadata, revision) ON account TO counterpoise_api;
GRANT UPDATE (status, revision) ON account TO counterpoise_ledger;
