-- Somebody wants events carried again: the relay is sent back. Its cursor goes to an earlier position and its lease is taken from
-- whoever holds it, in one transaction, so that the next holder begins there and the last one cannot move the cursor past it.
--
-- The lease's row is locked before the cursor's, here and where a relay moves its cursor (PgShardLog): a move that waited for
-- us finds another epoch, and not only another position.
--
-- An operator is granted this, and neither the leases nor the cursors: it only ever goes back. Answers the log, and how far the
-- relay had come there; nothing where it has not come as far as that.
CREATE FUNCTION send_relay_back(first bigint) RETURNS TABLE (into_log text, carried_to bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM lease WHERE role = 'relay' FOR UPDATE;
  -- Of several logs the one that was last carried into is the one in use.
  SELECT log, position INTO into_log, carried_to FROM relay_cursor ORDER BY moved_at DESC LIMIT 1 FOR UPDATE;
  IF first < 1 OR carried_to IS NULL OR carried_to < first THEN
    RETURN;
  END IF;
  UPDATE lease SET epoch = epoch + 1, expires_at = clock_timestamp() WHERE role = 'relay';
  UPDATE relay_cursor SET position = first - 1 WHERE log = into_log;
  RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION send_relay_back(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION send_relay_back(bigint) TO counterpoise_operator;
