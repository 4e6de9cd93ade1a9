-- Where the transfers of this shard's accounts stand that were not ruled on here; and was their destination ever asked?
-- Feeds I25 I26 I27 I28 I29
SELECT transfer_id, source, destination, moving AS amount, currency::text, status, asked.subject IS NOT NULL AS asked
FROM transfer
LEFT JOIN (
  SELECT transfer_id, ruling FROM verdict JOIN shard_identity ON from_shard = shard
) AS ruled_here USING (transfer_id)
LEFT JOIN (
  SELECT DISTINCT subject FROM event WHERE type = 'transfer.held'
) AS asked ON asked.subject = transfer_id
WHERE ruling IS NULL;
