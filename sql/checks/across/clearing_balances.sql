-- What this shard's clearing accounts stand at, towards other shards and from them.
-- Feeds I29
SELECT split_part(account_id, ':', 3) AS direction, split_part(account_id, ':', 4) AS other, currency::text, posted
FROM balance
JOIN account USING (account_id)
WHERE kind = 'clearing' AND account_id ~ '^clearing:\d+:(to|from):\d{1,4}:';
