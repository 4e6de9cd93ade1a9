/** Breaks of shards in memory. They are beside what the shard keeps, not part of it: who restores a shard keeps them. */
import { Effect, Layer, Option } from "effect"
import {
  type Break,
  BreakClosed,
  breakId,
  BreakNotFound,
  type BreakRecord,
  Breaks
} from "#domain/reconciliation/Breaks.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"
import type { MemoryShard } from "./MemoryShard.ts"

interface Kept {
  found: Break
  readonly history: Array<BreakRecord>
}

/** By the shard itself, so that all processes that reach it see the same. */
const kept = new WeakMap<MemoryShard, Array<Kept>>()

const breaksOf = (shard: MemoryShard): Array<Kept> => {
  const known = kept.get(shard) ?? []
  kept.set(shard, known)
  return known
}

export const layer = Layer.effect(
  Breaks,
  Effect.gen(function*() {
    const { look, nowMillis } = yield* MemoryDatabases
    return Breaks.of({
      standing: (shard) =>
        look(shard, (database) => breaksOf(database).flatMap(({ found }) => found.status === "closed" ? [] : [found])),

      evidence: (shard, subjects) =>
        look(shard, ({ state }) =>
          new Map(subjects.flatMap((subject) => {
            const says = { transfer: state.transfers.get(subject), verdict: state.verdicts.get(subject) }
            return says.transfer === undefined && says.verdict === undefined ? [] : [[subject, says]]
          }))),

      record: Effect.fnUntraced(function*(shard, { close, open, see }, evidence) {
        const atMillis = yield* nowMillis(shard)
        yield* look(shard, (database) => {
          const all = breaksOf(database)
          const standing = all.filter(({ found }) => found.status !== "closed")
          for (const { detail, invariant, severity, subject } of open) {
            if (standing.some(({ found }) => found.invariant === invariant && found.subject === subject)) continue
            all.push({
              found: {
                shard,
                number: BigInt(all.length + 1),
                invariant,
                severity,
                subject,
                detail,
                status: "open",
                timesSeen: 1,
                openedAtMillis: atMillis,
                seenAtMillis: atMillis,
                closedAtMillis: null
              },
              history: [{ what: "opened", detail, evidence: evidence.get(subject) ?? [], by: null, atMillis }]
            })
          }
          const happened = (number: bigint, what: BreakRecord["what"] | null, now: Partial<Break>) => {
            const one = standing.find(({ found }) => found.number === number)
            if (one === undefined) return
            one.found = { ...one.found, ...now }
            if (what !== null) {
              one.history.push({ what, detail: one.found.detail, evidence: [], by: null, atMillis })
            }
          }
          for (const { detail, number, status, what } of see) {
            const timesSeen = 1 + (standing.find(({ found }) => found.number === number)?.found.timesSeen ?? 0)
            happened(number, what, {
              detail,
              timesSeen,
              seenAtMillis: atMillis,
              ...(what === null ? {} : { status })
            })
          }
          for (const number of close) happened(number, "closed", { status: "closed", closedAtMillis: atMillis })
        })
      }),

      list: (shard, { severity, status }, after, most) =>
        look(
          shard,
          (database) =>
            breaksOf(database).map(({ found }) => found).filter((found) =>
              found.number > after && (status === null || found.status === status) &&
              (severity === null || found.severity === severity)
            ).slice(0, most)
        ),

      show: ({ number, shard }) =>
        look(shard, (database) => {
          const one = breaksOf(database).find(({ found }) => found.number === number)
          return Option.map(Option.fromNullishOr(one), ({ found, history }) => ({ found, history: [...history] }))
        }),

      resolve: Effect.fnUntraced(function*(of, by) {
        const atMillis = yield* nowMillis(of.shard)
        const id = breakId(of)
        return yield* Effect.flatten(look(of.shard, (database): Effect.Effect<boolean, BreakNotFound | BreakClosed> => {
          const one = breaksOf(database).find(({ found }) => found.number === of.number)
          if (one === undefined) return Effect.fail(BreakNotFound.make({ id }))
          if (one.found.status === "closed") return Effect.fail(BreakClosed.make({ id }))
          if (one.found.status === "resolved") return Effect.succeed(false)
          one.found = { ...one.found, status: "resolved" }
          one.history.push({ what: "resolved", detail: one.found.detail, evidence: [], by, atMillis })
          return Effect.succeed(true)
        }))
      })
    })
  })
)
