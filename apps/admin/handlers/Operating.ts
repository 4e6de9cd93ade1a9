/**
 * How every operation of an operator is done: with a name and a reason, tried first where that is all that is wanted, and
 * noted where it is refused.
 */
import { Effect } from "effect"
import type { Actor } from "#domain/messaging/Parked.ts"
import { Audit, type Operation } from "#domain/operations/Operation.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import * as Answer from "#infra/http/Answer.ts"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import type { Code } from "#infra/http/Problems.ts"
import { ofPort, Refusal } from "#infra/http/Refusal.ts"
import * as Contract from "../contract/Operations.ts"
import { CurrentOperator } from "../contract/Operators.ts"

/** A refusal of a port, with the code under which the outside knows it. */
export interface Refused {
  readonly _tag: string
  readonly code: Code
  readonly message: string
}

const isUnavailable = (error: Refused | ShardUnavailable): error is ShardUnavailable =>
  error._tag === "ShardUnavailable"

/** What a port says no with, as a problem. */
export const refusalOf = (error: Refused | ShardUnavailable): Refusal =>
  isUnavailable(error) ? ofPort(error) : new Refusal({ code: error.code, detail: error.message })

/** Who asks, why, and in which request. */
export const operationFor = Effect.fnUntraced(function*(reason: string) {
  const { name } = yield* CurrentOperator
  const { requestId } = yield* CurrentRequest
  const operation: Operation = { name, reason, requestId } satisfies Actor & Operation
  return operation
})

/** What was done, or would be. */
export interface Done {
  readonly changed: boolean
  readonly says: string
  /** What came of it. */
  readonly resource?: string
}

/** What is to be done, and to what. */
export interface Work<E extends Refused> {
  readonly action: string
  readonly subject: string
  /** Where its refusals are noted. */
  readonly shard: ShardId
  /** What would be done, in a sentence; fails where it would be refused. */
  readonly tried: Effect.Effect<string, E | ShardUnavailable>
  /** Does it. */
  readonly done: (operation: Operation) => Effect.Effect<Done, E | ShardUnavailable>
}

/** Does it, or says what would be done. */
export const operate = Effect.fnUntraced(function*<E extends Refused>(
  { action, done, shard, subject, tried }: Work<E>,
  { dry_run = false, reason }: typeof Contract.Decision.Type
) {
  const audit = yield* Audit
  const operation = yield* operationFor(reason)
  const outcome = dry_run
    ? Effect.map(tried, (says): Done => ({ changed: false, says }))
    : done(operation).pipe(
      Effect.tapError((error) =>
        isUnavailable(error)
          ? Effect.void
          // That it was refused is told in any case; that it is on record, if the shard can be reached.
          : Effect.ignore(audit.note(shard, operation, { action, subject, refusedWith: error.code }))
      )
    )
  const { changed, says, resource = null } = yield* Effect.mapError(outcome, refusalOf)
  return Answer.json(Contract.Operation, { object: "operation", action, subject, dry_run, changed, says, resource })
})
