-- I37 A closed account is empty: nothing is posted to it, and nothing held on it.
-- A row is a closed account that is not.
-- Severity: critical
SELECT account_id AS subject, format('posted %s, held %s', posted, held) AS detail
FROM account
JOIN balance USING (account_id)
WHERE status = 'closed' AND (posted <> 0 OR held <> 0);
