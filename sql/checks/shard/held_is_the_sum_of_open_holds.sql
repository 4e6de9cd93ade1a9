-- I04 What is held on an account is the sum of its open holds.
-- A row is an account whose balance says another sum.
-- Severity: critical
WITH open AS (
  SELECT account_id, sum(CASE change WHEN 'placed' THEN amount ELSE -amount END) AS held
  FROM hold
  GROUP BY account_id
)
SELECT account_id AS subject,
       format('held %s, open holds add up to %s', coalesce(balance.held, 0), coalesce(open.held, 0)) AS detail
FROM balance
FULL JOIN open USING (account_id)
WHERE coalesce(balance.held, 0) <> coalesce(open.held, 0);
