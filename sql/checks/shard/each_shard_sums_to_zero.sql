-- I02 All balances of a shard add up to zero in every currency, and so do all its entries.
-- A row is a currency in which they do not.
-- Severity: critical
WITH entries AS (
  SELECT account_id, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS posted
  FROM entry
  GROUP BY account_id
)
SELECT currency::text AS subject,
       format('balances add up to %s, entries to %s', sum(balance.posted), sum(entries.posted)) AS detail
FROM account
LEFT JOIN balance USING (account_id)
LEFT JOIN entries USING (account_id)
GROUP BY currency
HAVING sum(balance.posted) <> 0 OR sum(entries.posted) <> 0;
