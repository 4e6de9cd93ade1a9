/** A port of this machine behind which nobody is, until it is opened: then it leads to where it was made to lead. */
import { randomInt } from "node:crypto"
import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"

export class Door {
  /** Below those that the system gives to outgoing connections, lest one of them finds itself behind the door. */
  readonly port = randomInt(12_000, 32_000)
  readonly #target: { readonly host: string; readonly port: number }
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  /** @param target as `host:port` */
  constructor(target: string) {
    const { hostname, port } = new URL(`tcp://${target}`)
    this.#target = { host: hostname, port: Number(port) }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  async open(): Promise<void> {
    const server = createServer((incoming) => {
      const outgoing = connect(this.#target)
      for (const socket of [incoming, outgoing]) {
        this.#sockets.add(socket)
        socket.on("error", () => socket.destroy())
      }
      incoming.pipe(outgoing).pipe(incoming)
    })
    this.#server = server.listen(this.port, "127.0.0.1")
    await once(server, "listening")
  }

  close(): void {
    this.#server?.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
