-- I33 A capture or void is done if and only if it decided its transfer: of one that went on, one capture of what is
-- moving; of one that was voided, one void; of any other, none.
-- A row is a transfer of which other instructions are done.
-- Severity: critical
WITH done AS (
  SELECT subject AS transfer_id, count(*) AS times, min(asks) AS asks, min(amount) AS amount
  FROM instruction
  WHERE asks IN ('capture', 'void') AND status = 'done'
  GROUP BY subject
), waiting AS (
  SELECT transfer_id, status, reason_code, amount, moving,
         CASE WHEN status IN ('requested', 'authorized', 'rejected') OR reason_code = 'expired' THEN 'nothing'
              WHEN reason_code = 'voided' THEN 'void'
              ELSE 'capture' END AS decided_by
  FROM transfer
  WHERE capture = 'manual'
)
SELECT transfer_id AS subject,
       format('%s (%s), moving %s of %s; done %s: %s of %s', coalesce(status, 'not one that waits for its client'),
              coalesce(reason_code, 'no reason'), moving, waiting.amount, coalesce(times, 0), coalesce(asks, 'nothing'),
              coalesce(done.amount::text, 'all')) AS detail
FROM waiting
FULL JOIN done USING (transfer_id)
WHERE decided_by IS NULL
   OR coalesce(times, 0) <> CASE decided_by WHEN 'nothing' THEN 0 ELSE 1 END
   OR (times > 0 AND asks <> decided_by)
   OR (times > 0 AND asks = 'capture' AND coalesce(done.amount, waiting.amount) <> moving);
