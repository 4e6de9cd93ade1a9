-- Least privilege: what each process may do, and nothing else. Nobody may UPDATE or DELETE entries, holds, verdicts,
-- events or keys; the triggers refuse the owner as well.

GRANT SELECT ON ALL TABLES IN SCHEMA public
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler, counterpoise_auditor;

-- The API records wishes. It opens accounts, whose balance begins at zero, and cannot write one.
GRANT INSERT ON idempotency_key, event TO counterpoise_api;
GRANT INSERT (transfer_id, source, destination, amount, currency, capture, moving, reference, description, metadata,
  client, expires_at) ON transfer TO counterpoise_api;
GRANT INSERT (account_id, partition, kind, normal_side, currency, floor, ceiling, metadata) ON account TO counterpoise_api;
GRANT INSERT (account_id) ON balance TO counterpoise_api;

-- The relay moves its cursor.
GRANT INSERT, UPDATE ON relay_cursor, lease TO counterpoise_relay;
GRANT SELECT ON SEQUENCE event_position_seq TO counterpoise_relay, counterpoise_reconciler, counterpoise_auditor;

-- The ledger worker is the only writer of balances and entries.
GRANT INSERT ON journal, hold, verdict, event, account, balance TO counterpoise_ledger;
GRANT UPDATE ON balance TO counterpoise_ledger;
GRANT UPDATE (status, moving, reason_code, reason_detail, status_changed_at) ON transfer TO counterpoise_ledger;
GRANT INSERT, UPDATE ON consumer_position, lease TO counterpoise_ledger;

-- The reconciler asks again, by appending events.
GRANT INSERT ON event TO counterpoise_reconciler;
GRANT INSERT, UPDATE ON lease TO counterpoise_reconciler;
