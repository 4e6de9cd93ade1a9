-- I35 Never more comes back of a transfer than it credited: its reversals together, from when their money is held until
-- they have failed.
-- A row is a transfer of which more comes back.
-- Severity: critical
SELECT reverses AS subject,
       format('%s went, %s came back or is on its way', coalesce(verdict.amount, 0), sum(moving)) AS detail
FROM transfer
LEFT JOIN verdict ON verdict.transfer_id = reverses AND ruling = 'CREDITED'
WHERE reverses IS NOT NULL AND status NOT IN ('requested', 'rejected', 'cancelled')
GROUP BY reverses, verdict.amount
HAVING sum(moving) > coalesce(verdict.amount, 0);
