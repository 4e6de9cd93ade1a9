-- I07 The entries of an account are numbered 1, 2, 3, … without a gap, and its balance knows the last number.
-- A row is an account where they are not, or whose balance has another number.
-- Severity: critical
WITH numbered AS (
  SELECT account_id, sequence, row_number() OVER (PARTITION BY account_id ORDER BY sequence) AS place
  FROM entry
), counted AS (
  SELECT account_id, count(*) AS entries, max(sequence) AS last, min(sequence) FILTER (WHERE sequence <> place) AS wrong
  FROM numbered
  GROUP BY account_id
)
SELECT account_id AS subject,
       format('%s entries, the last is %s, the balance says %s, the first out of place is %s', coalesce(entries, 0),
              coalesce(last, 0), coalesce(balance.sequence, 0), coalesce(wrong::text, 'none')) AS detail
FROM balance
FULL JOIN counted USING (account_id)
WHERE wrong IS NOT NULL OR coalesce(last, 0) <> coalesce(balance.sequence, 0);
