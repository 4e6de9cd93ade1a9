/**
 * The clients of the intake, in a process of their own. Told how long and how, they ask for transfers, each with a key of its
 * own, and tell what came of it: as fast as so many connections can (each asks again when it has its answer), or at a fixed
 * rate, however long the answers take.
 */
import { readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { connect, type Wire } from "./Wire.ts"

/** `perSecond` is the fixed rate; without it they are as fast as they can. */
export interface Job {
  readonly name: string
  readonly connections: number
  readonly seconds: number
  readonly perSecond?: number
}

export interface Found {
  readonly accepted: number
  readonly otherwise: number
  readonly seconds: number
  /** From when it was due to the answer; sorted. */
  readonly millis: ReadonlyArray<number>
  /** Of the client itself. */
  readonly cpuMicros: number
}

const [port = "", key = "", accountsFile = ""] = process.argv.slice(2)
const accounts = readFileSync(accountsFile, "utf8").trim().split("\n")

/** The `n`th request of a job: between two accounts, with all that is written by an ordinary client. */
const requestOf = (name: string, n: number) => {
  const source = accounts[(n * 7_919) % accounts.length]
  const destination = accounts[(n * 7_919 + 1 + n % 97) % accounts.length]
  const body = `{"source":"${source}","destination":"${destination}","amount":"${1 + n % 100}","currency":"EUR"}`
  return `POST /v1/transfers HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\n` +
    `content-type: application/json\r\nidempotency-key: ${name}-${n}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

const run = async ({ connections, name, perSecond, seconds }: Job): Promise<Found> => {
  const wires = await Promise.all(Array.from({ length: connections }, () => connect(Number(port))))
  const millis: Array<number> = []
  let [n, otherwise] = [0, 0]
  const once = async (wire: Wire, due: number) => {
    const status = await wire.ask(requestOf(name, n++))
    if (status === 202) millis.push(performance.now() - due)
    else otherwise++
  }
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const end = begun + seconds * 1_000
  if (perSecond === undefined) {
    await Promise.all(wires.map(async (wire) => {
      for (let now = begun; now < end; now = performance.now()) await once(wire, now)
    }))
  } else {
    const idle = [...wires]
    const due: Array<number> = []
    const work = async (wire: Wire) => {
      for (let at = due.shift(); at !== undefined; at = due.shift()) await once(wire, at)
      idle.push(wire)
    }
    const under = new Set<Promise<void>>()
    for (let asked = 0; performance.now() < end; await pause(1)) {
      for (const all = (performance.now() - begun) / 1_000 * perSecond; asked < all; asked++) {
        due.push(begun + asked / perSecond * 1_000)
        const wire = idle.pop()
        if (wire === undefined) continue
        const working = work(wire)
        under.add(working)
        void working.finally(() => under.delete(working))
      }
    }
    await Promise.all(under)
  }
  const passed = (performance.now() - begun) / 1_000
  const { system, user } = process.cpuUsage(cpu)
  for (const wire of wires) wire.close()
  return {
    accepted: millis.length,
    otherwise,
    seconds: passed,
    millis: millis.toSorted((a, b) => a - b),
    cpuMicros: system + user
  }
}

process.on("message", (job: Job) => {
  void run(job).then((found) => process.send?.(found))
})
