-- The books: journals, and the memo records of holds.

-- One row is one journal: a DEBIT and a CREDIT entry of the same amount, in one currency. A journal that does not balance
-- cannot be written down, and neither can an entry without its other half.
CREATE TABLE journal (
  transfer_id text NOT NULL,
  leg smallint NOT NULL DEFAULT 1,
  -- 'direct' within one shard; across shards 'credit' is the destination's half and 'commit' the source's
  step text NOT NULL,
  amount amount NOT NULL,
  currency char(3) NOT NULL,
  debit_account text NOT NULL REFERENCES account,
  debit_sequence bigint NOT NULL,
  debit_posted minor_units NOT NULL,
  credit_account text NOT NULL REFERENCES account,
  credit_sequence bigint NOT NULL,
  credit_posted minor_units NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT a_step_is_posted_once PRIMARY KEY (transfer_id, leg, step),
  CONSTRAINT a_step_is_known CHECK (step IN ('direct', 'credit', 'commit')),
  CONSTRAINT a_journal_has_two_accounts CHECK (debit_account <> credit_account),
  CONSTRAINT an_account_numbers_its_debits_once UNIQUE (debit_account, debit_sequence),
  CONSTRAINT an_account_numbers_its_credits_once UNIQUE (credit_account, credit_sequence),
  CONSTRAINT entries_are_numbered_from_one CHECK (debit_sequence > 0 AND credit_sequence > 0)
);

CREATE TRIGGER entries_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- The books seen by account: one immutable line each, with the balance after it.
CREATE VIEW entry AS
SELECT debit_account AS account_id, debit_sequence AS sequence, 'DEBIT' AS direction, amount, currency,
       debit_posted AS posted, transfer_id, leg, step, created_at
FROM journal
UNION ALL
SELECT credit_account, credit_sequence, 'CREDIT', amount, currency, credit_posted, transfer_id, leg, step, created_at
FROM journal;

-- Holds are memos, not entries. A hold is placed once and ends by being released or settled, perhaps in parts: what is
-- open of it is the sum of its records.
CREATE TABLE hold (
  transfer_id text NOT NULL,
  leg smallint NOT NULL DEFAULT 1,
  number smallint NOT NULL,
  account_id text NOT NULL REFERENCES account,
  change text NOT NULL,
  amount amount NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT the_records_of_a_hold_are_numbered PRIMARY KEY (transfer_id, leg, number),
  CONSTRAINT a_hold_is_placed_released_or_settled CHECK (change IN ('placed', 'released', 'settled')),
  CONSTRAINT a_hold_begins_by_being_placed CHECK ((number = 1) = (change = 'placed'))
);

CREATE TRIGGER holds_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON hold
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();
