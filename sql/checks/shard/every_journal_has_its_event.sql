-- I15 Every journal has its event in the log: transfer.committed at the source, transfer.credited at the destination.
-- A row is a journal without it: money moved, and nobody was told.
-- Severity: critical
WITH announced AS (
  SELECT subject, type
  FROM event
  WHERE type IN ('transfer.committed', 'transfer.credited')
  GROUP BY subject, type
)
SELECT transfer_id AS subject, format('%s of %s %s, without its event', step, amount, currency) AS detail
FROM journal
LEFT JOIN announced
  ON subject = transfer_id
  AND type = CASE step WHEN 'credit' THEN 'transfer.credited' ELSE 'transfer.committed' END
WHERE subject IS NULL;
