-- I24 Every event is carried on, and soon: the relay's cursor passes it.
-- A row is an event that the cursor last moved has not passed within `counterpoise.grace` (5 minutes unless set).
-- Severity: warning
SELECT subject, format('%s at position %s since %s', type, position, occurred_at) AS detail
FROM event
WHERE position > coalesce((SELECT position FROM relay_cursor ORDER BY moved_at DESC LIMIT 1), 0)
  AND occurred_at < now() - coalesce(nullif(current_setting('counterpoise.grace', true), ''), '5 minutes')::interval;
