-- The position barrier looks less and less often while a writer is at work. A batch of the ledger worker takes a tenth of a
-- second under load, and both relays looked at it two hundred times: of what PostgreSQL spent on a transfer across shards
-- that was a twentieth. A lone event still waits no longer than it did.
CREATE OR REPLACE FUNCTION event_barrier(after bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  drawn bigint;
  mine xid8;
  -- seconds
  pause float8 := 0.0005;
  longest CONSTANT float8 := 0.01;
BEGIN
  SELECT last_value INTO drawn FROM event_position_seq WHERE is_called;
  IF drawn IS NULL OR drawn <= after THEN
    RETURN NULL;
  END IF;
  mine := pg_current_xact_id();
  WHILE pg_snapshot_xmin(pg_current_snapshot()) < mine LOOP
    PERFORM pg_sleep(pause);
    pause := least(pause * 1.5, longest);
  END LOOP;
  RETURN drawn;
END
$$;
