-- The accounts that live on this shard, and the partitions they are said to be in.
-- Feeds I30
SELECT account_id, partition
FROM account
WHERE kind <> 'clearing';
