/**
 * The client of the benchmark, in a process of its own, so that what it does keeps nobody waiting but itself: it asks for
 * many transfers at once, again and again, and meanwhile asks for something small, as all the others do.
 */
import { randomUUID } from "node:crypto"

const [url = "", key = "", items = "", rounds = ""] = process.argv.slice(2)
const authorization = `Bearer ${key}`

/** As large as they ordinarily are: some 280 bytes each. */
const body = () => {
  const run = randomUUID()
  const transfers = Array.from({ length: Number(items) }, (_, index) => ({
    idempotency_key: `payroll-${run}-${index}`,
    source: `payroll-${index % 100}`,
    destination: `acc_01KAJ7QZ6C0NV5XJ9A4T7M${String(index).padStart(4, "0")}`,
    amount: String(100_000 + index),
    currency: "EUR",
    reference: `salary-2026-11-${index}`,
    metadata: { run: "2026-11", employee: String(index) }
  }))
  return JSON.stringify({ transfers })
}

const others = async (until: Promise<unknown>) => {
  const answered = new AbortController()
  void until.finally(() => answered.abort())
  let longest = 0
  while (!answered.signal.aborted) {
    const began = performance.now()
    await (await fetch(`${url}/livez`)).text()
    longest = Math.max(longest, performance.now() - began)
  }
  return longest
}

for (let round = 0; round < Number(rounds); round++) {
  const text = body()
  process.send?.({ bytes: text.length })
  const began = performance.now()
  const answer = fetch(`${url}/v1/transfers/batch`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: text
  }).then(async (response) => {
    const first = (await response.text()).slice(0, 60)
    return { millis: performance.now() - began, accepted: Number(/"accepted":(\d+)/.exec(first)?.[1]) }
  })
  const longest = await others(answer)
  process.send?.({ ...await answer, longest })
}
