/** Holds a run to its own world: whoever touches real time, real chance or a socket in it fails it, and says where. */
import { Socket } from "node:net"

const forbidden = (what: string) => (): never => {
  throw new Error(`a simulated run used ${what}`)
}

const noRealDate = new Proxy(Date, {
  construct: (date, time) =>
    time.length === 0 ? forbidden("the real time: new Date()")() : Reflect.construct(date, time),
  get: (date, name) => name === "now" ? forbidden("the real time: Date.now()") : Reflect.get(date, name)
})

const forbiddenThings: ReadonlyArray<readonly [object: object, name: string, instead: unknown]> = [
  [globalThis, "Date", noRealDate],
  [performance, "now", forbidden("the real time: performance.now()")],
  [Math, "random", forbidden("real chance: Math.random()")],
  [globalThis, "crypto", { getRandomValues: forbidden("real chance"), randomUUID: forbidden("real chance") }],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask"].map((name) =>
    [globalThis, name, forbidden(`the real event loop: ${name}()`)] as const
  ),
  [Socket.prototype, "connect", forbidden("a socket")]
]

/** Does something synchronous in which nothing real may be touched. */
export const withoutTheRealWorld = <A>(work: () => A): A => {
  const restore: Array<() => void> = []
  try {
    for (const [object, name, instead] of forbiddenThings) {
      const before = Object.getOwnPropertyDescriptor(object, name)
      Object.defineProperty(object, name, { configurable: true, writable: true, value: instead })
      restore.push(() => {
        if (before === undefined) Reflect.deleteProperty(object, name)
        else Object.defineProperty(object, name, before)
      })
    }
    return work()
  } finally {
    for (const undo of restore.toReversed()) undo()
  }
}
