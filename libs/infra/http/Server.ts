/**
 * The server: Node's, within limits, on the first free port from the one that is wanted.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Context, Effect, Layer, type Scope } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { type Code, contentType } from "./Problems.ts"
import { maximumBytes } from "./Body.ts"
import { printable, requestIdOf } from "./CurrentRequest.ts"
import { problemOf, Refusal } from "./Refusal.ts"

/** Where the server can be reached. */
export class Listening extends Context.Service<Listening, {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string
  readonly port: number
}>()("counterpoise/infra/http/Listening") {}

export interface Options {
  readonly host: string
  /** 0 takes any free port. A port that is taken is stepped around: the next ones are tried, unless told otherwise. */
  readonly port: number
  /** Where clients know the port, another one is of no use: `false` fails instead. */
  readonly stepAround?: boolean
  readonly limits?: Partial<Limits>
}

/** What a client may take of the server, in milliseconds and bytes. */
export interface Limits {
  /** To send its headers. */
  readonly headersMillis: number
  /** To send the whole request. */
  readonly requestMillis: number
  /** To say nothing between two requests. */
  readonly keepAliveMillis: number
  /** How often the times are looked at. */
  readonly checkMillis: number
  readonly headerBytes: number
  /** How long requests that have begun may take to end when the server is closed. */
  readonly shutdownMillis: number
}

const limitsByDefault: Limits = {
  headersMillis: 10_000,
  requestMillis: 20_000,
  // Longer than load balancers keep theirs, so that it is they who hang up.
  keepAliveMillis: 75_000,
  checkMillis: 2_000,
  headerBytes: 16 * 1024,
  shutdownMillis: 10_000
}

/** How many ports are tried. */
const attempts = 50

const isTaken = (error: HttpServerError.ServeError): boolean =>
  error.cause instanceof Error && "code" in error.cause && error.cause.code === "EADDRINUSE"

const listen = (
  options: Options,
  limits: Limits,
  port: number,
  left: number
): Effect.Effect<HttpServer.HttpServer["Service"], HttpServerError.ServeError, Scope.Scope> =>
  NodeHttpServer.make(() => nodeServer(limits), {
    host: options.host,
    port,
    // Kernels cap it; the default of 511 drops connections when many clients come at once.
    backlog: 4096,
    gracefulShutdownTimeout: limits.shutdownMillis
  }).pipe(
    Effect.catchTag("ServeError", (error) =>
      isTaken(error) && left > 0
        ? Effect.andThen(
          Effect.logInfo("port is taken, trying the next", { port }),
          Effect.suspend(() => listen(options, limits, port === 65_535 ? 0 : port + 1, left - 1))
        )
        : Effect.fail(error))
  )

/**
 * Listens at once, and answers as soon as routes are attached: requests that come in between wait for them.
 */
export const layer = (
  options: Options
): Layer.Layer<HttpServer.HttpServer | Listening, HttpServerError.ServeError> => {
  const limits = { ...limitsByDefault, ...options.limits }
  return Layer.effectContext(Effect.gen(function*() {
    const server = yield* listen(options, limits, options.port, options.stepAround === false ? 0 : attempts)
    const { address } = server
    const port = "port" in address ? address.port : 0
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    const url = `http://${host}:${port}`
    yield* Effect.logInfo("listening", { url, wanted: options.port })
    return Context.make(HttpServer.HttpServer, server).pipe(Context.add(Listening, { url, port }))
  }))
}

/** Routes, served: the layer listens when it is built, and `Listening` says where. */
export const serve = <E, R>(routes: Layer.Layer<never, E, R>, options: Options) =>
  HttpRouter.serve(routes, {
    // Paths mean what they say: no second spelling of a route.
    routerConfig: {
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      caseSensitive: true,
      maxParamLength: 256
    },
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provideMerge(layer(options)),
    Layer.provide(NodeHttpServer.layerHttpServices),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(maximumBytes)))
  )

const nodeServer = (limits: Limits): Server => {
  const server = createServer({
    headersTimeout: limits.headersMillis,
    requestTimeout: limits.requestMillis,
    keepAliveTimeout: limits.keepAliveMillis,
    connectionsCheckingInterval: limits.checkMillis,
    maxHeaderSize: limits.headerBytes,
    // One Host header, as HTTP/1.1 demands; more tolerance has only ever served smugglers.
    requireHostHeader: true,
    insecureHTTPParser: false
  })
  holdUntilAttached(server)
  const inProgress = new WeakMap<Duplex, ServerResponse>()
  server.on("request", (request, response) => inProgress.set(request.socket, response))
  server.on(
    "clientError",
    (error: NodeJS.ErrnoException, socket) => answerBrokenRequest(error, socket, inProgress.get(socket))
  )
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const { body, headers, status } = plainProblem("expectation_failed", request.url)
    response.writeHead(status, headers).end(body)
  })
  const close = server.close.bind(server)
  server.close = (callback) => {
    // After its time, whoever still holds a connection loses it: a client that dawdles must not keep the process up.
    setTimeout(() => server.closeAllConnections(), limits.shutdownMillis).unref()
    return close(callback)
  }
  return server
}

/** Node drops requests that nobody listens for, and their clients wait for ever. These are kept until somebody does. */
const holdUntilAttached = (server: Server): void => {
  const held: Array<readonly [IncomingMessage, ServerResponse]> = []
  const hold = (request: IncomingMessage, response: ServerResponse) => void held.push([request, response])
  server.on("request", hold)
  server.on("newListener", (event: string) => {
    if (event !== "request" || server.listenerCount("request", hold) === 0) return
    server.off("request", hold)
    setImmediate(() => {
      for (const [request, response] of held) server.emit("request", request, response)
    })
  })
}

/** A problem for a request that never became one. */
const plainProblem = (code: Code, url: string | undefined) => {
  const problem = problemOf(new Refusal({ code }), {
    requestId: requestIdOf(undefined, Date.now()),
    instance: printable(url ?? "/"),
    traceparent: null
  })
  const body = JSON.stringify(problem)
  return {
    status: problem.status,
    body,
    headers: {
      "content-length": String(Buffer.byteLength(body)),
      "content-type": contentType,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": problem.request_id,
      connection: "close"
    }
  }
}

const codesOfNode: Readonly<Record<string, Code>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout"
}

/** @param before the response to the request before on this connection, if there was one */
const answerBrokenRequest = (
  error: NodeJS.ErrnoException,
  socket: Duplex,
  before: ServerResponse | undefined
): void => {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy()
    return
  }
  if (before !== undefined && before.req.complete && !before.writableFinished) {
    // It is being answered; what came after it must not take the place of that answer.
    before.once("close", () => socket.destroy())
    return
  }
  const { body, headers, status } = plainProblem(codesOfNode[error.code ?? ""] ?? "malformed_http", undefined)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("\r\n")}\r\n\r\n${body}`)
}
