-- I18 Every event speaks of a transfer, a verdict, an account or an instruction that its shard knows, in the terms that
-- were agreed.
-- A row is an event about nothing, or with other terms.
-- Severity: critical
WITH told (position, kind, subject, type, transfer, account, source, destination, amount, currency, reverses,
           instruction, captured) AS (
  SELECT position, event.type, subject, said.*
  FROM event
  -- One parse for all fields: five times as fast as an operator for each.
  CROSS JOIN LATERAL json_to_record(payload)
    AS said (type text, transfer text, account text, source text, destination text, amount text, currency text,
             reverses text, instruction text, captured text)
)
SELECT told.subject,
       format('%s at position %s: %s', told.kind, position,
         CASE WHEN coalesce(transfer.transfer_id, verdict.transfer_id, account_id) IS NULL THEN 'of nothing known here'
              ELSE 'with other terms' END) AS detail
FROM told
LEFT JOIN transfer
  ON transfer.transfer_id = told.subject
  AND told.kind LIKE 'transfer.%' AND told.kind NOT IN ('transfer.credited', 'transfer.refused')
LEFT JOIN verdict
  ON verdict.transfer_id = told.subject AND told.kind IN ('transfer.credited', 'transfer.refused')
LEFT JOIN account
  ON account_id = told.subject AND told.kind LIKE 'account.%'
LEFT JOIN instruction
  ON instruction_id = told.instruction
WHERE (told.kind, told.subject) IS DISTINCT FROM (told.type, coalesce(told.transfer, told.account))
   OR (told.kind LIKE '%\_requested'
       AND (told.kind, told.subject, told.captured) IS DISTINCT FROM
         (CASE WHEN asks IN ('capture', 'void') THEN 'transfer.' ELSE 'account.' END || asks || '_requested',
          instruction.subject, instruction.amount::text))
   OR CASE
        WHEN told.kind LIKE 'account.%' THEN account_id IS NULL
        WHEN told.kind IN ('transfer.credited', 'transfer.refused') THEN
          (told.source, told.destination, told.amount, told.currency) IS DISTINCT FROM
            (verdict.source, verdict.destination, verdict.amount::text, verdict.currency::text)
        ELSE
          (told.source, told.destination, told.currency) IS DISTINCT FROM
            (transfer.source, transfer.destination, transfer.currency::text)
          -- Until a part of it is captured, a transfer is about its whole amount.
          OR told.amount IS NULL OR told.amount NOT IN (transfer.amount::text, transfer.moving::text)
          OR (told.kind IN ('transfer.held', 'transfer.committed', 'transfer.recalled')
              AND told.amount <> transfer.moving::text)
          OR (told.kind = 'transfer.requested' AND told.reverses IS DISTINCT FROM transfer.reverses)
      END;
