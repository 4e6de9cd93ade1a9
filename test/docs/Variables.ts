/** The variables that the platform reads, each with its default, as the code itself says: by asking it. */
import { Config, ConfigProvider, Duration, Effect, Option, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import * as Settings from "#infra/Settings.ts"
import { root } from "./Markdown.ts"

export interface Variable {
  readonly name: string
  /** The default as it would be written; `undefined` where the variable is optional, `null` where it is required. */
  readonly byDefault: string | undefined | null
}

const isConfig = (value: unknown): value is Config.Config<unknown> => Config.isConfig(value)

const written = (value: unknown): string | undefined => {
  if (Option.isOption(value)) return Option.isNone(value) ? undefined : written(value.value)
  return Duration.isDuration(value) ? String(Duration.toSeconds(value)) : String(value)
}

/** Reads one setting from an empty environment, and takes note of what it looks for. */
const variableOf = (config: Config.Config<unknown>): Variable => {
  const asked: Array<string> = []
  const provider = ConfigProvider.make((path) => {
    asked.push(path.join("_"))
    return Effect.undefined
  })
  const found = Effect.runSync(
    Effect.result(Effect.provideService(config, ConfigProvider.ConfigProvider, provider))
  )
  const [name] = asked
  if (name === undefined) throw new Error("a setting reads no variable")
  return { name, byDefault: Result.isSuccess(found) ? written(found.success) : null }
}

/** What libs/infra/Settings.ts reads. */
export const settings: ReadonlyArray<Variable> = Object.values(Settings).flatMap((group) =>
  typeof group === "object" ? Object.values(group).filter(isConfig).map(variableOf) : []
)

/** The names of all variables that are read anywhere else, by looking at the sources. */
export const namesElsewhere: ReadonlySet<string> = new Set(
  ["apps", "libs"].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && file !== "infra/Settings.ts")
      .flatMap((file) =>
        [
          ...readFileSync(path.join(root, folder, file), "utf8")
            .matchAll(/process\.env\["([A-Z_]+)"\]|\bConfig\.\w+\([^"]*?"([A-Z_]+)"/g)
        ].map((match) => match[1] ?? match[2] ?? "")
      )
  )
)
