/** How far long work has come, on stderr, where somebody watches: a line that is written over. */
import { Clock, Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"

const everyMillis = 250

/** Answers what to call with what was done by now; and what to call in the end, which leaves the line empty. */
export const make = Effect.gen(function*() {
  const { canAnimate } = yield* TerminalCapabilities.TerminalCapabilities
  const begun = yield* Clock.currentTimeMillis
  let last = begun
  const over = (text: string) => Effect.sync(() => process.stderr.write(`\r\u001b[K${text}`))
  return {
    told: (done: string) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (!canAnimate || now - last < everyMillis) return Effect.void
        last = now
        return over(`${done}, ${((now - begun) / 1_000).toFixed(0)} s`)
      }),
    end: canAnimate ? over("") : Effect.void
  }
})

/** A part of a whole, of which only about how much it is is known. */
export const bar = (done: number, about: number): string => {
  const part = about <= 0 ? 0 : Math.min(1, done / about)
  return `${"█".repeat(Math.round(part * 20)).padEnd(20, "░")} ${done.toLocaleString("en")} of about ${
    Math.max(done, Math.round(about)).toLocaleString("en")
  }`
}
