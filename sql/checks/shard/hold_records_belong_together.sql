-- I09 The records of a hold belong together: placed once, on the source of a transfer that is known and for its amount;
-- numbered from 1; never more ended than was placed.
-- A row is a hold of which this is not so, the orphan included.
-- Severity: critical
WITH holds AS (
  SELECT transfer_id, leg, min(account_id) AS account, max(account_id) AS other_account, count(*) AS records,
         max(number) AS last, count(*) FILTER (WHERE change = 'placed') AS placings,
         coalesce(sum(amount) FILTER (WHERE change = 'placed'), 0) AS placed,
         coalesce(sum(amount) FILTER (WHERE change <> 'placed'), 0) AS ended
  FROM hold
  GROUP BY transfer_id, leg
)
SELECT transfer_id AS subject,
       format('%s placed and %s ended in %s records on %s, of a transfer of %s from %s', placed, ended, records,
              CASE WHEN account = other_account THEN account ELSE account || ' and ' || other_account END,
              coalesce(transfer.amount::text, 'nothing'), coalesce(transfer.source, 'nowhere')) AS detail
FROM holds
LEFT JOIN transfer USING (transfer_id)
WHERE placings <> 1
   OR records <> last
   OR ended > placed
   OR account <> other_account
   OR (account, placed) IS DISTINCT FROM (transfer.source, transfer.amount);
