/** The same load in requests for many transfers at once: they are asked for when the last transfer of each is due. */
import { setTimeout as pause } from "node:timers/promises"
import type { Client } from "../../load/Client.ts"
import { askedOf, dueAfter, type Profile, secondsOf, type Summary } from "../../load/Profiles.ts"
import { percentiles } from "../../load/Twin.ts"

export const inBatches = async (client: Client, profile: Profile, run: string, size: number): Promise<Summary> => {
  const counts = { asked: 0, accepted: 0, refused: 0, failed: 0 }
  const acceptedMillis: Array<number> = []
  const settledMillis: Array<number> = []
  const under = new Set<Promise<void>>()

  /** The last transfer of each request is waited for. */
  const ask = async (from: number) => {
    const due = performance.now()
    const transfers = Array.from({ length: size }, (_, index) => {
      const { body, key } = askedOf(profile, run, from + index)
      return { idempotency_key: key, ...body }
    })
    counts.asked++
    const { body, retryAfter, status } = await client.post("/v1/transfers/batch", { transfers })
    if ((status === 429 || status === 503) && retryAfter !== null) {
      counts.refused += size
      return
    }
    acceptedMillis.push(performance.now() - due)
    const accepted = Number(body["accepted"] ?? 0)
    counts.accepted += accepted
    counts.failed += size - accepted
    const items = body["data"] as ReadonlyArray<{ readonly transfer?: { readonly id: string } }> | undefined
    const id = items?.at(-1)?.transfer?.id
    if (id === undefined) return
    await client.get(`/v1/transfers/${id}`, 30)
    settledMillis.push(performance.now() - due)
  }

  const begun = performance.now()
  const seconds = secondsOf(profile)
  for (let asked = 0;; await pause(1)) {
    const passed = (performance.now() - begun) / 1000
    for (const due = dueAfter(profile, Math.min(passed, seconds)); asked + size <= due; asked += size) {
      const asking = ask(asked)
      under.add(asking)
      void asking.finally(() => under.delete(asking))
    }
    if (passed >= seconds) break
  }
  await Promise.all(under)
  return {
    ...counts,
    doubled: 0,
    dropped: 0,
    acceptedMillis: percentiles(acceptedMillis),
    settledMillis: percentiles(settledMillis),
    samples: settledMillis.length
  }
}
