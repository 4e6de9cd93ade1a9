/** Parked messages, decided about by operators. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import * as PgConsumer from "#infra/postgres/PgConsumer.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as ParkedAtHand from "../../apps/admin/ParkedAtHand.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { clientOf, keys, served } from "./Harness.ts"

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("parked messages", (it) => {
  it.effect("are listed, tried again and given up by operators, with a name and a reason", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const url = yield* postgres.freshConsumer("notifier")
      const owner = yield* connect({ url, maxConnections: 1 })
      yield* owner`
        INSERT INTO parked_message (source_shard, position, partition, key, type, subject, payload, occurred_at, trouble,
          detail)
        VALUES (0, 1, 0, 'anna', 'transfer.committed', 'trf', '{}', now(), 'refused', '410'),
          (0, 2, 0, 'ben', 'transfer.committed', 'trf', '{}', now(), 'refused', '410')`
      const database = PgConsumer.layer({
        url,
        consumer: "notifier",
        holder: "nobody",
        timeToLive: Duration.minutes(1)
      })
      const shards = yield* postgres.freshShards(1)
      const { url: api } = yield* served(shards, Layer.effectContext(Effect.never), ParkedAtHand.layer(database))
      const ann = yield* clientOf(api, keys.ann)
      const payload = { reason: "the receiver was fixed" }

      const { data } = yield* ann.parked.list({ query: {} })
      const [first = "", second = ""] = data.map(({ id }) => id)
      expect(data.map(({ key, trouble }) => [key, trouble?.class])).toEqual([["anna", "refused"], ["ben", "refused"]])

      const tried = yield* ann.parked.retry({ params: { id: first }, payload: { ...payload, dry_run: true } })
      expect(tried).toMatchObject({ action: "parked.retry", changed: false, dry_run: true })
      expect((yield* ann.parked.get({ params: { id: first } })).retries).toEqual([])

      yield* ann.parked.retry({ params: { id: first }, payload })
      expect((yield* ann.parked.get({ params: { id: first } })).retries).toMatchObject([
        { actor: "ann", reason: payload.reason }
      ])
      expect(yield* Effect.flip(ann.parked.retry({ params: { id: first }, payload }))).toMatchObject({
        code: "message_not_waiting"
      })

      yield* ann.parked.discard({ params: { id: second }, payload })
      expect(yield* ann.parked.get({ params: { id: second } })).toMatchObject({
        status: "discarded",
        discarded_by: "ann"
      })
      expect(yield* Effect.flip(ann.parked.get({ params: { id: "msg_9" } }))).toMatchObject({
        code: "message_not_found"
      })
      expect((yield* ann.audit.list({ query: {} })).data.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
        "parked.discard done",
        "parked.retry refused",
        "parked.retry done"
      ])
    }))
})
