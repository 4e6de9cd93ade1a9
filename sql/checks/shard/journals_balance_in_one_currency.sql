-- I01 Every journal is one DEBIT and one CREDIT of the same amount, in the one currency of both its accounts.
-- A row is a journal that is not. (That both entries have one amount, and neither is without the other, is its shape.)
-- Severity: critical
SELECT journal.transfer_id AS subject,
       format('%s of %s %s from %s (%s) to %s (%s)', step, amount, journal.currency,
              debit_account, coalesce(debited.currency, 'unknown'),
              credit_account, coalesce(credited.currency, 'unknown')) AS detail
FROM journal
LEFT JOIN account AS debited ON debited.account_id = debit_account
LEFT JOIN account AS credited ON credited.account_id = credit_account
WHERE amount <= 0
   OR debit_account = credit_account
   OR (debited.currency, credited.currency) IS DISTINCT FROM (journal.currency, journal.currency);
