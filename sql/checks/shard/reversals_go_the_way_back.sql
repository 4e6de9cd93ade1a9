-- I36 A reversal that was not rejected goes the way of its transfer back: from the account that was credited to the one
-- that it came from, in the same currency.
-- A row is a reversal that goes another way, or of a transfer that credited nothing here.
-- Severity: critical
SELECT transfer.transfer_id AS subject,
       format('%s, %s %s from %s to %s; %s was %s here, from %s to %s in %s', status, moving, transfer.currency,
              transfer.source, transfer.destination, reverses, coalesce(ruling, 'never ruled on'), verdict.source,
              verdict.destination, verdict.currency) AS detail
FROM transfer
LEFT JOIN verdict ON verdict.transfer_id = reverses
WHERE reverses IS NOT NULL
  AND status NOT IN ('requested', 'rejected')
  AND (ruling, verdict.source, verdict.destination, verdict.currency) IS DISTINCT FROM
    ('CREDITED', transfer.destination, transfer.source, transfer.currency);
