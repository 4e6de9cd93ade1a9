/**
 * Finding the platform: the environment says where it is, or `npm start` does, which runs it on this machine and writes to
 * `.data/stack.json` (COUNTERPOISE_DATA names another folder) what one would have to set to reach it.
 */
import { Schema } from "effect"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

export type Environment = Readonly<Record<string, string>>

/** What of stack.json is read here: variables by the names that all processes know. */
const Stack = Schema.fromJsonString(Schema.Struct({ environment: Schema.Record(Schema.String, Schema.String) }))

/** An environment without the variables that are not set. */
export const withoutGaps = (environment: Readonly<Record<string, string | undefined>>): Environment =>
  Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))

/** Where the platform of this machine keeps its state. */
export const dataDirOf = (environment: Readonly<Record<string, string | undefined>>): string =>
  path.resolve(environment["COUNTERPOISE_DATA"] ?? path.join(import.meta.dirname, "../../../.data"))

/** What a running platform says of itself. It is there as long as the platform runs. */
export const stackFileOf = (environment: Readonly<Record<string, string | undefined>>): string =>
  path.join(dataDirOf(environment), "stack.json")

/** The environment; what it does not say, if it names no shards, is taken from the platform that runs on this machine. */
export const environmentOf = (environment: Readonly<Record<string, string | undefined>>): Environment => {
  const given = withoutGaps(environment)
  const file = stackFileOf(environment)
  if (given["SHARD_URLS"] !== undefined || !existsSync(file)) return given
  return { ...Schema.decodeSync(Stack)(readFileSync(file, "utf8")).environment, ...given }
}
