-- I34 An account is frozen, unfrozen and closed by instructions that were done, each with its fact in the log, in an order
-- that can be; and its status is what the last of them made it.
-- A row is an account of which this is not so.
-- Severity: critical
WITH fact AS (
  SELECT subject AS account_id, type, lag(type) OVER of_account AS before, lead(type) OVER of_account AS after
  FROM event
  WHERE type IN ('account.frozen', 'account.unfrozen', 'account.closed')
  WINDOW of_account AS (PARTITION BY subject ORDER BY position)
), told AS (
  SELECT account_id,
         count(*) FILTER (WHERE type = 'account.frozen') AS frozen,
         count(*) FILTER (WHERE type = 'account.unfrozen') AS unfrozen,
         count(*) FILTER (WHERE type = 'account.closed') AS closed,
         min(type) FILTER (WHERE after IS NULL) AS last,
         bool_and(CASE type
                    WHEN 'account.frozen' THEN before IS NULL OR before = 'account.unfrozen'
                    WHEN 'account.unfrozen' THEN before IS NOT DISTINCT FROM 'account.frozen'
                    ELSE before IS DISTINCT FROM 'account.closed'
                  END) AS in_order
  FROM fact
  GROUP BY account_id
), done AS (
  SELECT subject AS account_id,
         count(*) FILTER (WHERE asks = 'freeze') AS freezes,
         count(*) FILTER (WHERE asks = 'unfreeze') AS unfreezes,
         count(*) FILTER (WHERE asks = 'close') AS closes
  FROM instruction
  WHERE asks IN ('freeze', 'unfreeze', 'close') AND status = 'done'
  GROUP BY subject
)
SELECT account_id AS subject,
       format('%s; told: frozen %s, unfrozen %s, closed %s, last %s; done: %s, %s, %s', coalesce(status, 'not known here'),
              coalesce(frozen, 0), coalesce(unfrozen, 0), coalesce(closed, 0), coalesce(last, 'nothing'),
              coalesce(freezes, 0), coalesce(unfreezes, 0), coalesce(closes, 0)) AS detail
FROM account
FULL JOIN told USING (account_id)
FULL JOIN done USING (account_id)
WHERE (coalesce(frozen, 0), coalesce(unfrozen, 0), coalesce(closed, 0))
        <> (coalesce(freezes, 0), coalesce(unfreezes, 0), coalesce(closes, 0))
   OR NOT in_order
   OR status IS DISTINCT FROM
        CASE last WHEN 'account.frozen' THEN 'frozen' WHEN 'account.closed' THEN 'closed' ELSE 'open' END;
