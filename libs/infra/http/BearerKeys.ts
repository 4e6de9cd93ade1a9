/**
 * Bearer keys: whom a request's key stands for.
 */
import { Effect, Redacted } from "effect"
import { hash } from "node:crypto"
import { CurrentRequest } from "./CurrentRequest.ts"
import { Refusal, response } from "./Refusal.ts"

const digest = (key: string): string => hash("sha256", key, "hex")

/**
 * The holder of a key by its SHA-256: how long the look-up takes says nothing of how much of a key was right.
 *
 * @param keys the holder's name by its key
 */
export const holders = (keys: ReadonlyMap<string, string>) => {
  const names = new Map([...keys].map(([key, name]) => [digest(key), name]))
  return (credential: Redacted.Redacted<string>): string | undefined => names.get(digest(Redacted.value(credential)))
}

const unknown = new Refusal({
  code: "unauthenticated",
  headers: { "www-authenticate": "Bearer realm=\"counterpoise\"" }
})

/** The answer to who has no key, or one that nobody holds. */
export const unauthenticated = Effect.map(CurrentRequest, (request) => response(unknown, request))
