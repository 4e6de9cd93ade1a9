-- I19 Every account but the ledger's own was opened once, as its event says: kind, side, currency, floor and ceiling.
-- A row is an account without that event, or that is another now: a floor that was lowered, perhaps.
-- Severity: critical
WITH opened AS (
  SELECT subject AS account_id, count(*) AS times, min(payload ->> 'kind') AS kind,
         min(payload ->> 'normalSide') AS normal_side, min(payload ->> 'currency') AS currency,
         min(payload ->> 'floor') AS floor, min(payload ->> 'ceiling') AS ceiling
  FROM event
  WHERE type = 'account.opened'
  GROUP BY subject
)
SELECT account_id AS subject,
       format('opened %s times, as %s %s %s %s..%s; it is %s %s %s %s..%s', coalesce(times, 0), opened.kind,
              opened.normal_side, opened.currency, opened.floor, opened.ceiling, account.kind, account.normal_side,
              account.currency, account.floor, account.ceiling) AS detail
FROM account
LEFT JOIN opened USING (account_id)
WHERE account.kind <> 'clearing'
  AND (times, opened.kind, opened.normal_side, opened.currency, opened.floor, opened.ceiling) IS DISTINCT FROM
    (1, account.kind, account.normal_side, account.currency::text, account.floor::text, account.ceiling::text);
