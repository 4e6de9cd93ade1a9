-- I10 The state of a transfer and its effects on the source's shard are one.
-- A row is a transfer with other effects than its state says:
--   requested, rejected   nothing
--   authorized            the whole amount held
--   held                  what is moving held, the rest of an authorization released
--   committed             one debit; the hold settled, or (within one shard, at once) none
--   cancelled             the whole hold released, and no debit
-- Severity: critical
WITH holds AS (
  SELECT transfer_id,
         coalesce(sum(amount) FILTER (WHERE change = 'placed'), 0) AS placed,
         coalesce(sum(amount) FILTER (WHERE change = 'released'), 0) AS released,
         coalesce(sum(amount) FILTER (WHERE change = 'settled'), 0) AS settled
  FROM hold
  GROUP BY transfer_id
), debits AS (
  SELECT transfer_id, count(*) AS debits, min(step) AS step
  FROM journal
  WHERE step IN ('direct', 'commit')
  GROUP BY transfer_id
), effects AS (
  SELECT transfer_id, status, capture, amount, moving, coalesce(debits, 0) AS debits, step,
         coalesce(placed, 0) AS placed, coalesce(released, 0) AS released, coalesce(settled, 0) AS settled
  FROM transfer
  LEFT JOIN holds USING (transfer_id)
  LEFT JOIN debits USING (transfer_id)
)
SELECT transfer_id AS subject,
       format('%s, moving %s of %s: held %s, released %s, settled %s, debited %s times', status, moving, amount, placed,
              released, settled, debits) AS detail
FROM effects
WHERE NOT CASE status
  WHEN 'requested' THEN (placed, released, settled, debits, moving) = (0, 0, 0, 0, amount)
  WHEN 'rejected' THEN (placed, released, settled, debits) = (0, 0, 0, 0)
  WHEN 'authorized' THEN capture = 'manual' AND (placed, released, settled, debits, moving) = (amount, 0, 0, 0, amount)
  WHEN 'held' THEN (placed, released, settled, debits) = (amount, amount - moving, 0, 0)
  WHEN 'cancelled' THEN (placed, released, settled, debits) = (amount, amount, 0, 0)
  WHEN 'committed' THEN debits = 1 AND
    CASE WHEN step = 'direct' AND capture = 'automatic' THEN (placed, released, settled) = (0, 0, 0)
         ELSE (placed, released, settled) = (amount, amount - moving, moving)
    END
  ELSE false
END;
