-- Lists of transfers by what they are looked for by, each in the order of their ids: the newest page of an account that
-- has millions costs as much as that of one with ten.

CREATE INDEX transfer_source ON transfer (source, transfer_id);

DROP INDEX transfer_reverses;
CREATE INDEX transfer_reverses ON transfer (reverses, transfer_id) WHERE reverses IS NOT NULL;

-- A page that begins half empty has room for what becomes of its transfers: their changes touch no index. Of the changes
-- of a batch, that was 100 % instead of 29 %. It pays for most of the index above, and the table gets no larger for it:
-- what is not updated in place leaves dead rows behind.
ALTER TABLE transfer SET (fillfactor = 50);
