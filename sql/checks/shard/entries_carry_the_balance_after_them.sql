-- I08 Every entry carries the balance after it: the balance after the entry before, and its own amount.
-- A row is an account with an entry that does not, with the first such entry.
-- Severity: critical
WITH chained AS (
  SELECT account_id, sequence, posted,
         lag(posted, 1, 0) OVER (PARTITION BY account_id ORDER BY sequence)
           + CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END AS expected
  FROM entry
), broken AS (
  SELECT account_id, count(*) AS times, min(sequence) AS first
  FROM chained
  WHERE posted <> expected
  GROUP BY account_id
)
SELECT account_id AS subject, format('broken %s times, first at entry %s', times, first) AS detail
FROM broken;
