/**
 * Many transfers in one request. Each is read, recorded and answered as if it were asked for alone; what is wrong with one
 * does not touch the others. Ten thousand take their time, so reading and answering are done in turns.
 */
import { Array, Cause, Clock, Effect, Exit, Option, Result, Schema, SchemaIssue, Semaphore } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import {
  type IdempotencyKeyReused,
  Intake,
  type Recorded,
  type TransferIntent,
  type TransferRecord
} from "#domain/transfer/Intake.ts"
import * as Body from "#infra/http/Body.ts"
import { CurrentRequest, type RequestFacts } from "#infra/http/CurrentRequest.ts"
import { refusalOf } from "#infra/http/Issues.ts"
import { ofPort, problemOf, Refusal } from "#infra/http/Refusal.ts"
import { items, parse } from "#infra/http/StrictJson.ts"
import { IdempotencyKeyText } from "#infra/http/Values.ts"
import { CurrentClient } from "../contract/Authorization.ts"
import { mostTransfers, type RequestedTransfers, TransferItem, Unread } from "../contract/Transfers.ts"
import { countedAll } from "../http/Recorded.ts"
import { inTurns } from "../http/Turns.ts"
import { intentOf, operation } from "./TransferIntents.ts"
import * as Views from "./Views.ts"

/** Requests that are worked on at once: each takes some ten megabytes, and a good part of the connections. */
const atOnce = 8

const overloaded = new Refusal({
  code: "overloaded",
  detail: `${atOnce} requests for many transfers are being worked on`
})

/** An item that is not recorded, under the key that it came with; null where that is none. */
interface Refused {
  readonly key: string | null
  readonly refusal: Refusal
}

/** An item as it was read: what is wanted, or what is wrong with it. */
type Item = Result.Result<TransferIntent, Refused>

/** What became of it. */
type Outcome = Result.Result<Recorded<TransferRecord> & { readonly key: string }, Refused>

type Answer = (typeof RequestedTransfers.Encoded)["data"][number]

/**
 * A way to answer requests for many transfers.
 *
 * @param partitions how many there are
 */
export const make = Effect.fnUntraced(function*(partitions: number) {
  const intake = yield* Intake
  const working = yield* Semaphore.make(atOnce)

  const requestAll = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const { name: client } = yield* CurrentClient
    const facts = yield* CurrentRequest
    const { requestId, traceparent } = facts
    const text = yield* Body.text(request, { bytes: mostTransfers.bytes })
    const millis = yield* Clock.currentTimeMillis
    const intent = (wanted: typeof TransferItem.Type, fingerprint: string) => {
      const idempotencyKey = wanted.idempotency_key
      return intentOf({ client, idempotencyKey, fingerprint, requestId, traceparent }, wanted, millis, partitions)
    }

    const read = yield* inTurns(
      items(text, "transfers"),
      (item, index) =>
        item === undefined || index === mostTransfers.items ? Result.failVoid : itemOf(item, index, intent)
    ).pipe(
      Effect.filterOrFail((read) => read.length > 0),
      Effect.mapError(() => refusalOfWhole(text))
    )

    // Once begun it is ended, though the client may have gone away.
    const exits = yield* Effect.uninterruptible(intake.requestAll(Array.getSuccesses(read)))
    const [defect] = exits.flatMap((exit) => Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? exit.cause : [])
    if (defect !== undefined) yield* Effect.logError("transfers failed", { request_id: requestId }, defect)
    const each = exits.values()
    const outcomes = read.map(Result.flatMap(({ request }) => outcomeOf(request.idempotencyKey, each.next().value)))
    yield* countedAll(outcomes)
    const accepted = outcomes.filter(Result.isSuccess).length
    const data = yield* inTurns(
      outcomes,
      (outcome, index) =>
        Result.succeed(Buffer.from(`${index === 0 ? "" : ","}${JSON.stringify(answerOf(outcome, facts))}`))
    )
    const head = `{"object":"batch","accepted":${accepted},"refused":${read.length - accepted},"data":[`
    return HttpServerResponse.uint8Array(Buffer.concat([Buffer.from(head), ...data, Buffer.from("]}")]), {
      contentType: "application/json"
    })
  })

  return (request: HttpServerRequest.HttpServerRequest) =>
    working.withPermitsIfAvailable(1)(requestAll(request)).pipe(
      Effect.flatMap(Option.match({ onNone: () => Effect.fail(overloaded), onSome: Effect.succeed }))
    )
})

const strictly = { errors: "all", onExcessProperty: "error" } as const
const decode = Schema.decodeUnknownResult(TransferItem, strictly)
const decodeUnread = Schema.decodeUnknownResult(Unread, strictly)
const isKey = Schema.is(IdempotencyKeyText)

/** Reads one item; fails where it is not JSON, for then the body is none either. */
const itemOf = (
  text: string,
  index: number,
  intent: (wanted: typeof TransferItem.Type, fingerprint: string) => TransferIntent
): Result.Result<Item, void> => {
  const pointer = `/transfers/${index}`
  const parsed = parse(text, pointer)
  if (Result.isFailure(parsed)) {
    const { code, detail } = parsed.failure
    if (code === "malformed_json") return Result.failVoid
    const refusal = new Refusal({ code, detail, errors: [{ pointer, code, message: detail }] })
    return Result.succeed(Result.fail({ key: null, refusal }))
  }
  const { idempotency_key: key, ...alone } = parsed.success
  return Result.succeed(
    decode(parsed.success).pipe(Result.mapBoth({
      onFailure: ({ issue }) => ({
        key: isKey(key) ? key : null,
        refusal: refusalOf(new SchemaIssue.Pointer(["transfers", index], issue), "")
      }),
      onSuccess: (wanted) => intent(wanted, Body.fingerprintOf(operation, alone))
    }))
  )
}

/** Why a body is refused of which nothing can be read. */
const refusalOfWhole = (text: string): Refusal => {
  const parsed = parse(text)
  if (Result.isFailure(parsed)) return new Refusal(parsed.failure)
  const decoded = decodeUnread(parsed.success)
  return Result.isFailure(decoded)
    ? refusalOf(decoded.failure.issue, "")
    : new Refusal({ code: "validation_failed", detail: "the name of the member transfers must be written as it is" })
}

const outcomeOf = (
  key: string,
  exit: Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused | ShardUnavailable> | undefined
): Outcome => {
  if (exit !== undefined && Exit.isSuccess(exit)) return Result.succeed({ key, ...exit.value })
  const error = exit === undefined ? Option.none() : Cause.findErrorOption(exit.cause)
  const refusal = Option.match(error, { onNone: () => new Refusal({ code: "internal_error" }), onSome: ofPort })
  return Result.fail({ key, refusal })
}

const answerOf = (outcome: Outcome, facts: RequestFacts): Answer => {
  if (Result.isSuccess(outcome)) {
    const { key, record, replayed } = outcome.success
    return { idempotency_key: key, status: 202, replayed, transfer: Views.asRequested(record) }
  }
  const { key, refusal } = outcome.failure
  const problem = problemOf(refusal, facts)
  return { idempotency_key: key, status: problem.status, problem }
}
