/**
 * The runbook's walkthrough, word for word, on a platform of its own: a message is lost between two shards, and an operator
 * finds the transfer that waits for it and brings it to its end. What is said is compared with what is shown.
 */
import { spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { asking } from "../support/Databases.ts"
import { type Enlisted, Platform, until } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"
import { type Block, blocksOf, read, root } from "./Markdown.ts"

const blocks = blocksOf(read("docs/runbook.md"))

/** The blocks to be run, each with what is shown after it. */
const steps = blocks.flatMap(
  (block, index): ReadonlyArray<{ readonly block: Block; readonly shown: Block | undefined }> => {
    const next = blocks[index + 1]
    return block.above === "<!-- run -->" ? [{ block, shown: next?.language === "" ? next : undefined }] : []
  }
)

const literally = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** How much room there is between words says nothing. */
const lines = (text: string) =>
  text.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, "  ")).filter((line) => line !== "")

/** What is shown, as a pattern: `…` stands for anything in a line, and on a line of its own for any lines. */
const patternOf = (shown: string) =>
  new RegExp(
    `^${
      lines(shown).map((line) => line === "…" ? "(?:.*\\n)*?" : `${line.split("…").map(literally).join(".*")}\\n`).join(
        ""
      )
    }$`
  )

const ben = 0

describe("the runbook's walkthrough", () => {
  let platform: Platform
  let admin: Enlisted | undefined
  let outputs: ReadonlyArray<string>

  const on = <A, E>(shard: number, question: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
    asking(platform.stack.shardUrls[shard] ?? "", question)

  const post = async (route: string, key: string, body: object) =>
    platform.insist("POST", route, body, { "idempotency-key": key, prefer: "wait=10" })

  /** Who holds the lease works; somebody who does nothing holds it for a while. */
  const stopWorker = (shard: number) =>
    on(
      shard,
      (sql) =>
        sql`UPDATE lease SET holder = 'nobody', epoch = epoch + 1, expires_at = now() + interval '1 hour' WHERE role = 'ledger'`
    )
  const letWorkerGoOn = (shard: number) =>
    on(shard, (sql) => sql`UPDATE lease SET expires_at = now() WHERE role = 'ledger'`)

  /** Asks for a transfer whose message to the destination is lost: it is carried, and nobody ever reads it. */
  const loseMessage = async () => {
    await stopWorker(ben)
    const { body } = await platform.insist("POST", "/v1/transfers", {
      source: "anna",
      destination: "ben",
      amount: "1250",
      currency: "EUR"
    }, { "idempotency-key": "rent-december" })
    const { offset, partition } = await until(
      "the message to Ben's shard",
      () =>
        asking(platform.eventLogUrl, (sql) =>
          Effect.map(
            sql<{ readonly partition: number; readonly offset: bigint }>`
            SELECT partition, "offset" FROM event_log WHERE subject = ${body.id} AND type = 'transfer.held'`,
            ([row]) => row
          ))
    )
    await on(
      ben,
      (sql) => sql`UPDATE consumer_position SET next_offset = ${offset + 1n} WHERE partition = ${partition}`
    )
    await letWorkerGoOn(ben)
    await until("somebody to work for Ben's shard", () =>
      on(ben, (sql) =>
        Effect.map(
          sql`SELECT 1 FROM lease WHERE role = 'ledger' AND holder <> 'nobody' AND expires_at > now()`,
          (rows) => rows.length === 1 || undefined
        )))
    return body.id
  }

  beforeAll(async () => {
    platform = await Platform.start({ env: { LEASE_SECONDS: "2" } })
    for (const [id, kind] of [["bank", "external"], ["anna", "customer"], ["ben", "customer"]]) {
      await post("/v1/accounts", `open-${id}`, { id, kind, currency: "EUR" })
    }
    const deposit = { source: "bank", destination: "anna", amount: "10000", currency: "EUR" }
    expect((await post("/v1/transfers", "a-deposit", deposit)).body.status).toBe("committed")
    const id = await loseMessage()

    // An operators' API for which a transfer is silent at once: nobody has five minutes here.
    const port = randomInt(12_000, 32_000)
    const { adminKey } = platform.stack
    const enlisted = platform.enlist("admin", {
      ADMIN_PORT: String(port),
      ADMIN_KEYS: `operator:${adminKey}`,
      HOLD_PATIENCE_SECONDS: "0.1"
    })
    admin = enlisted
    await until("the operators' API", () => enlisted.output().includes("listening") || undefined)

    const mark = "=== the next block ==="
    const { status, stderr, stdout } = spawnSync("bash", ["-eu"], {
      cwd: root,
      env: {
        ...process.env,
        COUNTERPOISE_DATA: platform.dataDir,
        ADMIN_URL: `http://127.0.0.1:${port}`,
        ADMIN_KEY: adminKey,
        ID: id,
        npm_config_loglevel: "error"
      },
      // What npx would start, without asking npm each time.
      input: `counterpoise() { node "$PWD/apps/counterpoise/main.ts" "$@"; }\n` +
        steps.map(({ block }) => `echo '${mark}'\n${block.text}\n`).join(""),
      encoding: "utf8",
      timeout: 120_000
    })
    expect(stderr.replaceAll("counterpoise: not all is well\n", "")).toBe("")
    expect(status).toBe(0)
    outputs = stdout.split(`${mark}\n`).slice(1)
  }, 240_000)

  afterAll(async () => {
    await admin?.stop()
    await platform.destroy()
  })

  it("runs to its end", () => {
    expect(outputs.length).toBe(steps.length)
    expect(steps.length).toBeGreaterThan(4)
  })

  it.each(steps.flatMap(({ shown }, index) => shown === undefined ? [] : [{ line: shown.line, shown, index }]))(
    "line $line: the command says what is shown",
    ({ index, shown }) => {
      expect(`${lines(outputs[index] ?? "").join("\n")}\n`).toMatch(patternOf(shown.text))
    }
  )

  it("leaves the books whole", async () => {
    expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
  })
})
