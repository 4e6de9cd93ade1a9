-- I13 Money reaches an account only as its verdict says: the destination, the amount and the currency, and across
-- shards out of the clearing account of the source's shard.
-- A row is a journal at the destination ('direct' or 'credit') with other terms than its verdict.
-- Severity: critical
SELECT transfer_id AS subject,
       format('%s of %s %s from %s to %s, the verdict is about %s %s from %s to %s', step, journal.amount,
              journal.currency, debit_account, credit_account, verdict.amount, verdict.currency, source, destination)
         AS detail
FROM journal
JOIN verdict USING (transfer_id, leg)
CROSS JOIN shard_identity
WHERE step IN ('direct', 'credit')
  AND (journal.amount, journal.currency, credit_account, debit_account) IS DISTINCT FROM
    (verdict.amount, verdict.currency, destination,
     CASE step WHEN 'direct' THEN source
               ELSE format('clearing:%s:from:%s:%s', shard, from_shard, verdict.currency) END);
