-- I11 Money leaves an account only by a transfer that is known here, from its source, in its amount and currency.
-- A row is a journal at the source ('direct' or 'commit') without its transfer, or with other terms.
-- Severity: critical
SELECT journal.transfer_id AS subject,
       format('%s of %s %s from %s to %s, of a transfer of %s %s from %s to %s', step, journal.amount, journal.currency,
              debit_account, credit_account, coalesce(moving::text, 'nothing'), transfer.currency,
              coalesce(source, 'nowhere'), coalesce(destination, 'nowhere')) AS detail
FROM journal
LEFT JOIN transfer USING (transfer_id)
CROSS JOIN shard_identity
WHERE step IN ('direct', 'commit')
  AND ((journal.amount, journal.currency, debit_account) IS DISTINCT FROM (moving, transfer.currency, source)
    OR CASE step
         WHEN 'direct' THEN credit_account IS DISTINCT FROM destination
         ELSE NOT (starts_with(credit_account, format('clearing:%s:to:', shard))
                   AND credit_account LIKE '%:' || journal.currency)
       END);
