-- I20 Every idempotency key leads to the transfer, account or instruction that it made.
-- A row is a key that leads to nothing, or to another client's or another account's.
-- Severity: critical
SELECT resource_id AS subject,
       format('key %s of client %s in %s leads to %s', idempotency_key.key, idempotency_key.client, scope,
              CASE WHEN transfer_id IS NOT NULL THEN format('a transfer of %s from %s', transfer.client, source)
                   ELSE 'nothing' END) AS detail
FROM idempotency_key
LEFT JOIN transfer ON transfer_id = resource_id
LEFT JOIN account ON account_id = resource_id
LEFT JOIN instruction ON instruction_id = resource_id
WHERE CASE
        WHEN scope LIKE 'transfer:%' THEN
          (idempotency_key.client, scope) IS DISTINCT FROM (transfer.client, 'transfer:' || source)
        WHEN scope = 'account' OR scope LIKE 'account:%' THEN
          account_id IS NULL OR (scope <> 'account' AND scope <> 'account:' || account_id)
        ELSE
          (idempotency_key.client, scope) IS DISTINCT FROM (instruction.client, asks || ':' || subject)
      END;
