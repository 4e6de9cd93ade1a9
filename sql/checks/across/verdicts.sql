-- What this shard ruled on other shards' transfers.
-- Feeds I25 I26 I27 I28 I29
SELECT transfer_id, source, destination, amount, currency::text, from_shard::int4 AS from_shard, ruling
FROM verdict
JOIN shard_identity ON from_shard <> shard;
