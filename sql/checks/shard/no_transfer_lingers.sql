-- I23 Every transfer ends, and soon: only one that waits for its client's capture may stay as it is.
-- A row is a transfer that has been silent for longer than `counterpoise.grace` (5 minutes unless set).
-- Severity: warning
SELECT transfer_id AS subject, format('%s since %s', status, status_changed_at) AS detail
FROM transfer
CROSS JOIN (
  SELECT now() - coalesce(nullif(current_setting('counterpoise.grace', true), ''), '5 minutes')::interval AS latest
) AS grace
WHERE (status IN ('requested', 'held') AND status_changed_at < latest)
   OR (status = 'authorized' AND expires_at < latest);
