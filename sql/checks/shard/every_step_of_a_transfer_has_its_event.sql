-- I16 A transfer has the events of the steps that it took, each once, and no other: requested, authorized, held, and
-- the fact that it ended. Only the question may come again.
-- A row is a transfer with an event too few or too many.
-- Severity: critical
WITH steps AS (
  SELECT subject,
         count(*) FILTER (WHERE type = 'transfer.requested') AS requested,
         count(*) FILTER (WHERE type = 'transfer.authorized') AS authorized,
         count(*) FILTER (WHERE type = 'transfer.held') AS held,
         count(*) FILTER (WHERE type = 'transfer.committed') AS committed,
         count(*) FILTER (WHERE type = 'transfer.rejected') AS rejected,
         count(*) FILTER (WHERE type = 'transfer.cancelled') AS cancelled
  FROM event
  WHERE type IN ('transfer.requested', 'transfer.authorized', 'transfer.held', 'transfer.committed',
                 'transfer.rejected', 'transfer.cancelled')
  GROUP BY subject
)
SELECT transfer_id AS subject,
       format('%s; events: requested %s, authorized %s, held %s, committed %s, rejected %s, cancelled %s', status,
              coalesce(requested, 0), coalesce(authorized, 0), coalesce(held, 0), coalesce(committed, 0),
              coalesce(rejected, 0), coalesce(cancelled, 0)) AS detail
FROM transfer
LEFT JOIN steps ON steps.subject = transfer_id
WHERE requested IS NULL
   OR requested = 0
   OR authorized <> CASE WHEN capture = 'manual' AND status NOT IN ('requested', 'rejected') THEN 1 ELSE 0 END
   OR held > 1
   OR (held = 1 AND status NOT IN ('held', 'committed', 'cancelled'))
   OR (held = 0 AND status = 'held')
   OR (committed, rejected, cancelled) <>
        ((status = 'committed')::int, (status = 'rejected')::int, (status = 'cancelled')::int);
