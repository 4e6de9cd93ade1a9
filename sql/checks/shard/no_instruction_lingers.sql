-- I38 Every instruction is answered, and soon.
-- A row is an instruction that has been open for longer than `counterpoise.grace` (5 minutes unless set).
-- Severity: warning
SELECT instruction_id AS subject, format('to %s %s, open since %s', asks, subject, created_at) AS detail
FROM instruction
WHERE status = 'open'
  AND created_at < now() - coalesce(nullif(current_setting('counterpoise.grace', true), ''), '5 minutes')::interval;
