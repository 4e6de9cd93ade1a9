-- I05 No account is below its floor or above its ceiling, counting open holds as debits that may still come.
-- A row is an account that is.
-- Severity: critical
SELECT account_id AS subject,
       format('posted %s, held %s, %s-normal, floor %s, ceiling %s', posted, held, normal_side,
              coalesce(floor::text, 'none'), coalesce(ceiling::text, 'none')) AS detail
FROM balance
JOIN account USING (account_id)
WHERE CASE normal_side
        WHEN 'credit' THEN posted - held < floor OR posted > ceiling
        ELSE -posted < floor OR -posted + held > ceiling
      END;
