import { layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { HttpServer, HttpServerResponse } from "effect/http"
import { connect, createServer as createPlainServer } from "node:net"
import { describe, expect, it as plain } from "vitest"
import * as Server from "#infra/http/Server.ts"
import { freshKey, get, goodTransfer, Harness, json, parsed, post } from "./Harness.ts"

const limits = { headersMillis: 250, requestMillis: 400, checkMillis: 50, keepAliveMillis: 2_000, shutdownMillis: 500 }

const body = json(goodTransfer)

const head = (...lines: ReadonlyArray<string>) =>
  [
    "POST /v1/transfers HTTP/1.1",
    "host: test",
    "authorization: Bearer cp_test_anna",
    "content-type: application/json",
    `idempotency-key: ${freshKey()}`,
    ...lines
  ].join("\r\n") + "\r\n\r\n"

const closing = "connection: close"

layer(Harness.layerWith(limits), { excludeTestServices: true })("bare connections", (it) => {
  const written = Effect.map(Harness, ({ books }) => books.written)

  /** Sends it, and expects an answer with this code and nothing written. */
  const refused = Effect.fn("refused")(
    function*(status: number, code: string, ...parts: ReadonlyArray<string | Uint8Array>) {
      const { raw } = yield* Harness
      const before = yield* written
      const received = yield* raw(...parts)
      expect(parsed(received)).toMatchObject({ status, code })
      expect(parsed(received).headers.get("x-request-id")).toMatch(/^\S+$/)
      expect(yield* written).toBe(before)
      return parsed(received)
    }
  )

  describe("broken requests", () => {
    it.effect("no HTTP at all is answered with malformed_http", () => refused(400, "malformed_http", "hello\r\n\r\n"))
    it.effect("TLS on the plain port is answered with malformed_http", () =>
      refused(400, "malformed_http", Buffer.from("16030100ff010000fb0303", "hex"), "\r\n\r\n"))
    it.effect("an unknown method is answered with malformed_http", () =>
      refused(400, "malformed_http", "FOO /v1/accounts HTTP/1.1\r\nhost: test\r\n\r\n"))
    it.effect("no host is answered with malformed_http", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        expect(parsed(yield* raw("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n")).status).toBe(400)
      }))
    it.effect("a header with a line feed inside is answered with malformed_http", () =>
      refused(400, "malformed_http", "GET /livez HTTP/1.1\r\nhost: test\r\nx: a\nb\r\n\r\n"))
    it.effect("a header with a NUL is answered with malformed_http", () =>
      refused(400, "malformed_http", "GET /livez HTTP/1.1\r\nhost: test\r\nx: a\u0000b\r\n\r\n"))
    it.effect("a header of 64 KiB is answered with headers_too_large", () =>
      refused(431, "headers_too_large", `GET /livez HTTP/1.1\r\nhost: test\r\nx: ${"a".repeat(65_536)}\r\n\r\n`))
    it.effect("10,000 headers are answered with headers_too_large", () =>
      refused(431, "headers_too_large", `GET /livez HTTP/1.1\r\nhost: test\r\n${"x: a\r\n".repeat(10_000)}\r\n`))
    it.effect("a path of 64 KiB is answered with headers_too_large", () =>
      refused(431, "headers_too_large", `GET /${"a".repeat(65_536)} HTTP/1.1\r\nhost: test\r\n\r\n`))
    it.effect("an expectation that nobody can meet is answered with expectation_failed", () =>
      refused(417, "expectation_failed", head("expect: the-impossible", "content-length: 0", closing)))
    it.effect("both a length and chunks, the smuggler's way, are answered with malformed_http", () =>
      refused(
        400,
        "malformed_http",
        head("content-length: 6", "transfer-encoding: chunked"),
        "0\r\n\r\nGET /v1/accounts HTTP/1.1\r\n\r\n"
      ))
    it.effect("two lengths are answered with malformed_http", () =>
      refused(400, "malformed_http", head("content-length: 6", "content-length: 5"), "{}    "))
    it.effect("a negative length is answered with malformed_http", () =>
      refused(400, "malformed_http", head("content-length: -1")))
    it.effect("chunks of a size that is none are answered, and nothing is written", () =>
      Effect.gen(function*() {
        const before = yield* written
        const { raw } = yield* Harness
        const received = yield* raw(head("transfer-encoding: chunked", closing), "zz\r\n{}\r\n0\r\n\r\n")
        expect(parsed(received)).toMatchObject({ status: 400, code: "malformed_http" })
        expect(yield* written).toBe(before)
      }))
  })

  describe("bodies in pieces", () => {
    it.effect("a body that comes byte by byte is read", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const received = yield* raw(head(`content-length: ${body.length}`, closing), ...body)
        expect(parsed(received).status).toBe(202)
      }))
    it.effect("a body in chunks is read", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const chunks = [...body].map((byte) => `1\r\n${byte}\r\n`).join("")
        const received = yield* raw(head("transfer-encoding: chunked", closing), `${chunks}0\r\n\r\n`)
        expect(parsed(received).status).toBe(202)
      }))
    it.effect("chunks of more than 64 KiB together are answered with payload_too_large", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const before = yield* written
        const chunk = `1000\r\n${"x".repeat(4_096)}\r\n`
        const received = yield* raw(head("transfer-encoding: chunked", closing), chunk.repeat(20), "0\r\n\r\n")
        expect(parsed(received)).toMatchObject({ status: 413, code: "payload_too_large" })
        expect(yield* written).toBe(before)
      }))
    it.effect("a length over 64 KiB is answered before the body comes", () =>
      refused(413, "payload_too_large", head("content-length: 65537")))
    it.effect("a client that waits for 100 Continue is told to go on", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const received = yield* raw(head("expect: 100-continue", `content-length: ${body.length}`, closing), body)
        expect(received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /)
      }))
    it.effect("a client that waits for 100 Continue with too large a body is refused", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const received = yield* raw(head("expect: 100-continue", "content-length: 99999", closing))
        expect(parsed(received)).toMatchObject({ status: 413, code: "payload_too_large" })
      }))
    it.effect("less than the length that was announced is no request", () =>
      Effect.gen(function*() {
        const { port } = yield* Harness
        const before = yield* written
        yield* hungUp(port, head(`content-length: ${body.length + 10}`) + body)
        expect((yield* get("/livez")).status).toBe(200)
        expect(yield* written).toBe(before)
      }))
    it.effect("more than the length that was announced does not take the place of the answer", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const received = yield* raw(head(`content-length: ${body.length}`) + body + "garbage\r\n\r\n")
        expect(received.match(/HTTP\/1\.1 \d+/g)).toStrictEqual(["HTTP/1.1 202"])
      }))
  })

  describe("slow clients", () => {
    it.effect("headers that never end are answered with request_timeout", () =>
      refused(408, "request_timeout", "POST /v1/transfers HTTP/1.1\r\nhost: te"))
    it.effect("a body that never ends is cut off, and nothing is written", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const before = yield* written
        const received = yield* raw(head("content-length: 100"), "{\"source\":")
        expect(parsed(received)).toMatchObject({ status: 408 })
        expect(yield* written).toBe(before)
      }))
    it.effect("while they dawdle, others are answered", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const slow = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 50 }, () => raw("POST /v1/tr")), { concurrency: "unbounded" })
        )
        expect((yield* post("/v1/transfers", body)).status).toBe(202)
        expect((yield* Fiber.join(slow)).every((received) => parsed(received).status === 408)).toBe(true)
      }))
  })

  describe("connections", () => {
    it.effect("requests that come all at once are answered in their order", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const request = head(`content-length: ${body.length}`) + body
        const last = "GET /livez HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        const received = yield* raw(request + "GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n" + last)
        expect(received.match(/HTTP\/1\.1 \d+/g)).toStrictEqual(["HTTP/1.1 202", "HTTP/1.1 404", "HTTP/1.1 200"])
      }))
    it.effect("HTTP/1.0 is answered, and the connection closed", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        expect(parsed(yield* raw("GET /livez HTTP/1.0\r\nhost: test\r\n\r\n")).status).toBe(200)
      }))
    it.effect("a host that is not ours changes nothing", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const received = yield* raw(
          head(`content-length: ${body.length}`, closing).replace("host: test", "host: evil"),
          body
        )
        expect(parsed(received).headers.get("location")).toMatch(/^\/v1\/transfers\//)
      }))
    it.effect("a request to upgrade is answered as if it were none", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const upgrade = [
          "connection: upgrade",
          "upgrade: websocket",
          "sec-websocket-version: 13",
          "sec-websocket-key: eA=="
        ]
        const received = yield* raw(`GET /livez HTTP/1.1\r\nhost: test\r\n${upgrade.join("\r\n")}\r\n\r\n`)
        expect(parsed(received).status).toBe(200)
      }))
    it.effect("two Authorization headers: the first counts, as everywhere", () =>
      Effect.gen(function*() {
        const { raw } = yield* Harness
        const get = "GET /v1/accounts HTTP/1.1\r\nhost: test\r\nconnection: close\r\n"
        const received = yield* raw(`${get}authorization: Bearer x\r\nauthorization: Bearer cp_test_anna\r\n\r\n`)
        expect(parsed(received).status).toBe(401)
      }))
    it.effect("the requests of clients that went away are not counted as active for ever", () =>
      Effect.gen(function*() {
        const { port } = yield* Harness
        yield* Effect.all(
          Array.from({ length: 20 }, () => hungUp(port, head("content-length: 50") + "{")),
          { concurrency: "unbounded" }
        )
        expect((yield* get("/metrics")).text).toMatch(/^http_server_active_requests 1$/m)
      }))
  })
})

describe("the server", () => {
  plain(
    "steps around a port that is taken, and says where it listens",
    () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const taken = yield* Effect.acquireRelease(
          Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
            const blocker = createPlainServer()
            blocker.listen(0, "127.0.0.1", () => {
              const address = blocker.address()
              const port = typeof address === "object" && address !== null ? address.port : 0
              resume(Effect.succeed({ port, close: () => void blocker.close() }))
            })
          }),
          ({ close }) => Effect.sync(close)
        )
        const context = yield* Layer.build(Server.layer({ host: "127.0.0.1", port: taken.port }))
        const { port, url } = yield* Effect.provideContext(Server.Listening, context)
        expect(port).toBeGreaterThan(taken.port)
        expect(url).toBe(`http://127.0.0.1:${port}`)
      })))
  )

  plain("fails when its host is not one of this machine", () =>
    Effect.runPromise(Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(Server.layer({ host: "192.0.2.1", port: 0 }))))
      expect(Exit.isFailure(exit)).toBe(true)
    })))

  plain(
    "answers a request that came before its routes did",
    () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const context = yield* Layer.build(Server.layer({ host: "127.0.0.1", port: 0 }))
        const { port } = yield* Effect.provideContext(Server.Listening, context)
        const early = yield* Effect.forkChild(answered(port))
        yield* connected(port)
        yield* Effect.provideContext(HttpServer.serveEffect(Effect.succeed(hello)), context)
        expect(yield* Fiber.join(early)).toContain("hello")
      })))
  )

  plain(
    "when it is closed, takes no more, ends what it began, and waits for nobody for ever",
    () =>
      Effect.runPromise(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(Server.layer({ host: "127.0.0.1", port: 0, limits }), scope)
        const { port } = yield* Effect.provideContext(Server.Listening, context)
        const begun = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const slow = Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn)), hello)
        yield* HttpServer.serveEffect(slow).pipe(Effect.provideContext(context), Scope.provide(scope))
        const waiting = yield* Effect.forkChild(answered(port))
        yield* Deferred.await(begun)
        const dawdling = connect(port, "127.0.0.1")
        dawdling.on("error", () => undefined)
        dawdling.write("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n1")
        const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* refusedConnection(port)
        yield* Deferred.succeed(goOn, undefined)
        expect(yield* Fiber.join(waiting)).toContain("hello")
        yield* Fiber.join(closed)
        dawdling.destroy()
      }))
  )
})

const hello = HttpServerResponse.text("hello")

/** Sends bytes, and hangs up when the server has had the time to see them: when it has answered another connection. */
const hungUp = (port: number, bytes: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.andThen(answered(port), Effect.void)))
    socket.write(bytes, () => Effect.runFork(Effect.andThen(answered(port), Effect.sync(() => socket.destroy()))))
  })

/** What a GET over a connection of its own is answered with. */
const answered = (port: number): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1")
    let received = ""
    socket.on("data", (chunk) => received += String(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.succeed(received)))
    socket.write("GET /livez HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
  })

/** Succeeds once the server has accepted a connection: those before it have been accepted, too. */
const connected = (port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

/** Succeeds once the server takes no more connections. */
const refusedConnection = (port: number): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  }).pipe(Effect.repeat({ until: (refused) => refused }), Effect.asVoid)
