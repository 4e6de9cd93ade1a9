-- What anyone would write: a ledger in one database, one stored procedure call for each transfer, row locks.
-- It leaves the same behind as the platform does: transfer, idempotency key, event, two entries, two balances.

CREATE TABLE account (
  account_id text PRIMARY KEY,
  currency char(3) NOT NULL,
  status text NOT NULL DEFAULT 'open',
  floor numeric(48, 0),
  posted numeric(48, 0) NOT NULL DEFAULT 0,
  sequence bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT an_account_has_a_known_status CHECK (status IN ('open', 'frozen', 'closed')),
  CONSTRAINT a_balance_is_not_below_its_floor CHECK (posted >= floor)
) WITH (fillfactor = 50);

CREATE TABLE transfer (
  transfer_id text PRIMARY KEY,
  source text NOT NULL,
  destination text NOT NULL,
  amount numeric(38, 0) NOT NULL,
  currency char(3) NOT NULL,
  status text NOT NULL,
  reason text,
  client text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT a_transfer_has_two_accounts CHECK (source <> destination),
  CONSTRAINT an_amount_is_positive CHECK (amount > 0)
);

CREATE TABLE idempotency_key (
  client text NOT NULL,
  scope text NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,
  resource_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client, scope, key)
);

CREATE TABLE entry (
  account_id text NOT NULL REFERENCES account,
  sequence bigint NOT NULL,
  transfer_id text NOT NULL,
  direction text NOT NULL,
  amount numeric(38, 0) NOT NULL,
  posted numeric(48, 0) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, sequence),
  CONSTRAINT an_entry_is_a_debit_or_a_credit CHECK (direction IN ('DEBIT', 'CREDIT')),
  CONSTRAINT an_amount_is_positive CHECK (amount > 0)
);

CREATE INDEX entry_transfer ON entry (transfer_id);

CREATE TABLE event (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type text NOT NULL,
  subject text NOT NULL,
  key text NOT NULL,
  payload json NOT NULL,
  request_id text,
  occurred_at timestamptz NOT NULL DEFAULT now()
);

-- One transfer, answered with its id; the same key again leads to the same transfer. Accounts are locked in the order of
-- their ids, so that nobody waits in a circle.
CREATE FUNCTION make_transfer(
  new_id text, by_client text, with_key text, of_request bytea, request text, from_account text, to_account text,
  minor_units numeric, in_currency text
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  existing idempotency_key;
  source account;
  destination account;
  party account;
  refused text;
BEGIN
  INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
  VALUES (by_client, 'transfer:' || from_account, with_key, of_request, new_id)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO existing FROM idempotency_key
    WHERE client = by_client AND scope = 'transfer:' || from_account AND key = with_key;
    IF existing.fingerprint <> of_request THEN
      RAISE EXCEPTION 'the key was used for another request' USING ERRCODE = 'unique_violation';
    END IF;
    RETURN existing.resource_id;
  END IF;

  FOR party IN
    SELECT * FROM account WHERE account_id IN (from_account, to_account) ORDER BY account_id FOR UPDATE
  LOOP
    IF party.account_id = from_account THEN source := party; ELSE destination := party; END IF;
  END LOOP;

  refused := CASE
    WHEN source.account_id IS NULL OR destination.account_id IS NULL THEN 'account_not_found'
    WHEN source.status <> 'open' OR destination.status <> 'open' THEN 'account_not_open'
    WHEN source.currency <> in_currency OR destination.currency <> in_currency THEN 'currency_mismatch'
    WHEN source.posted - minor_units < source.floor THEN 'insufficient_funds'
  END;

  INSERT INTO transfer (transfer_id, source, destination, amount, currency, status, reason, client)
  VALUES (new_id, from_account, to_account, minor_units, in_currency,
    CASE WHEN refused IS NULL THEN 'committed' ELSE 'rejected' END, refused, by_client);

  IF refused IS NULL THEN
    UPDATE account SET posted = posted - minor_units, sequence = sequence + 1 WHERE account_id = from_account;
    UPDATE account SET posted = posted + minor_units, sequence = sequence + 1 WHERE account_id = to_account;
    INSERT INTO entry (account_id, sequence, transfer_id, direction, amount, posted) VALUES
      (from_account, source.sequence + 1, new_id, 'DEBIT', minor_units, source.posted - minor_units),
      (to_account, destination.sequence + 1, new_id, 'CREDIT', minor_units, destination.posted + minor_units);
  END IF;

  INSERT INTO event (type, subject, key, payload, request_id)
  VALUES (
    CASE WHEN refused IS NULL THEN 'transfer.committed' ELSE 'transfer.rejected' END, new_id, from_account,
    json_build_object('transfer', new_id, 'source', from_account, 'destination', to_account,
      'amount', minor_units::text, 'currency', in_currency, 'reason', refused),
    request
  );
  RETURN new_id;
END
$$;
