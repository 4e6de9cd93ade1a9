/** Healthy books open nothing: a checker that cries wolf is switched off. */
import { expect, layer } from "@effect/vitest"
import { Effect, Record } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import type { TransferStatus } from "#domain/transfer/Transfer.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { fill, type TransferName } from "./Books.ts"
import { check } from "./Checking.ts"

const states = {
  depositAnn: "committed",
  depositBob: "committed",
  depositCyd: "committed",
  depositDollars: "committed",
  local: "committed",
  localCaptured: "committed",
  localRejected: "rejected",
  cross: "committed",
  crossBack: "committed",
  crossDollars: "committed",
  crossCaptured: "committed",
  crossRejected: "rejected",
  crossUnknown: "cancelled",
  crossCeiling: "cancelled",
  recalled: "cancelled",
  voided: "cancelled",
  expired: "cancelled",
  requested: "requested",
  authorized: "authorized",
  held: "held",
  inFlight: "held",
  inFlightBack: "held",
  inFlightCaptured: "held",
  refusalOnItsWay: "held"
} satisfies Record<TransferName, TransferStatus>

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("healthy books", (it) => {
  it.effect("have transfers in every state, and open nothing", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const { transfer } = yield* fill(shards)
      const runs = yield* check(shards)
      expect(violationsOf(runs)).toEqual([])

      const found = new Map<string, string>()
      for (const url of shards.urls) {
        const sql = yield* connect({ url, maxConnections: 1 })
        const rows = yield* sql<{ readonly transfer_id: string; readonly status: string }>`
          SELECT transfer_id, status FROM transfer`
        for (const row of rows) found.set(row.transfer_id, row.status)
      }
      expect(Record.map(states, (_, name) => found.get(transfer(name).transfer))).toEqual(states)
    }))
})
