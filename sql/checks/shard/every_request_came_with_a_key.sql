-- I21 Every transfer and every instruction was made under an idempotency key, which is kept for ever: a second request
-- is recognised.
-- A row is one to which no key leads.
-- Severity: critical
WITH made (id, client, scope, created_at) AS (
  SELECT transfer_id, client, 'transfer:' || source, created_at FROM transfer
  UNION ALL
  SELECT instruction_id, client, asks || ':' || subject, created_at FROM instruction
)
SELECT id AS subject, format('of client %s in %s, at %s', made.client, made.scope, made.created_at) AS detail
FROM made
LEFT JOIN idempotency_key ON resource_id = id AND idempotency_key.scope = made.scope
WHERE resource_id IS NULL;
