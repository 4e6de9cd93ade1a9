-- I39 A shard's log holds all that others have seen of it: what was committed there is not lost.
-- A row is a shard that was restored from an older copy, and has not caught up.
-- Severity: critical
SELECT format('shard %s', shard) AS subject,
  format('its log ends at position %s, and %s has seen %s: it takes nothing', log_end, seen_by, seen_to) AS detail
FROM recovery, shard_identity
WHERE ended_at IS NULL;
