-- I22 A clearing account stands for another shard, in one direction and one currency, as its name says; towards others
-- it only ever owes, from others it is only ever owed.
-- A row is a clearing account of which this is not so.
-- Severity: critical
WITH named AS (
  SELECT account_id, currency, posted, held,
         regexp_match(account_id, '^clearing:(\d+):(to|from):(\d+):([A-Z]{3})$') AS name
  FROM account
  JOIN balance USING (account_id)
  WHERE kind = 'clearing'
)
SELECT account_id AS subject, format('on shard %s in %s, posted %s, held %s', shard, currency, posted, held) AS detail
FROM named
CROSS JOIN shard_identity
WHERE name IS NULL
   OR (name[1], name[4]) <> (shard::text, currency::text)
   OR name[3] = shard::text
   OR held <> 0
   OR CASE name[2] WHEN 'to' THEN posted < 0 ELSE posted > 0 END;
