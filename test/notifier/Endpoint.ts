/**
 * A receiver of webhooks as a customer would write one: a real HTTP server on a port that the system draws. What it answers
 * is up to the test; what it was sent is kept, and verified by the letter of Standard Webhooks 1.0, with nothing of ours.
 */
import { once } from "node:events"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export interface Sent {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A secret as an operator would draw it. */
export const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString("base64")}`

/** The bytes behind a secret, for a platform that is to sign with it. */
export const keyOf = (secret: string) => Buffer.from(secret.slice("whsec_".length), "base64")

/**
 * Does one of the signatures fit the secret, the id, the time and the body? The steps are those of the specification: base64
 * of HMAC-SHA256 over `id.timestamp.body`, in constant time, among signatures separated by spaces; and no older, nor newer,
 * than five minutes.
 */
export const verifies = (
  { body, headers }: Pick<Sent, "body" | "headers">,
  secret: string,
  nowMillis: number
): boolean => {
  const id = String(headers["webhook-id"])
  const timestamp = String(headers["webhook-timestamp"])
  if (Math.abs(nowMillis / 1000 - Number(timestamp)) > 300) return false
  const expected = createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest()
  return String(headers["webhook-signature"]).split(" ").some((signature) => {
    const [version, value = ""] = signature.split(",")
    const given = Buffer.from(value, "base64")
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)
  })
}

type Answering = (sent: Sent, response: ServerResponse) => void

/** Answers with a status, and perhaps more. */
export const answering =
  (status: number, headers: Readonly<Record<string, string>> = {}, body = ""): Answering => (_, response) => {
    response.writeHead(status, headers)
    response.end(body)
  }

/** Answers 204 until it is told otherwise. */
export class Endpoint {
  readonly sent: Array<Sent> = []
  /** Looked at for each request, when its body is there. */
  answer: Answering = answering(204)
  readonly #waiting = new Set<() => void>()
  readonly server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const sent = {
        method: request.method ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8")
      }
      this.answer(sent, response)
      this.sent.push(sent)
      for (const look of this.#waiting) look()
    })
  })

  async open(): Promise<this> {
    this.server.listen(0, "127.0.0.1")
    await once(this.server, "listening")
    return this
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, "close")
  }

  get url(): string {
    const { port } = this.server.address() as AddressInfo
    return `http://127.0.0.1:${port}/hooks?tenant=1`
  }

  /** The ids of what was sent, in the order in which it came. */
  get ids(): ReadonlyArray<string> {
    return this.sent.map(({ headers }) => String(headers["webhook-id"]))
  }

  /** Waits until what was sent is enough. */
  until(isEnough: (endpoint: Endpoint) => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const look = () => {
        if (!isEnough(this)) return
        this.#waiting.delete(look)
        resume(Effect.void)
      }
      this.#waiting.add(look)
      look()
      return Effect.sync(() => this.#waiting.delete(look))
    })
  }
}

/** A receiver for as long as the scope is open. */
export const endpoint = Effect.acquireRelease(
  Effect.promise(() => new Endpoint().open()),
  (opened) => Effect.promise(() => opened.close())
)
