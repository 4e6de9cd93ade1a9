/**
 * A link between a process and what it connects to: a TCP proxy with weather. What is cut is refused, what is stalled waits,
 * what is swallowed was done and is never heard of.
 */
import { randomInt } from "node:crypto"
import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"
import { setTimeout as pause } from "node:timers/promises"

/** What happens to bytes on their way. */
export type Weather =
  | { readonly is: "fair" }
  /** Connections are reset, and new ones too. */
  | { readonly is: "cut" }
  /** Connections stay, and nothing passes, in neither direction; it passes when the weather is fair again. */
  | { readonly is: "stalled" }
  /** What is sent arrives; what is answered is lost, and the connection with it when the weather is fair again. */
  | { readonly is: "swallowing" }
  /** The other side is gone and nobody says so: bytes are taken and lead nowhere, also when the weather is fair again. */
  | { readonly is: "half-open" }
  /** Each piece comes later, by up to twice as long. */
  | { readonly is: "slow"; readonly millis: number }
  /** So many bytes a second in each direction. */
  | { readonly is: "narrow"; readonly bytesPerSecond: number }

interface Connection {
  readonly near: Socket
  readonly far: Socket
  /** Bytes of it were lost: it can't go on. */
  isTorn: boolean
  /** It leads nowhere, for ever. */
  isDead: boolean
}

export class Link {
  readonly name: string
  readonly #target: () => { readonly host: string; readonly port: number }
  readonly #chance: () => number
  readonly #connections = new Set<Connection>()
  #server: Server | undefined
  #port = 0
  #weather: Weather = { is: "fair" }

  /** @param target asked for every connection: servers may come back elsewhere */
  constructor(
    name: string,
    target: () => { readonly host: string; readonly port: number },
    chance: () => number = () => 0.5
  ) {
    this.name = name
    this.#target = target
    this.#chance = chance
  }

  /** Where to connect to. */
  get port(): number {
    return this.#port
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** How many connections it carries that lead somewhere. */
  get connections(): number {
    return [...this.#connections].filter(({ isDead }) => !isDead).length
  }

  /** Listens on a port below those that the system gives to outgoing connections, lest one of them finds itself here. */
  async open(): Promise<this> {
    for (;;) {
      const server = createServer({ pauseOnConnect: true }, (near) => this.#accept(near))
      server.listen(randomInt(12_000, 32_000), "127.0.0.1")
      try {
        await once(server, "listening")
      } catch {
        continue
      }
      const address = server.address()
      this.#port = address === null || typeof address === "string" ? 0 : address.port
      this.#server = server
      return this
    }
  }

  close(): void {
    this.#server?.close()
    for (const connection of this.#connections) this.#reset(connection)
  }

  get weather(): Weather {
    return this.#weather
  }

  set weather(next: Weather) {
    this.#weather = next
    for (const connection of this.#connections) {
      if (next.is === "cut" || (connection.isTorn && next.is !== "swallowing")) this.#reset(connection)
      else if (next.is === "half-open") this.#kill(connection)
    }
  }

  #reset(connection: Connection) {
    this.#connections.delete(connection)
    for (const socket of [connection.near, connection.far]) socket.resetAndDestroy()
  }

  /** The far side is gone; the near one is told nothing, and whatever it sends is taken. */
  #kill(connection: Connection) {
    connection.isDead = true
    connection.far.destroy()
  }

  #accept(near: Socket) {
    near.on("error", () => near.destroy())
    if (this.#weather.is === "cut") {
      near.resetAndDestroy()
      return
    }
    const far = connect(this.#target())
    const connection: Connection = { near, far, isTorn: false, isDead: false }
    this.#connections.add(connection)
    if (this.#weather.is === "half-open") this.#kill(connection)
    far.on("error", () => far.destroy())
    near.on("close", () => {
      this.#connections.delete(connection)
      far.destroy()
    })
    far.on("close", () => {
      if (connection.isDead) return
      // What is under way to the near side arrives before the end does.
      near.end()
      near.destroySoon()
    })
    void this.#carry(connection, near, far, false)
    void this.#carry(connection, far, near, true)
  }

  /** Carries bytes in one direction, in order, for as long as both sides are there. */
  async #carry(connection: Connection, from: Socket, to: Socket, isAnswer: boolean) {
    try {
      for await (const chunk of from) {
        const bytes: Buffer = chunk
        await this.#endure(connection, bytes.length)
        if (connection.isDead) continue
        if (isAnswer && this.#weather.is === "swallowing") connection.isTorn = true
        if (connection.isTorn && isAnswer) continue
        if (!to.write(bytes)) await Promise.race([once(to, "drain"), once(to, "close")])
      }
      if (!connection.isDead) to.end()
    } catch {
      if (!connection.isDead) to.destroy()
    }
  }

  /** Waits as the weather wants it. */
  async #endure(connection: Connection, bytes: number) {
    const weather = this.#weather
    if (weather.is === "slow") await pause(weather.millis * 2 * this.#chance())
    else if (weather.is === "narrow") await pause((bytes / weather.bytesPerSecond) * 1_000)
    while (this.#weather.is === "stalled" && this.#connections.has(connection)) await pause(10)
  }
}
