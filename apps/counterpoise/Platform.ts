/** The platform that a command works on: where it is, and what its shards are read with. */
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { type Environment, environmentOf, stackFileOf } from "#infra/local/Stack.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import type { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import { NoPlatform } from "./ExitCode.ts"

/** The variables that say where the platform is. */
export class Surroundings extends Context.Service<Surroundings, {
  /** The caller's environment; what it lacks is the running stack's. */
  readonly variables: Environment
  /** Where a running stack would have said where it is. */
  readonly stackFile: string
}>()("counterpoise/apps/counterpoise/Surroundings") {
  /** As the environment and the stack on this machine say; settings are read from the same. */
  static readonly layer = (environment: Readonly<Record<string, string | undefined>>) => {
    const variables = environmentOf(environment)
    return Layer.merge(
      Layer.succeed(Surroundings, { variables, stackFile: stackFileOf(environment) }),
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: variables }))
    )
  }
}

/** Fails where nothing says which platform is meant. */
export const required = Effect.gen(function*() {
  const { stackFile, variables } = yield* Surroundings
  if (variables["SHARD_URLS"] === undefined) return yield* NoPlatform.make({ lookedFor: stackFile })
})

/** The shards, as the auditor, who can only read. */
export const shards: Layer.Layer<
  ShardDatabases,
  Layer.Error<ReturnType<typeof Processes.shardDatabases>> | NoPlatform,
  Surroundings
> = Layer.unwrap(Effect.as(required, Processes.shardDatabases("auditor", 2)))

/** The books of all shards, to be read. */
export const books = Layer.provideMerge(PgQueries.layer, shards)

/** Ready where a platform is named: to be provided to what reads settings of its own. */
export const ready: Layer.Layer<never, NoPlatform, Surroundings> = Layer.effectDiscard(required)
