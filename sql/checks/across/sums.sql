-- What all balances of this shard add up to, by currency.
-- Feeds I31
SELECT currency::text, sum(posted) AS posted
FROM balance
JOIN account USING (account_id)
GROUP BY currency;
