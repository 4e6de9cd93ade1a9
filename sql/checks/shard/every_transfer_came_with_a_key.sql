-- I21 Every transfer was made under an idempotency key, which is kept for ever: a second request is recognised.
-- A row is a transfer to which no key leads.
-- Severity: critical
SELECT transfer_id AS subject,
       format('of client %s from %s, at %s', transfer.client, source, transfer.created_at) AS detail
FROM transfer
LEFT JOIN idempotency_key ON resource_id = transfer_id AND scope = 'transfer:' || source
WHERE resource_id IS NULL;
