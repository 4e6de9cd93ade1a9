-- I32 Every instruction was carried by its event, which stands in the log at least once.
-- A row is an instruction without it: the worker cannot have heard of it.
-- Severity: critical
WITH carried AS (
  SELECT DISTINCT payload ->> 'instruction' AS instruction_id
  FROM event
  WHERE type IN ('transfer.capture_requested', 'transfer.void_requested', 'account.freeze_requested',
                 'account.unfreeze_requested', 'account.close_requested')
)
SELECT instruction_id AS subject, format('to %s %s, %s', asks, instruction.subject, status) AS detail
FROM instruction
LEFT JOIN carried USING (instruction_id)
WHERE carried.instruction_id IS NULL;
