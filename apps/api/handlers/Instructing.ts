/**
 * Instructions to what exists: recorded through the intake, answered by the ledger worker. The API waits for what the
 * worker says; it never decides itself, for it would race with what the worker is about to do.
 */
import { Clock, Effect } from "effect"
import type { HttpServerResponse } from "effect/http"
import { type InstructionId, makeId } from "#domain/ledger/Instruction.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { IdempotencyKeyReused, type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import * as Answer from "#infra/http/Answer.ts"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import { isCode } from "#infra/http/Problems.ts"
import { Refusal } from "#infra/http/Refusal.ts"
import { answerSeconds } from "#infra/http/Values.ts"
import { CurrentClient } from "../contract/Authorization.ts"
import * as Prefer from "../http/Prefer.ts"
import { counted, notRecorded } from "../http/Recorded.ts"

/** What can be instructed: a transfer or an account, by its record. */
export interface Subject<Record> {
  readonly idOf: (record: Record) => string
  readonly statusOf: (record: Record) => string
  readonly answer: (
    record: Record,
    options: { readonly status?: number; readonly headers: Readonly<{ [name: string]: string }> }
  ) => HttpServerResponse.HttpServerResponse
}

/** One request to instruct it. */
export interface Asked<Record> {
  readonly headers: { readonly "idempotency-key": string; readonly prefer?: string }
  readonly fingerprint: string
  /** Reads what it is asked of. */
  readonly find: Effect.Effect<Record, Refusal>
  readonly event: (found: Record, instruction: InstructionId) => InstructionEvent
}

/** A way to instruct such a subject, and to answer what the worker said. */
export const make = Effect.fnUntraced(function*<Record>(subject: Subject<Record>) {
  const intake = yield* Intake
  const queries = yield* Queries

  return Effect.fnUntraced(function*({ event, find, fingerprint, headers }: Asked<Record>) {
    const { name: client } = yield* CurrentClient
    const { requestId, traceparent } = yield* CurrentRequest
    const found = yield* find
    const instruction = makeId(yield* Clock.currentTimeMillis, random)
    // Once begun it is ended, though the client may have gone away.
    const { record, replayed } = yield* Effect.uninterruptible(intake.instruct({
      request: { client, idempotencyKey: headers["idempotency-key"], fingerprint, requestId, traceparent },
      event: event(found, instruction)
    })).pipe(
      // Instructions have no names outside: what they were asked of has one.
      Effect.catchTag(
        "IdempotencyKeyReused",
        ({ key }) => Effect.fail(IdempotencyKeyReused.make({ key, resource: subject.idOf(found) }))
      ),
      Effect.catch(notRecorded)
    )
    yield* counted(replayed)

    const granted = Prefer.waitSeconds(headers.prefer)
    const seconds = granted ?? answerSeconds
    // It is recorded: that its answer cannot be learnt now is no reason to refuse it.
    const { reason, status } = seconds === 0
      ? record
      : yield* Effect.orElseSucceed(queries.awaitAnswer(record, seconds * 1000), () => record)
    const replay = Answer.replayed(replayed)
    if (status === "open") {
      const now = yield* Effect.orElseSucceed(find, () => found)
      return subject.answer(now, { status: 202, headers: { ...replay, ...Answer.lookAgain } })
    }
    const now = yield* find
    const answered = { ...replay, ...Prefer.applied(granted) }
    if (reason === null) return subject.answer(now, { headers: answered })
    const { code, detail } = reason
    if (!isCode(code)) return yield* Effect.die(new Error(`the worker refused with a code without a page: ${code}`))
    return yield* new Refusal({
      code,
      detail,
      resource: subject.idOf(now),
      resourceStatus: subject.statusOf(now),
      headers: answered
    })
  })
})
