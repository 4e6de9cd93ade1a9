/**
 * Receipts of transfers that have ended, and the public keys of the seals.
 */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Queries } from "#domain/ledger/Queries.ts"
import { documentOf, type PublicKey, receiptFor } from "#domain/sealing/Receipt.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import * as Answer from "#infra/http/Answer.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { sha256, trusting } from "#infra/Signatures.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { PublishedSeals, Receipt } from "../contract/Receipts.ts"

const isTransferId = Schema.is(TransferId.TransferId)

const transferNotFound = new Refusal({ code: "transfer_not_found" })

/** How soon a client should ask again for a receipt, in seconds. */
const askAgain = { "retry-after": "2" }

const notYet = (detail: string) => new Refusal({ code: "not_sealed", detail, headers: askAgain })

const receipts = (map: ShardMap, publicKeys: ReadonlyArray<PublicKey>) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "receipts",
    Effect.fn(function*(handlers) {
      const queries = yield* Queries
      const seals = yield* Seals
      const options = { hash: sha256, trusted: trusting(publicKeys), map }
      return handlers.handle(
        "get",
        Effect.fnUntraced(function*({ params: { id } }) {
          if (!isTransferId(id) || TransferId.partitionOf(id) >= map.partitions) return yield* transferNotFound
          const found = yield* Effect.mapError(queries.transfer(id), ofPort)
          if (Option.isNone(found)) return yield* transferNotFound
          const { status, terms } = found.value
          if (!ended.has(status)) return yield* notYet(`the transfer is ${status}`)
          const receipt = yield* receiptFor(terms, options).pipe(
            Effect.provideService(Seals, seals),
            Effect.catchTags({
              NotSealed: ({ message }) => Effect.fail(notYet(message)),
              ShardUnavailable: (error) => Effect.fail(ofPort(error)),
              // A mistake, or somebody's doing: the edge logs it, and the client can do nothing about it.
              NotAsSealed: Effect.die
            })
          )
          return Answer.json(Receipt, documentOf(receipt, publicKeys))
        }, answered)
      )
    })
  )

const published = (map: ShardMap, publicKeys: ReadonlyArray<PublicKey>) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "seals",
    Effect.fn(function*(handlers) {
      const seals = yield* Seals
      const keys = publicKeys.map(({ id, publicKey }) => ({ id, public_key: publicKey }))
      const headOf = (shard: ShardId) =>
        seals.end(shard).pipe(
          Effect.map(({ hash, number }) => number === 0n ? [] : [{ shard, number: Number(number), hash }]),
          // The keys are there for everybody, whichever shard is down.
          Effect.catchTag("ShardUnavailable", () => Effect.succeed([]))
        )
      const shards = [...new Set(map.homes)].toSorted((one, other) => one - other)
      return handlers.handle(
        "published",
        Effect.fnUntraced(function*() {
          const heads = yield* Effect.forEach(shards, headOf, { concurrency: "unbounded" })
          return Answer.json(PublishedSeals, { object: "seals", algorithm: "Ed25519", keys, heads: heads.flat() })
        })
      )
    })
  )

/** @param publicKeys whose seals are trusted: those that a receipt may be signed with */
export const layer = (map: ShardMap, publicKeys: ReadonlyArray<PublicKey>) =>
  Layer.merge(receipts(map, publicKeys), published(map, publicKeys))
