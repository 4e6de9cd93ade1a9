-- Sealed blocks: what was written in the past can no longer be changed without being noticed. docs/evidence.md says how.

-- Each block seals a stretch of the event log and the journals beside it: a Merkle root over them, signed by a key that this
-- database never sees. Nothing here is believed by those who verify, but for what the signature covers.
CREATE TABLE sealed_block (
  number bigint PRIMARY KEY,
  -- it holds every event after the one position, up to the other
  begins_after bigint NOT NULL,
  up_to bigint NOT NULL,
  leaves integer NOT NULL,
  root bytea NOT NULL,
  -- the hash of leaf_list and secret
  list bytea NOT NULL,
  -- the hash of the block before
  previous bytea NOT NULL,
  -- the last block of another shard, when this one was sealed
  witness_shard smallint,
  witness_number bigint,
  witness_hash bytea,
  sealed_at timestamptz NOT NULL,
  key_id text NOT NULL,
  signature bytea NOT NULL,
  -- the hash of all of the above but the signature
  hash bytea NOT NULL,
  -- for each leaf 8 bytes of position and 32 of hash: they say which row was changed; the root, only that one was
  leaf_list bytea NOT NULL,
  -- what the hashes hide that a receipt does not show of its rows
  secret bytea NOT NULL,
  previous_number bigint GENERATED ALWAYS AS (nullif(number - 1, 0)) STORED,
  CONSTRAINT where_a_block_ends_is_known_by_its_hash UNIQUE (up_to, number, hash),
  CONSTRAINT a_block_begins_where_the_one_before_ended
    FOREIGN KEY (begins_after, previous_number, previous) REFERENCES sealed_block (up_to, number, hash),
  CONSTRAINT blocks_are_numbered_from_one CHECK (number >= 1),
  CONSTRAINT the_first_block_begins_at_the_beginning
    CHECK (number > 1 OR (begins_after = 0 AND previous = decode(repeat('00', 32), 'hex'))),
  CONSTRAINT a_block_ends_after_it_began CHECK (up_to > begins_after),
  CONSTRAINT a_block_is_not_empty CHECK (leaves > 0),
  CONSTRAINT each_leaf_is_listed_with_40_bytes CHECK (length(leaf_list) = 40 * leaves),
  CONSTRAINT hashes_are_sha_256
    CHECK (length(root) = 32 AND length(list) = 32 AND length(previous) = 32 AND length(hash) = 32 AND length(witness_hash) = 32),
  CONSTRAINT a_signature_is_ed25519 CHECK (length(signature) = 64),
  CONSTRAINT a_witness_is_named_whole CHECK (num_nulls(witness_shard, witness_number, witness_hash) IN (0, 3))
);

-- Digests cannot be compressed.
ALTER TABLE sealed_block ALTER COLUMN leaf_list SET STORAGE EXTERNAL;

CREATE TRIGGER sealed_blocks_are_never_changed
  BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_block
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change();

GRANT SELECT ON sealed_block
  TO counterpoise_api, counterpoise_relay, counterpoise_ledger, counterpoise_reconciler, counterpoise_auditor;
GRANT INSERT ON sealed_block TO counterpoise_reconciler;
