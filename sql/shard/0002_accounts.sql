-- Accounts, and their balances: materialised sums of entries and holds.

CREATE TABLE account (
  account_id text PRIMARY KEY,
  -- hash(account_id) mod P; a clearing account belongs to the shard itself and to none of its partitions
  partition integer,
  kind text NOT NULL,
  normal_side text NOT NULL,
  currency char(3) NOT NULL,
  status text NOT NULL DEFAULT 'open',
  floor minor_units,
  ceiling minor_units,
  metadata json NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT an_account_has_a_known_kind CHECK (kind IN ('customer', 'external', 'clearing', 'house')),
  CONSTRAINT an_account_has_a_side CHECK (normal_side IN ('debit', 'credit')),
  CONSTRAINT an_account_has_a_known_status CHECK (status IN ('open', 'frozen', 'closed')),
  CONSTRAINT a_currency_is_three_capitals CHECK (currency ~ '^[A-Z]{3}$'),
  CONSTRAINT a_floor_is_not_above_its_ceiling CHECK (floor <= ceiling),
  CONSTRAINT an_account_begins_within_its_limits CHECK (floor <= 0 AND ceiling >= 0),
  CONSTRAINT only_clearing_accounts_have_no_partition CHECK ((kind = 'clearing') = (partition IS NULL)),
  CONSTRAINT only_clearing_accounts_are_named_so CHECK ((kind = 'clearing') = starts_with(account_id, 'clearing:')),
  CONSTRAINT a_clearing_account_has_no_limits CHECK (kind <> 'clearing' OR (floor IS NULL AND ceiling IS NULL))
);

-- Narrow on purpose, with room on each page: it is the one table that is updated all day, and stays on its page (HOT).
CREATE TABLE balance (
  account_id text PRIMARY KEY REFERENCES account,
  -- Σ credits − Σ debits, whatever the normal side: so all balances of a shard add up to zero
  posted minor_units NOT NULL DEFAULT 0,
  held minor_units NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  sequence bigint NOT NULL DEFAULT 0,
  CONSTRAINT held_is_not_negative CHECK (held >= 0),
  CONSTRAINT a_version_counts_up CHECK (version >= 0),
  CONSTRAINT an_entry_is_numbered_from_one CHECK (sequence >= 0)
) WITH (fillfactor = 50);

-- No account goes below its floor or above its ceiling, whoever writes. Set-wise: one check per statement. Open holds
-- are debits that may still come: they count against a credit-normal floor and a debit-normal ceiling.
CREATE FUNCTION keep_balances_within_limits() RETURNS trigger
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
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'balance of % would cross a limit', crossed
      USING ERRCODE = 'check_violation', CONSTRAINT = 'a_balance_stays_within_its_limits';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER a_balance_stays_within_its_limits
  AFTER UPDATE ON balance
  REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION keep_balances_within_limits();
