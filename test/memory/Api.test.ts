/** The API over the platform in memory: what a client asks for over HTTP is settled, and what it reads is what happened. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer, References } from "effect"
import { get, Harness, post } from "../api/Harness.ts"
import { map, nameOn } from "../laws/World.ts"
import { everybodyWorks, machines, process } from "./Platform.ts"

const patient = {
  patience: { requested: Duration.minutes(1), held: Duration.minutes(1) },
  every: Duration.seconds(1),
  checkEvery: Duration.minutes(1)
}

/** The API in one process, all others in another, over the same shards. */
const platform = Layer.unwrap(Effect.gen(function*() {
  const world = yield* machines(map)
  const workers = Layer.effectDiscard(Effect.forkScoped(everybodyWorks(world, patient))).pipe(
    Layer.provide(process(world, { holder: "workers", leaseTime: Duration.seconds(30) }))
  )
  const api = process(world, { holder: "api", leaseTime: Duration.seconds(30) })
  return Harness.layerWith({}, {}, Layer.merge(api, workers))
})).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error")))

layer(platform, { excludeTestServices: true })("the API over memory", (it) => {
  it.effect("moves money from one shard to another, and tells how", () =>
    Effect.gen(function*() {
      const [bank, anna, ben] = [nameOn(0, "bank"), nameOn(0, "anna"), nameOn(1, "ben")]
      const open = (id: string, more = {}) => post("/v1/accounts", JSON.stringify({ id, currency: "EUR", ...more }))
      expect((yield* open(bank, { kind: "external" })).status).toBe(201)
      for (const id of [anna, ben]) expect((yield* open(id)).status).toBe(201)

      const move = (source: string, destination: string, amount: string) =>
        post("/v1/transfers", JSON.stringify({ source, destination, amount, currency: "EUR" }), { prefer: "wait=20" })
      expect((yield* move(bank, anna, "1000")).body).toMatchObject({ status: "committed" })
      const { body: sent } = yield* move(anna, ben, "300")
      expect(sent).toMatchObject({ status: "committed", source: anna, destination: ben, amount: "300" })
      const { body: refused } = yield* move(anna, ben, "701")
      expect(refused).toMatchObject({ status: "rejected", failure: { code: "insufficient_funds" } })

      const posted = (id: string) => Effect.map(get(`/v1/accounts/${id}/balance`), ({ body }) => body["posted"])
      expect(yield* Effect.forEach([anna, ben], posted)).toStrictEqual(["700", "300"])
      expect((yield* get(`/v1/accounts/${anna}/entries`)).body["data"]).toMatchObject([
        { id: `${anna}/2`, amount: "300" },
        { id: `${anna}/1`, amount: "1000" }
      ])
      expect((yield* get(`/v1/transfers?source=${anna}`)).body["data"]).toMatchObject([
        { id: refused["id"] },
        { id: sent["id"] }
      ])
      const timeline = yield* get(`/v1/transfers/${String(sent["id"])}/timeline`)
      expect(timeline.text.match(/transfer\.\w+/g)).toStrictEqual(
        expect.arrayContaining(["transfer.requested", "transfer.held", "transfer.credited", "transfer.committed"])
      )
      expect((yield* get("/v1/ledger/trial-balance")).text).not.toContain("false")
    }))
})
