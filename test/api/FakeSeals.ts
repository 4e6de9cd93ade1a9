/** Chains of sealed blocks in memory: what the API reads of them, sealed by the real thing. */
import { Effect, Layer, Redacted } from "effect"
import { headOf, nothing, seal, type SealedBlock, timeOf } from "#domain/sealing/Block.ts"
import type { Logged } from "#domain/sealing/Leaf.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { newPrivateKey, newSecret, sha256, signerOf } from "#infra/Signatures.ts"

export class Chains {
  readonly signer = signerOf(Redacted.make(newPrivateKey()))
  /** What stands in each shard's log, sealed or not. */
  readonly rows: ReadonlyArray<Array<Logged>> = [[], []]
  readonly blocks: ReadonlyArray<Array<SealedBlock>> = [[], []]
  readonly down = new Set<ShardId>()

  /** Writes down that an amount moved within a shard. */
  write(shard: ShardId, transfer: string, { amount, destination, source }: Readonly<Record<string, string>>): void {
    const payload = (type: string) =>
      JSON.stringify({ type, transfer, source, destination, amount, currency: "EUR", client: "anna" })
    for (const type of ["transfer.requested", "transfer.committed"]) {
      this.rows[shard]?.push({
        event: {
          position: BigInt((this.rows[shard]?.length ?? 0) + 1),
          occurredAt: timeOf(1_790_000_000_000),
          type,
          subject: transfer,
          requestId: "req_1",
          payload: payload(type),
          key: source ?? null,
          partition: "1",
          traceparent: null
        },
        journals: type === "transfer.requested" ? [] : [{
          transfer,
          leg: "1",
          step: "direct",
          amount: amount ?? null,
          currency: "EUR",
          debit: source ?? null,
          credit: destination ?? null,
          createdAt: timeOf(1_790_000_000_000),
          debitSequence: "2",
          debitPosted: "8750",
          creditSequence: "1",
          creditPosted: "1250"
        }]
      })
    }
  }

  /** Seals what is not sealed yet. */
  seal(shard: ShardId): void {
    const last = this.blocks[shard]?.at(-1)
    const after = last?.upTo ?? 0n
    const rows = (this.rows[shard] ?? []).filter(({ event }) => event.position > after)
    const head = last === undefined ? nothing : headOf(sha256, last)
    const upTo = rows.at(-1)?.event.position ?? after
    this.blocks[shard]?.push(seal(sha256, this.signer, { shard, head, after, upTo, rows }, {
      witness: null,
      sealedAt: timeOf(1_790_000_001_000),
      secret: newSecret()
    }))
  }
}

const neverAsked = Effect.die(new Error("the API does not ask this"))

export const seals = ({ blocks, down, rows }: Chains): Layer.Layer<Seals> => {
  const on = <A>(shard: ShardId, answer: () => A) =>
    Effect.suspend(() =>
      down.has(shard)
        ? Effect.fail(ShardUnavailable.make({ shard, cause: new Error("connect ECONNREFUSED") }))
        : Effect.sync(answer)
    )
  return Layer.succeed(
    Seals,
    Seals.of({
      end: (shard) =>
        on(shard, () => {
          const last = blocks[shard]?.at(-1)
          return last === undefined ? { ...nothing, upTo: 0n } : { ...headOf(sha256, last), upTo: last.upTo }
        }),
      partOf: (shard, transfer) =>
        on(shard, () => {
          const found = (rows[shard] ?? []).filter(({ event }) => event.subject === transfer)
          const holds = ({ after, upTo }: SealedBlock) =>
            found.some(({ event }) => after < event.position && event.position <= upTo)
          return { shard, rows: found, blocks: (blocks[shard] ?? []).filter(holds) }
        }),
      waiting: () => neverAsked,
      unsealed: () => neverAsked,
      append: () => neverAsked,
      hashesOf: () => neverAsked,
      look: () => neverAsked
    })
  )
}
