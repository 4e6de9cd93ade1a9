-- I12 The destination was credited if and only if the verdict is CREDITED, and once.
-- A row is a verdict CREDITED without its journal, one REFUSED with a journal, or a credit without a verdict.
-- Severity: critical
WITH credit AS (
  SELECT transfer_id, leg, step
  FROM journal
  WHERE step IN ('direct', 'credit')
)
SELECT transfer_id AS subject,
       format('verdict %s, of shard %s; journal %s', coalesce(ruling, 'missing'), from_shard, coalesce(step, 'missing'))
         AS detail
FROM verdict
FULL JOIN credit USING (transfer_id, leg)
CROSS JOIN shard_identity
WHERE step IS DISTINCT FROM
  CASE WHEN ruling = 'CREDITED' AND from_shard = shard THEN 'direct' WHEN ruling = 'CREDITED' THEN 'credit' END
   OR ruling IS NULL;
