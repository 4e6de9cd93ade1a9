-- I06 No account was below its floor or above its ceiling after any of its entries.
-- A row is an account that was, with the first entry that took it there.
-- Severity: critical
WITH crossings AS (
  SELECT account_id, count(*) AS times, min(sequence) AS first
  FROM entry
  JOIN account USING (account_id)
  WHERE CASE normal_side
          WHEN 'credit' THEN posted < floor OR posted > ceiling
          ELSE -posted < floor OR -posted > ceiling
        END
  GROUP BY account_id
)
SELECT account_id AS subject, format('after %s entries, first after entry %s', times, first) AS detail
FROM crossings;
