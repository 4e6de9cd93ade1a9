/**
 * The port to the sealed blocks: what the sealer appends, what is verified, and what receipts are made of.
 */
import { Context, type Effect, type Option } from "effect"
import type { Lease, LeaseLost } from "../sharding/Leases.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Head, SealedBlock } from "./Block.ts"
import type { Logged } from "./Leaf.ts"

/** What a shard has of a transfer. */
export interface Part {
  readonly shard: ShardId
  readonly rows: ReadonlyArray<Logged>
  /** Every block that one of the rows stands in, as far as they are sealed. */
  readonly blocks: ReadonlyArray<SealedBlock>
}

/** The last block of a shard, and up to where it goes. */
export interface End extends Head {
  readonly upTo: bigint
}

/** What a block can be made of: everything there is, and ever will be, up to a position. */
export interface Unsealed {
  readonly rows: ReadonlyArray<Logged>
  readonly upTo: bigint
}

/** A shard at one moment, for those who verify it. */
export interface Snapshot {
  /** The first block with a number above this one. */
  readonly blockAfter: (number: bigint) => Effect.Effect<Option.Option<SealedBlock>, ShardUnavailable>
  /** What stands in the log after a position and up to another, whether or not it was sealed. */
  readonly rows: (after: bigint, upTo: bigint) => Effect.Effect<ReadonlyArray<Logged>, ShardUnavailable>
  /** How many events stand after a position. */
  readonly countAfter: (position: bigint) => Effect.Effect<bigint, ShardUnavailable>
  /** Rows that no block could ever hold: journals whose event is not there, at most so many. */
  readonly strays: (most: number) => Effect.Effect<ReadonlyArray<string>, ShardUnavailable>
}

export class Seals extends Context.Service<Seals, {
  /** Where the chain of a shard ends. */
  readonly end: (shard: ShardId) => Effect.Effect<End, ShardUnavailable>
  /** How many positions were drawn after this one: about as many events wait to be sealed. */
  readonly waiting: (shard: ShardId, after: bigint) => Effect.Effect<bigint, ShardUnavailable>
  /** The next events after a position, at most so many, that nothing can join any more. */
  readonly unsealed: (shard: ShardId, after: bigint, most: number) => Effect.Effect<Unsealed, ShardUnavailable>
  /** Appends a block, if the lease still stands and the chain ends where the block begins. */
  readonly append: (lease: Lease, block: SealedBlock) => Effect.Effect<void, LeaseLost | ShardUnavailable>
  /** The hashes of blocks by their numbers, of those that are there. */
  readonly hashesOf: (
    shard: ShardId,
    numbers: ReadonlyArray<bigint>
  ) => Effect.Effect<ReadonlyMap<bigint, string>, ShardUnavailable>
  /** What a shard has of a transfer, and the blocks that hold it. */
  readonly partOf: (shard: ShardId, transfer: string) => Effect.Effect<Part, ShardUnavailable>
  /** Looks at a shard as it is at one moment. */
  readonly look: <A, E, R>(
    shard: ShardId,
    at: (snapshot: Snapshot) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ShardUnavailable, R>
}>()("counterpoise/domain/sealing/Seals") {}
