/** The transfers that are wished for, drawn by chance from a seed: the same for every run of a scenario and round. */
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import { Amount } from "#domain/money/Amount.ts"
import type { AccountId } from "#domain/account/Account.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { TransferIntent } from "#domain/transfer/Intake.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import type { Parties } from "../Filling.ts"

/** Chance in [0, 1), the same for the same seed (mulberry32). */
const chance = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

type Random = () => number

/** Who gives and who is given, in the `n`th transfer. */
export type Pairing = (parties: Parties, random: Random, n: number) => readonly [source: AccountId, to: AccountId]

const at = (accounts: ReadonlyArray<AccountId> | undefined, index: number): AccountId => {
  const found = accounts?.[index]
  if (found === undefined) throw new RangeError("there is no account to draw")
  return found
}

const oneOf = (accounts: ReadonlyArray<AccountId> = [], random: Random): AccountId =>
  at(accounts, Math.floor(random() * accounts.length))

const another = (draw: () => AccountId, than: AccountId): AccountId => {
  for (;;) {
    const found = draw()
    if (found !== than) return found
  }
}

/** Any two accounts of shard 0. */
export const uniform: Pairing = ([here], random) => {
  const source = oneOf(here, random)
  return [source, another(() => oneOf(here, random), source)]
}

/** One account of shard 0 in every transfer: half of them take from it, half give to it. */
export const hot: Pairing = ([here], random, n) => {
  const hottest = at(here, 0)
  const other = another(() => oneOf(here, random), hottest)
  return n % 2 === 0 ? [hottest, other] : [other, hottest]
}

/**
 * Accounts of shard 0 by Zipf's law: the nth most busy is in 1/n as many transfers as the busiest, as it is where some clients are
 * large and most are small.
 */
export const zipf: Pairing = ([here = []], random) => {
  const draw = () => at(here, byZipf(here.length, random))
  const source = draw()
  return [source, another(draw, source)]
}

/** A number from 0 to `count` − 1, by the inverse of the law's own integral: n is drawn as often as 1/(n + 1), nearly. */
const byZipf = (count: number, random: Random): number => Math.floor((count + 1) ** random()) - 1

/** From one shard to the other, in turn. */
export const cross: Pairing = ([here, there], random, n) =>
  n % 2 === 0 ? [oneOf(here, random), oneOf(there, random)] : [oneOf(there, random), oneOf(here, random)]

/** Any two accounts of both shards: about half of the transfers go across. */
export const mixed: Pairing = (parties, random) => {
  const draw = () => oneOf(parties[random() < 0.5 ? 0 : 1], random)
  const source = draw()
  return [source, another(draw, source)]
}

const EUR = Currency.make("EUR")

export interface Wish {
  readonly terms: Terms
  readonly key: string
}

export const draw = (
  pairing: Pairing,
  { count, map, parties, seed }: {
    readonly count: number
    readonly map: ShardMap
    readonly parties: Parties
    readonly seed: number
  }
): ReadonlyArray<Wish> => {
  const random = chance(seed)
  const now = Date.now()
  return Array.from({ length: count }, (_, n) => {
    const [source, destination] = pairing(parties, random, n)
    return {
      key: `key-${seed}-${n}`,
      terms: {
        transfer: TransferId.make(now, partitionOf(source, map.partitions), random),
        source,
        destination,
        amount: Amount.make(BigInt(1 + Math.floor(random() * 100))),
        currency: EUR
      }
    }
  })
}

export const fingerprint = "ab".repeat(32)

/** A wish as a client's request. */
export const intentOf = ({ key, terms }: Wish): TransferIntent => ({
  request: {
    client: "shop",
    idempotencyKey: key,
    fingerprint,
    requestId: `req_${terms.transfer.slice(4)}`,
    traceparent: null
  },
  terms,
  capture: "automatic",
  expiresInSeconds: null,
  reverses: null,
  reference: null,
  description: null,
  metadata: {}
})
