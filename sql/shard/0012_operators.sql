-- What was found to be wrong, until it is gone; and what operators do about it, with their names and reasons.

-- A role for the operators' API. It asks, as the reconciler does, and keeps books of its own; money it cannot write. Roles
-- belong to the whole server, so another shard's migration may have made it, or be making it at this moment.
DO $$
BEGIN
  CREATE ROLE counterpoise_operator NOLOGIN;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA public TO counterpoise_operator;

-- A break: one thing that a check found, for as long as it finds it.
CREATE TABLE break (
  number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  -- the name of the check
  invariant text NOT NULL,
  severity text NOT NULL,
  subject text NOT NULL,
  -- as it was last found
  detail text NOT NULL,
  status text NOT NULL DEFAULT 'open',
  times_seen bigint NOT NULL DEFAULT 1,
  opened_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  CONSTRAINT a_break_is_critical_or_a_warning CHECK (severity IN ('critical', 'warning')),
  CONSTRAINT a_break_is_open_resolved_or_closed CHECK (status IN ('open', 'resolved', 'closed')),
  CONSTRAINT only_a_closed_break_has_an_end CHECK ((status = 'closed') = (closed_at IS NOT NULL))
);

CREATE UNIQUE INDEX a_disagreement_is_one_break ON break (invariant, subject) WHERE status <> 'closed';

-- What happened to a break: it was opened, it changed, somebody resolved it, it was opened again, it was gone.
CREATE TABLE break_record (
  number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  break bigint NOT NULL REFERENCES break,
  what text NOT NULL,
  detail text NOT NULL,
  -- what each shard had on record of the subject when the break was opened
  evidence json,
  actor text,
  reason text,
  request_id text,
  occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT what_happens_to_a_break_is_known CHECK (what IN ('opened', 'changed', 'resolved', 'reopened', 'closed')),
  CONSTRAINT only_a_person_resolves_a_break
    CHECK ((what = 'resolved') = (actor IS NOT NULL) AND (what = 'resolved') = (reason IS NOT NULL)),
  CONSTRAINT somebody_resolves CHECK (actor ~ '\S'),
  CONSTRAINT for_a_reason CHECK (reason ~ '\S')
);

CREATE INDEX break_record_break ON break_record (break, number);

CREATE TRIGGER breaks_are_never_deleted
  BEFORE DELETE OR TRUNCATE ON break
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER what_a_break_is_about_never_changes
  BEFORE UPDATE OF number, invariant, severity, subject, opened_at ON break
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER a_closed_break_stays_closed
  BEFORE UPDATE ON break
  FOR EACH ROW WHEN (OLD.status = 'closed')
  EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER break_records_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON break_record
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- What an operator did, or was refused.
CREATE TABLE operator_action (
  number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  actor text NOT NULL,
  request_id text NOT NULL,
  -- such as break.resolve
  action text NOT NULL,
  subject text NOT NULL,
  reason text NOT NULL,
  outcome text NOT NULL,
  -- the code of the refusal
  code text,
  occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT somebody_acts CHECK (actor ~ '\S'),
  CONSTRAINT for_a_reason CHECK (reason ~ '\S'),
  CONSTRAINT an_action_is_done_or_refused CHECK (outcome IN ('done', 'refused')),
  CONSTRAINT only_a_refused_action_has_a_code CHECK ((outcome = 'refused') = (code IS NOT NULL))
);

CREATE TRIGGER operator_actions_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_action
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

-- A compensating transfer that one operator proposed and another approved. The transfer is requested by the way that all
-- transfers take, under a key made of this number; here is only who wanted it, and why.
CREATE TABLE adjustment (
  number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  source text NOT NULL,
  destination text NOT NULL,
  amount amount NOT NULL,
  currency char(3) NOT NULL,
  reason text NOT NULL,
  proposed_by text NOT NULL,
  -- the idempotency key of the proposal, and what it must come with again
  key text NOT NULL,
  fingerprint text NOT NULL,
  proposed_at timestamptz NOT NULL DEFAULT now(),
  approved_by text,
  approved_at timestamptz,
  transfer_id text,
  CONSTRAINT an_adjustment_has_two_accounts CHECK (source <> destination),
  CONSTRAINT for_a_reason CHECK (reason ~ '\S'),
  CONSTRAINT somebody_proposes CHECK (proposed_by ~ '\S'),
  CONSTRAINT a_proposal_is_made_once UNIQUE (proposed_by, source, key),
  CONSTRAINT two_operators_make_an_adjustment CHECK (approved_by <> proposed_by),
  CONSTRAINT an_adjustment_is_approved_whole CHECK (num_nulls(approved_by, approved_at, transfer_id) IN (0, 3))
);

CREATE TRIGGER adjustments_are_never_deleted
  BEFORE DELETE OR TRUNCATE ON adjustment
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER a_proposal_never_changes
  BEFORE UPDATE OF number, source, destination, amount, currency, reason, proposed_by, key, fingerprint, proposed_at
  ON adjustment
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

CREATE TRIGGER an_adjustment_is_approved_once
  BEFORE UPDATE ON adjustment
  FOR EACH ROW WHEN (OLD.approved_by IS NOT NULL)
  EXECUTE FUNCTION refuse_to_change();

GRANT SELECT ON ALL TABLES IN SCHEMA public TO counterpoise_operator;
GRANT SELECT ON break, break_record, operator_action, adjustment
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler, counterpoise_auditor;

-- The reconciler opens and closes; only a person resolves.
GRANT INSERT (invariant, severity, subject, detail) ON break TO counterpoise_reconciler;
GRANT UPDATE (detail, status, times_seen, seen_at, closed_at) ON break TO counterpoise_reconciler;
GRANT INSERT (break, what, detail, evidence) ON break_record TO counterpoise_reconciler;
GRANT UPDATE (status) ON break TO counterpoise_operator;
GRANT INSERT (break, what, detail, actor, reason, request_id) ON break_record TO counterpoise_operator;
GRANT INSERT (actor, request_id, action, subject, reason, outcome, code) ON operator_action TO counterpoise_operator;
GRANT INSERT (source, destination, amount, currency, reason, proposed_by, key, fingerprint) ON adjustment
  TO counterpoise_operator;
GRANT UPDATE (approved_by, approved_at, transfer_id) ON adjustment TO counterpoise_operator;
GRANT INSERT ON event TO counterpoise_operator;

ALTER TABLE break_record ENABLE ROW LEVEL SECURITY;

CREATE POLICY everybody_reads_what_happened_to_breaks ON break_record FOR SELECT USING (true);

CREATE POLICY the_reconciler_says_what_it_found ON break_record FOR INSERT TO counterpoise_reconciler
  WITH CHECK (what <> 'resolved');

CREATE POLICY an_operator_says_what_is_explained ON break_record FOR INSERT TO counterpoise_operator
  WITH CHECK (what = 'resolved');

-- An operator asks what the reconciler would ask: no event of theirs moves money by itself.
CREATE POLICY an_operator_asks_again ON event FOR INSERT TO counterpoise_operator
  WITH CHECK (type IN ('transfer.requested', 'transfer.recalled', 'transfer.expiry_due'));
