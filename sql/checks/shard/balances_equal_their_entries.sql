-- I03 What is posted to an account is the sum of its entries: credits less debits.
-- A row is an account whose balance says another sum, or that has no balance.
-- Severity: critical
WITH entries AS (
  SELECT account_id, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS posted
  FROM entry
  GROUP BY account_id
)
SELECT account_id AS subject,
       format('posted %s, entries add up to %s', coalesce(balance.posted::text, 'nowhere'), coalesce(entries.posted, 0))
         AS detail
FROM account
FULL JOIN balance USING (account_id)
FULL JOIN entries USING (account_id)
WHERE balance.posted IS DISTINCT FROM coalesce(entries.posted, 0);
