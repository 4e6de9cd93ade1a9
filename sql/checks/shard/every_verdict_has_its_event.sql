-- I17 Every verdict on another shard's transfer was said, perhaps more than once, and the other was never said.
-- A row is a verdict that nobody was told, or that was contradicted.
-- Severity: critical
WITH said AS (
  SELECT subject,
         count(*) FILTER (WHERE type = 'transfer.credited') AS credited,
         count(*) FILTER (WHERE type = 'transfer.refused') AS refused
  FROM event
  WHERE type IN ('transfer.credited', 'transfer.refused')
  GROUP BY subject
)
SELECT transfer_id AS subject,
       format('%s; events: credited %s, refused %s', ruling, coalesce(credited, 0), coalesce(refused, 0)) AS detail
FROM verdict
JOIN shard_identity ON from_shard <> shard
LEFT JOIN said ON said.subject = transfer_id
WHERE (coalesce(credited, 0) > 0, coalesce(refused, 0) > 0) <> (ruling = 'CREDITED', ruling = 'REFUSED');
