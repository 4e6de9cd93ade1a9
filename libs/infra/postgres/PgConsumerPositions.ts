/** The ledger worker's places, in the shard that they guard. */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { ConsumerPositions, StaleOwner } from "#domain/messaging/ConsumerPositions.ts"
import * as PgPlaces from "./PgPlaces.ts"
import { whatItMeans } from "./ShardDatabases.ts"

export const make = (sql: PgClient.PgClient, shard: number) => {
  const advance = Effect.fnUntraced(function*(log: string, epoch: bigint, moves: ReadonlyArray<PgPlaces.Move>) {
    if (moves.length === 0) return
    const leaseStands = sql`EXISTS (SELECT FROM lease WHERE role = 'ledger' AND epoch = ${epoch})`
    if (!(yield* PgPlaces.advance(sql, log, moves, leaseStands))) return yield* StaleOwner.make({ shard })
  })

  return ConsumerPositions.of({
    load: (log, partitions) => whatItMeans(shard, PgPlaces.load(sql, log, partitions)),
    advance: (log, epoch, moves) => whatItMeans(shard, advance(log, epoch, moves))
  })
}
