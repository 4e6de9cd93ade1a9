/**
 * Just enough of an HTTP client to load a server from the same machine: a connection with one request on its way at a time,
 * and nothing done that a figure does not need. It costs a tenth of `fetch`, so that less of what is measured is the client's.
 */
import net from "node:net"
import { once } from "node:events"

const blank = Buffer.from("\r\n\r\n")

/** The status of a whole answer and where it ends; undefined while there is more to come. */
const answerIn = (bytes: Buffer): { readonly status: number; readonly end: number } | undefined => {
  const head = bytes.indexOf(blank)
  if (head === -1) return undefined
  const text = bytes.toString("latin1", 0, head)
  const length = /^content-length: *(\d+)/im.exec(text)?.[1]
  if (length === undefined) throw new Error(`an answer without a length: ${text}`)
  const end = head + blank.length + Number(length)
  return bytes.length < end ? undefined : { status: Number(text.slice(9, 12)), end }
}

export interface Wire {
  /** Sends a request and answers the status of what comes back. */
  readonly ask: (request: string) => Promise<number>
  readonly close: () => void
}

export const connect = async (port: number): Promise<Wire> => {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true })
  await once(socket, "connect")
  let bytes: Buffer = Buffer.alloc(0)
  let waiting: PromiseWithResolvers<number> | undefined
  const fail = (error: Error) => waiting?.reject(error)
  socket.on("data", (chunk) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const answer = answerIn(bytes)
    if (answer === undefined) return
    bytes = bytes.subarray(answer.end)
    waiting?.resolve(answer.status)
  })
  socket.on("error", fail)
  socket.on("close", () => fail(new Error("the server closed the connection")))
  return {
    ask: (request) => {
      waiting = Promise.withResolvers()
      socket.write(request)
      return waiting.promise
    },
    close: () => socket.destroy()
  }
}
