/**
 * Transfers: requested through the intake, followed through the queries.
 */
import { Clock, Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Queries, type TransferFilter } from "#domain/ledger/Queries.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import { Intake, type TransferRecord } from "#domain/transfer/Intake.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import * as Answer from "#infra/http/Answer.ts"
import * as Body from "#infra/http/Body.ts"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { NoMembers } from "#infra/http/Values.ts"
import { CurrentClient } from "../contract/Authorization.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { CaptureTransfer, RequestTransfer, Timeline, Transfer, TransferList } from "../contract/Transfers.ts"
import * as Prefer from "../http/Prefer.ts"
import { counted, notRecorded } from "../http/Recorded.ts"
import * as Instructing from "./Instructing.ts"
import * as ManyTransfers from "./ManyTransfers.ts"
import { intentOf, operation } from "./TransferIntents.ts"
import * as Views from "./Views.ts"

const isTransferId = Schema.is(TransferId.TransferId)

const transferNotFound = new Refusal({ code: "transfer_not_found" })

const subject: Instructing.Subject<TransferRecord> = {
  idOf: ({ terms }) => terms.transfer,
  statusOf: ({ status }) => status,
  answer: (record, options) => Answer.json(Transfer, Views.transfer(record), options)
}

export const layer = (map: ShardMap) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "transfers",
    Effect.fn(function*(handlers) {
      const intake = yield* Intake
      const queries = yield* Queries
      const requestAll = yield* ManyTransfers.make(map.partitions)
      const instruct = yield* Instructing.make(subject)
      const readBody = Body.reader(operation, RequestTransfer)
      const readCapture = Body.reader("POST /v1/transfers/:id/capture", CaptureTransfer, { leftOut: true })
      const readVoid = Body.reader("POST /v1/transfers/:id/void", NoMembers, { leftOut: true })

      /** An id that names a partition of this platform; any other names no transfer. */
      const known = (id: string): Effect.Effect<TransferId.TransferId, Refusal> =>
        isTransferId(id) && TransferId.partitionOf(id) < map.partitions
          ? Effect.succeed(id)
          : Effect.fail(transferNotFound)

      const found = (record: Option.Option<TransferRecord>): Effect.Effect<TransferRecord, Refusal> =>
        Effect.mapError(Effect.fromOption(record), () => transferNotFound)

      /** The transfer after at most `seconds`: as it ended, or as it is. */
      const follow = (id: TransferId.TransferId, seconds: number): Effect.Effect<TransferRecord, Refusal> =>
        Effect.mapError(seconds === 0 ? queries.transfer(id) : queries.awaitEnd(id, seconds * 1000), ofPort).pipe(
          Effect.flatMap(found)
        )

      const find = (id: string) => Effect.flatMap(known(id), (transfer) => follow(transfer, 0))

      return handlers
        .handleRaw(
          "request",
          Effect.fnUntraced(function*({ headers, request }) {
            const { name: client } = yield* CurrentClient
            const { fingerprint, value } = yield* readBody(request)
            const { requestId, traceparent } = yield* CurrentRequest
            const idempotencyKey = headers["idempotency-key"]
            const intent = intentOf(
              { client, idempotencyKey, fingerprint, requestId, traceparent },
              value,
              yield* Clock.currentTimeMillis,
              map.partitions
            )
            // Once begun it is ended, though the client may have gone away.
            const { record, replayed } = yield* Effect.uninterruptible(intake.request(intent)).pipe(
              Effect.catch(notRecorded)
            )
            yield* counted(replayed)
            const recorded = {
              location: `/v1/transfers/${record.terms.transfer}`,
              ...Answer.replayed(replayed)
            }
            const seconds = Prefer.waitSeconds(headers.prefer) ?? 0
            if (seconds > 0) {
              // It is recorded: that nothing more can be learnt of it now is no reason to refuse it.
              const last = yield* Effect.orElseSucceed(follow(record.terms.transfer, seconds), () => record)
              if (ended.has(last.status)) {
                return Answer.json(Transfer, Views.transfer(last), {
                  headers: { ...recorded, ...Prefer.applied(seconds) }
                })
              }
            }
            return Answer.json(Transfer, Views.asRequested(record), {
              status: 202,
              headers: { ...recorded, ...Answer.lookAgain }
            })
          }, answered)
        )
        .handleRaw("requestAll", ({ request }) => answered(requestAll(request)))
        .handle(
          "list",
          Effect.fnUntraced(function*({ query }) {
            const { idempotency_key: key, source } = query
            if (key !== undefined && source !== undefined) {
              const { name: client } = yield* CurrentClient
              const found = yield* Effect.mapError(queries.transferOf(client, source, key), ofPort)
              const data = Option.toArray(found).map(Views.transfer)
              return Answer.json(TransferList, { object: "list", data, has_more: false, next_cursor: null })
            }
            const limit = query.limit ?? Answer.defaultPageLimit
            const filter: TransferFilter = {
              source: source ?? null,
              status: query.status ?? null,
              reverses: query.reverses ?? null,
              fromMillis: query.created_from ?? null,
              beforeMillis: query.created_to ?? null
            }
            const filters = Answer.filters({
              source: filter.source,
              status: filter.status,
              reverses: filter.reverses,
              created_from: Views.timeOrNull(query.created_from),
              created_to: Views.timeOrNull(query.created_to)
            })
            const list = `transfers?${filters}`
            const below = yield* Cursor.decode(list, query.after, isTransferId)
            const { next, records } = yield* Effect.mapError(queries.transfers(filter, below, limit), ofPort)
            const page = {
              object: "list" as const,
              data: records.map(Views.transfer),
              has_more: next !== null,
              next_cursor: next === null ? null : Cursor.encode(list, next)
            }
            return Answer.json(TransferList, page, {
              headers: Answer.pageHeaders("/v1/transfers", limit, page, filters)
            })
          }, answered)
        )
        .handle(
          "get",
          Effect.fnUntraced(function*({ headers, params }) {
            const seconds = Prefer.waitSeconds(headers.prefer) ?? 0
            const record = yield* follow(yield* known(params.id), seconds)
            return Answer.json(Transfer, Views.transfer(record), {
              headers: ended.has(record.status) ? Prefer.applied(seconds) : Answer.lookAgain
            })
          }, answered)
        )
        .handleRaw(
          "capture",
          Effect.fnUntraced(function*({ headers, params, request }) {
            const { fingerprint, value } = yield* readCapture(request)
            return yield* instruct({
              headers,
              fingerprint,
              find: find(params.id),
              event: ({ terms }, instruction) => ({
                type: "transfer.capture_requested",
                ...terms,
                captured: value.amount ?? null,
                instruction
              })
            })
          }, answered)
        )
        .handleRaw(
          "void",
          Effect.fnUntraced(function*({ headers, params, request }) {
            const { fingerprint } = yield* readVoid(request)
            return yield* instruct({
              headers,
              fingerprint,
              find: find(params.id),
              event: ({ terms }, instruction) => ({ type: "transfer.void_requested", ...terms, instruction })
            })
          }, answered)
        )
        .handle(
          "timeline",
          Effect.fnUntraced(function*({ params }) {
            const steps = yield* Effect.mapError(queries.timeline(yield* known(params.id)), ofPort)
            if (steps.length === 0) return yield* transferNotFound
            return Answer.json(Timeline, {
              object: "list",
              data: steps.map(Views.timelineStep),
              has_more: false,
              next_cursor: null
            })
          }, answered)
        )
    })
  )
