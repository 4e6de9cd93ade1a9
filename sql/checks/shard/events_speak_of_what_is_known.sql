-- I18 Every event speaks of a transfer, a verdict or an account that its shard knows, in the terms that were agreed.
-- A row is an event about nothing, or with other terms.
-- Severity: critical
WITH told AS (
  SELECT position, type, subject, payload ->> 'source' AS source, payload ->> 'destination' AS destination,
         payload ->> 'amount' AS amount, payload ->> 'currency' AS currency, payload ->> 'type' AS inner_type,
         coalesce(payload ->> 'transfer', payload ->> 'account') AS inner_subject
  FROM event
)
SELECT told.subject,
       format('%s at position %s: %s', told.type, position,
         CASE WHEN coalesce(transfer.transfer_id, verdict.transfer_id, account_id) IS NULL THEN 'of nothing known here'
              ELSE 'with other terms' END) AS detail
FROM told
LEFT JOIN transfer
  ON transfer.transfer_id = told.subject
  AND told.type LIKE 'transfer.%' AND told.type NOT IN ('transfer.credited', 'transfer.refused')
LEFT JOIN verdict
  ON verdict.transfer_id = told.subject AND told.type IN ('transfer.credited', 'transfer.refused')
LEFT JOIN account
  ON account_id = told.subject AND told.type LIKE 'account.%'
WHERE (told.type, told.subject) IS DISTINCT FROM (inner_type, inner_subject)
   OR CASE
        WHEN told.type LIKE 'account.%' THEN account_id IS NULL
        WHEN told.type IN ('transfer.credited', 'transfer.refused') THEN
          (told.source, told.destination, told.amount, told.currency) IS DISTINCT FROM
            (verdict.source, verdict.destination, verdict.amount::text, verdict.currency::text)
        ELSE
          (told.source, told.destination, told.currency) IS DISTINCT FROM
            (transfer.source, transfer.destination, transfer.currency::text)
          -- Until a part of it is captured, a transfer is about its whole amount.
          OR told.amount IS NULL OR told.amount NOT IN (transfer.amount::text, transfer.moving::text)
          OR (told.type IN ('transfer.held', 'transfer.committed', 'transfer.recalled')
              AND told.amount <> transfer.moving::text)
      END;
