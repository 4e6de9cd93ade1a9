/** What `Leases` promise: one holder at a time, by the shard's clock, and an epoch that tells the later from the earlier. */
import { expect, layer as suite } from "@effect/vitest"
import { Clock, type Context, Duration, Effect, type Layer, Option, Schedule } from "effect"
import { type Lease, Leases, type Role } from "#domain/sharding/Leases.ts"
import { as, type Ports, World } from "./World.ts"

const acquire = (process: Context.Context<Ports>, shard = 0, role: Role = "relay") =>
  as(process, Leases.use((leases) => leases.acquire(shard, role)))

const renew = (process: Context.Context<Ports>, lease: Lease) =>
  as(process, Leases.use((leases) => leases.renew(lease)))

const release = (process: Context.Context<Ports>, lease: Lease) =>
  as(process, Leases.use((leases) => leases.release(lease)))

/** Asks until the lease can be had: it is released, or runs out. */
const acquired = (process: Context.Context<Ports>, shard = 0, role: Role = "relay") =>
  acquire(process, shard, role).pipe(
    Effect.repeat({ until: Option.isSome, schedule: Schedule.spaced("5 millis") }),
    Effect.flatMap(Effect.fromOption),
    Effect.timeout("30 seconds")
  )

/** A lease that is given back at the end of the law, for the next. */
const held = (process: Context.Context<Ports>, shard = 0, role: Role = "relay") =>
  Effect.acquireRelease(acquired(process, shard, role), (lease) => Effect.ignore(release(process, lease)))

export const leasesLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const processes = (options?: { readonly leaseMillis?: number }) =>
      Effect.flatMap(World, ({ process }) => Effect.all([process(options), process(options)]))

    it.effect("gives a lease to one of many who ask at once", () =>
      Effect.gen(function*() {
        const both = yield* processes()
        const many = Array.from({ length: 10 }, () => both).flat()
        const answers = yield* Effect.forEach(many, (process) => acquire(process), { concurrency: "unbounded" })
        const given = answers.flatMap((answer, index) => Option.isSome(answer) ? [{ index, lease: answer.value }] : [])
        expect(given).toHaveLength(1)
        for (const { index, lease } of given) yield* release(many[index] ?? both[0], lease)
      }))

    it.effect("gives it to nobody else while it stands, nor to its holder a second time", () =>
      Effect.gen(function*() {
        const [ours, theirs] = yield* processes()
        yield* held(ours)
        expect(yield* acquire(theirs)).toEqual(Option.none())
        expect(yield* acquire(ours)).toEqual(Option.none())
      }))

    it.effect("gives it to the next once it is given back, with a higher epoch each time", () =>
      Effect.gen(function*() {
        const [ours, theirs] = yield* processes()
        const epochs: Array<bigint> = []
        for (const process of [ours, theirs, theirs, ours, theirs]) {
          const lease = Option.getOrThrow(yield* acquire(process))
          epochs.push(lease.epoch)
          yield* release(process, lease)
        }
        epochs.forEach((epoch, index) => expect(epoch).toBeGreaterThan(epochs[index - 1] ?? 0n))
      }))

    it.effect("keeps roles and shards apart", () =>
      Effect.gen(function*() {
        const [ours, theirs] = yield* processes()
        yield* held(ours, 0, "relay")
        for (const [shard, role] of [[0, "ledger"], [0, "reconciler"], [1, "relay"]] as const) {
          expect(yield* held(theirs, shard, role)).toMatchObject({ shard, role })
        }
      }))

    it.effect("lets a lease run out that is not renewed; then it is another's, and its holder learns that it is lost", () =>
      Effect.gen(function*() {
        const [ours, theirs] = yield* processes({ leaseMillis: 60 })
        const lease = yield* acquired(ours)
        const next = yield* held(theirs)
        expect(next.epoch).toBeGreaterThan(lease.epoch)
        expect(yield* Effect.flip(renew(ours, lease))).toMatchObject({ _tag: "LeaseLost", shard: 0, role: "relay" })
      }))

    it.effect("takes nothing from the present holder when an earlier one gives back what it lost", () =>
      Effect.gen(function*() {
        const [{ 0: early }, [late, other]] = yield* Effect.all([processes({ leaseMillis: 60 }), processes()])
        const lost = yield* acquired(early)
        const lease = yield* held(late)
        yield* release(early, lost)
        expect(yield* acquire(other)).toEqual(Option.none())
        yield* renew(late, lease)
      }))

    it.effect("can be renewed by its holder alone, whoever knows its epoch", () =>
      Effect.gen(function*() {
        const [ours, theirs] = yield* processes()
        const lease = yield* held(ours)
        expect(yield* Effect.flip(renew(theirs, lease))).toMatchObject({ _tag: "LeaseLost" })
        yield* release(theirs, lease)
        yield* renew(ours, lease)
      }))

    it.effect("stands for as long as it is renewed in time", () =>
      Effect.gen(function*() {
        const leaseMillis = 250
        const [ours, theirs] = yield* processes({ leaseMillis })
        const lease = yield* held(ours)
        const begun = yield* Clock.currentTimeMillis
        let seenStanding = 0
        for (let now = begun; now < begun + 3 * leaseMillis; now = yield* Clock.currentTimeMillis) {
          const renewed = yield* Effect.result(renew(ours, lease))
          const answer = yield* acquire(theirs)
          const took = (yield* Clock.currentTimeMillis) - now
          // On a machine that stood still in between the lease may have run out: that round proves nothing.
          if (took >= leaseMillis) return
          expect([renewed._tag, answer._tag]).toEqual(["Success", "None"])
          if (now > begun + leaseMillis) seenStanding++
        }
        expect(seenStanding).toBeGreaterThan(0)
      }))

    it.effect("says for how long a lease stands", () =>
      Effect.gen(function*() {
        const [ours] = yield* processes({ leaseMillis: 1_234 })
        expect(yield* as(ours, Leases.useSync(({ timeToLive }) => Duration.toMillis(timeToLive)))).toBe(1_234)
      }))
  })
