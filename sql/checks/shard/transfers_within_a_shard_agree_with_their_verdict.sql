-- I14 Where source and destination live on one shard, a transfer is committed if and only if its verdict is CREDITED,
-- and both say the same terms. (Across shards: I25 to I28.)
-- A row is a verdict given to a transfer of this shard that disagrees with it, or that has none.
-- Severity: critical
SELECT transfer_id AS subject,
       format('%s, verdict %s; %s %s from %s to %s, the verdict is about %s %s from %s to %s',
              coalesce(status, 'unknown'), ruling, moving, transfer.currency, transfer.source, transfer.destination,
              verdict.amount, verdict.currency, verdict.source, verdict.destination) AS detail
FROM verdict
JOIN shard_identity ON from_shard = shard
LEFT JOIN transfer USING (transfer_id)
WHERE (status = 'committed') IS DISTINCT FROM (ruling = 'CREDITED')
   OR (verdict.source, verdict.destination, verdict.amount, verdict.currency)
        IS DISTINCT FROM (transfer.source, transfer.destination, moving, transfer.currency);
