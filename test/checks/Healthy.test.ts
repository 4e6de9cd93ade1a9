/** Healthy books open nothing: a checker that cries wolf is switched off. */
import { expect, layer } from "@effect/vitest"
import { Effect, Record } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import type { TransferStatus } from "#domain/transfer/Transfer.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { fill, type InstructionName, type TransferName } from "./Books.ts"
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
  refusalOnItsWay: "held",
  capturedInVain: "cancelled",
  lent: "committed",
  lentHere: "committed",
  depositEve: "committed",
  fromEve: "committed",
  toFay: "committed",
  fromFay: "committed",
  repaid: "committed",
  repaidOnItsWay: "held",
  repaidTooMuch: "rejected",
  repaidByAnother: "rejected",
  repaidUnlent: "rejected",
  repaidHere: "committed",
  repaidRequested: "requested",
  repaidToFrozen: "cancelled",
  fromFrozen: "rejected",
  toFrozen: "cancelled",
  toClosed: "cancelled"
} satisfies Record<TransferName, TransferStatus>

const answers = {
  captureLocal: "done",
  captureCross: "done",
  captureInFlight: "done",
  captureInVain: "done",
  captureAgain: "already_captured",
  captureOnItsWay: "open",
  void: "done",
  voidTooLate: "already_captured",
  freezeEve: "done",
  freezeEveAgain: "account_frozen",
  freezeGus: "done",
  unfreezeGus: "done",
  freezeOnItsWay: "open",
  closeFay: "done",
  closeAnn: "account_not_empty"
} satisfies Record<InstructionName, string>

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("healthy books", (it) => {
  it.effect("have transfers, accounts and instructions in every state, and open nothing", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const { at, instruction, transfer } = yield* fill(shards)
      const runs = yield* check(shards)
      expect(violationsOf(runs)).toEqual([])

      const found = new Map<string, string>()
      for (const url of shards.urls) {
        const sql = yield* connect({ url, maxConnections: 1 })
        const rows = yield* sql<{ readonly id: string; readonly status: string }>`
          SELECT transfer_id AS id, status FROM transfer
          UNION ALL SELECT instruction_id, coalesce(reason_code, status) FROM instruction
          UNION ALL SELECT account_id, status FROM account`
        for (const row of rows) found.set(row.id, row.status)
      }
      expect(Record.map(states, (_, name) => found.get(transfer(name).transfer))).toEqual(states)
      expect(Record.map(answers, (_, name) => found.get(instruction(name)))).toEqual(answers)
      expect([at.ann0, at.eve0, at.fay1, at.gus1, at.jar1].map((id) => found.get(id)))
        .toEqual(["open", "frozen", "closed", "open", "open"])
    }))
})
