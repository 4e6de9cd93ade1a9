/**
 * `npm run demo`: moves money through the running platform and shows each step. It speaks only HTTP, as any client would.
 * On a terminal it tells a story; on a pipe it writes one JSON object a line, and exits with 1 if anything is not as said.
 */
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { even, shardOfPartition } from "#domain/sharding/ShardMap.ts"

const dataDir = path.resolve(process.env["COUNTERPOISE_DATA"] ?? path.join(import.meta.dirname, "../../.data"))
const stackFile = path.join(dataDir, "stack.json")
if (!existsSync(stackFile)) {
  console.error(`Nothing runs: there is no ${stackFile}. Start the platform first: npm start`)
  process.exit(1)
}
const stack: { readonly apiUrl: string; readonly apiKey: string; readonly shardUrls: ReadonlyArray<string> } = JSON
  .parse(
    readFileSync(stackFile, "utf8")
  )

const terminal = process.stdout.isTTY
const colour = (code: number, text: string) => terminal ? `\u001b[${code}m${text}\u001b[0m` : text
const failures: Array<string> = []

const tell = (step: string, facts: Readonly<Record<string, unknown>>, story: ReadonlyArray<string>) => {
  if (terminal) process.stdout.write(`${colour(1, step)}\n${story.map((line) => `  ${line}\n`).join("")}\n`)
  else process.stdout.write(`${JSON.stringify({ step, ...facts })}\n`)
}

const expect = (what: string, holds: boolean) => {
  if (!holds) failures.push(what)
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

const call = async (
  method: string,
  route: string,
  body?: object,
  headers: Record<string, string> = {}
): Promise<Answer> => {
  const response = await fetch(`${stack.apiUrl}${route}`, {
    method,
    headers: { authorization: `Bearer ${stack.apiKey}`, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
}

const run = `${Date.now().toString(36)}`
let keys = 0
const freshKey = () => ({ "idempotency-key": `demo-${run}-${++keys}` })

/** A name whose account is at home on the shard that is wanted. */
const nameOn = (shard: number, name: string): string => {
  const partitions = 64
  const map = even(stack.shardUrls.length, partitions)
  for (let number = 1;; number++) {
    const candidate = `${name}-${run}-${number}`
    if (shardOfPartition(map, partitionOf(candidate, partitions)) === shard) return candidate
  }
}

const open = async (id: string, kind = "customer") => {
  const answer = await call("POST", "/v1/accounts", { id, currency: "EUR", kind }, freshKey())
  expect(`account ${id} is opened`, answer.status === 201)
}

const transfer = async (source: string, destination: string, amount: string, headers = freshKey(), more = {}) =>
  call("POST", "/v1/transfers", { source, destination, amount, currency: "EUR", ...more }, headers)

/** Reserves money, for the client to say what becomes of it. */
const authorize = async (source: string, destination: string, amount: string) =>
  transfer(source, destination, amount, freshKey(), { capture: "manual" })

const settled = async (accepted: Answer): Promise<Answer> =>
  call("GET", `/v1/transfers/${accepted.body["id"]}`, undefined, { prefer: "wait=10" })

const timeline = async (accepted: Answer) => {
  const { body } = await call("GET", `/v1/transfers/${accepted.body["id"]}/timeline`)
  const steps = (Array.isArray(body["data"]) ? body["data"] : []) as ReadonlyArray<
    { readonly event: string; readonly shard: number; readonly created_at: string }
  >
  const first = Date.parse(steps[0]?.created_at ?? "")
  return steps.map(({ created_at, event, shard }) => ({ event, shard, millis: Date.parse(created_at) - first }))
}

const drawn = (steps: Awaited<ReturnType<typeof timeline>>) =>
  steps.map(({ event, millis, shard }) => `${`+${millis} ms`.padStart(9)}  shard ${shard}  ${event}`)

const failureOf = (answer: Answer) =>
  (answer.body["failure"] ?? {}) as { readonly code?: string; readonly detail?: string }

const balanceOf = async (id: string) => (await call("GET", `/v1/accounts/${id}/balance`)).body

const main = async () => {
  const alice = nameOn(0, "alice")
  const bob = nameOn(1, "bob")
  const bank = nameOn(0, "bank")
  await open(bank, "external")
  await open(alice)
  await open(bob)
  tell("Three accounts", { alice, bob, bank }, [
    `${alice} on shard 0, ${bob} on shard 1, and ${bank}, which stands for the world outside`
  ])

  const funding = await settled(await transfer(bank, alice, "10000"))
  expect("the deposit is committed", funding.body["status"] === "committed")
  tell("A deposit of 100.00 EUR: a transfer from the outside", { status: funding.body["status"] }, [
    `${funding.body["id"]} is ${colour(32, String(funding.body["status"]))}`
  ])

  const headers = freshKey()
  const accepted = await transfer(alice, bob, "1250", headers)
  expect("the transfer is accepted", accepted.status === 202)
  const moved = await settled(accepted)
  const steps = await timeline(accepted)
  expect("the transfer is committed", moved.body["status"] === "committed")
  expect(
    "it was requested, held, credited and committed",
    steps.map(({ event }) => event).join(" ") ===
      "transfer.requested transfer.held transfer.credited transfer.committed"
  )
  tell("12.50 EUR from shard 0 to shard 1", { id: accepted.body["id"], status: moved.body["status"], steps }, [
    `${accepted.body["id"]} was answered with ${accepted.status}, and is ${colour(32, String(moved.body["status"]))}`,
    ...drawn(steps)
  ])

  const replay = await transfer(alice, bob, "1250", headers)
  const again = { status: replay.status, id: replay.body["id"], replayed: replay.headers.get("idempotent-replayed") }
  expect("the replay leads to the same transfer", again.id === accepted.body["id"] && again.replayed === "true")
  tell("The same request again, with the same key", again, [
    `${again.status}, the same ${again.id}, Idempotent-Replayed: ${again.replayed}; nothing moved`
  ])
  const other = await transfer(alice, bob, "9999", headers)
  expect("another request under the same key is refused", other.status === 422)
  tell("Another request with the same key", { status: other.status, code: other.body["code"] }, [
    `${other.status} ${other.body["code"]}`
  ])

  const nobody = nameOn(1, "nobody")
  const lost = await transfer(alice, nobody, "100")
  const refused = await settled(lost)
  const refusedSteps = await timeline(lost)
  expect("a transfer to nobody is cancelled", refused.body["status"] === "cancelled")
  tell("1.00 EUR to an account that does not exist: refused over there, so the hold is released", {
    status: refused.body["status"],
    failure: failureOf(refused),
    steps: refusedSteps
  }, [
    `${refused.body["id"]} is ${colour(33, String(refused.body["status"]))}: ${failureOf(refused).detail}`,
    ...drawn(refusedSteps)
  ])

  const rejected = await settled(await transfer(alice, bob, "1000000"))
  expect("more than there is, is rejected", failureOf(rejected).code === "insufficient_funds")
  tell("10,000.00 EUR that Alice does not have", { status: rejected.body["status"], failure: failureOf(rejected) }, [
    `${rejected.body["id"]} is ${colour(31, String(rejected.body["status"]))}: ${failureOf(rejected).detail}`
  ])

  const reserved = await authorize(alice, bob, "2000")
  const capture = await call("POST", `/v1/transfers/${reserved.body["id"]}/capture`, { amount: "1500" }, freshKey())
  const captured = await settled(reserved)
  expect("a part is captured", capture.status === 200 && captured.body["captured_amount"] === "1500")
  expect("what was captured is committed", captured.body["status"] === "committed")
  tell("20.00 EUR reserved, and 15.00 of it captured", {
    status: captured.body["status"],
    captured: captured.body["captured_amount"]
  }, [`${reserved.body["id"]} is ${colour(32, String(captured.body["status"]))}; the other 5.00 EUR are free again`])

  const unwanted = await authorize(alice, bob, "3000")
  const askVoid = () => call("POST", `/v1/transfers/${unwanted.body["id"]}/void`, {}, freshKey())
  const [voided, late] = [await askVoid(), await askVoid()]
  expect("a reserved transfer is voided", voided.body["status"] === "cancelled")
  expect("it is voided once", late.body["code"] === "already_voided")
  tell("30.00 EUR reserved, then voided; and voided again", {
    status: voided.body["status"],
    again: { status: late.status, code: late.body["code"] }
  }, [
    `${unwanted.body["id"]} is ${colour(33, String(voided.body["status"]))}; the second time is answered with ` +
    `${late.status} ${late.body["code"]}`
  ])

  const reverses = accepted.body["id"]
  const back = await settled(await transfer(bob, alice, "250", freshKey(), { reverses }))
  const tooMuch = await settled(await transfer(bob, alice, "1001", freshKey(), { reverses }))
  expect("a part comes back", back.body["status"] === "committed" && back.body["reverses"] === reverses)
  expect("no more comes back than went", failureOf(tooMuch).code === "reversal_exceeds_transfer")
  tell("2.50 EUR of the 12.50 come back; then 10.01 more are asked for", {
    status: back.body["status"],
    failure: failureOf(tooMuch)
  }, [
    `${back.body["id"]} is ${colour(32, String(back.body["status"]))}`,
    `${tooMuch.body["id"]} is ${colour(31, String(tooMuch.body["status"]))}: ${failureOf(tooMuch).detail}`
  ])

  const [hers, his] = [await balanceOf(alice), await balanceOf(bob)]
  expect("Alice has 75.00 EUR", hers["posted"] === "7500" && hers["held"] === "0")
  expect("Bob has 25.00 EUR", his["posted"] === "2500")
  tell("What is there now", { alice: hers, bob: his }, [
    `Alice: posted ${hers["posted"]}, held ${hers["held"]}, available ${hers["available"]}`,
    `Bob:   posted ${his["posted"]}, held ${his["held"]}, available ${his["available"]}`
  ])

  const books = (await call("GET", "/v1/ledger/trial-balance")).body
  const currencies = (Array.isArray(books["currencies"]) ? books["currencies"] : []) as ReadonlyArray<{
    readonly currency: string
    readonly in_flight: string
    readonly shards: ReadonlyArray<{ readonly shard: number; readonly debits: string; readonly credits: string }>
  }>
  const sums = currencies.flatMap(({ currency, shards }) =>
    shards.map(({ credits, debits, shard }) => ({ shard, currency, sum: String(BigInt(credits) - BigInt(debits)) }))
  )
  expect("every shard sums to zero", sums.length > 0 && sums.every(({ sum }) => sum === "0"))
  tell("The books", { sums, inFlight: currencies.map(({ currency, in_flight }) => ({ currency, in_flight })) }, [
    ...sums.map(({ currency, shard, sum }) => `shard ${shard}: credits − debits = ${sum} ${currency}`),
    ...currencies.map(({ currency, in_flight }) => `in flight: ${in_flight} ${currency}`)
  ])

  const verdict = failures.length === 0
    ? "everything is as it should be"
    : `NOT as it should be: ${failures.join("; ")}`
  tell(failures.length === 0 ? colour(32, "✔ " + verdict) : colour(31, "✘ " + verdict), { failures }, [])
  process.exitCode = failures.length === 0 ? 0 : 1
}

await main()
