/** The port through which the books are taken out: every journal of a shard, in one order. */
import { Context, type Effect } from "effect"
import type { JournalStep } from "../ledger/Journal.ts"
import type { Entry } from "../ledger/Queries.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"

/** One journal as it stands in the books. */
export interface WrittenJournal {
  readonly transfer: string
  readonly leg: number
  readonly step: JournalStep
  readonly entries: readonly [debit: Entry, credit: Entry]
}

/** What journals are ordered by. */
export type JournalKey = Pick<WrittenJournal, "transfer" | "leg" | "step">

export class Journals extends Context.Service<Journals, {
  /**
   * The journals of a shard after a key, at most so many, in the order of transfer, leg and step. What is written while
   * somebody goes through them may be among them or not.
   */
  readonly after: (
    shard: ShardId,
    key: JournalKey | null,
    most: number
  ) => Effect.Effect<ReadonlyArray<WrittenJournal>, ShardUnavailable>
  /** About how many there are on a shard: what the planner believes, at no cost. */
  readonly about: (shard: ShardId) => Effect.Effect<number, ShardUnavailable>
}>()("counterpoise/domain/audit/Journals") {}
