import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { decodeTime, isValid, ulid } from "ulid"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { chance, millis, partition, seed } from "../Arbitraries.ts"

const decode = Schema.decodeUnknownResult(TransferId.TransferId)

/** In Crockford's base 32, characters 11 and 12 of an id without `trf_` are the partition. */
const withoutPartition = (ulid: string) => ulid.slice(0, 10) + ulid.slice(12)

describe("TransferId", () => {
  it.each<readonly [time: number, partition: number, id: string]>([
    [0, 0, "trf_00000000000000000000000000"],
    [1, 1, "trf_00000000010100000000000000"],
    [1_767_225_600_000, 63, "trf_01KDVDNA001Z00000000000000"],
    [1_767_225_600_001, 31, "trf_01KDVDNA010Z00000000000000"],
    [1_767_225_600_001, 32, "trf_01KDVDNA011000000000000000"],
    [2 ** 48 - 1, 1023, "trf_7ZZZZZZZZZZZ00000000000000"]
  ])("made at %i for partition %i without any chance is %s", (time, partition, id) => {
    assert.strictEqual(TransferId.make(time, partition, () => 0), id)
  })

  it.prop("carries its home partition and its time", { millis, partition, seed }, ({ millis, partition, seed }) => {
    const id = TransferId.make(millis, partition, chance(seed))
    assert.strictEqual(TransferId.partitionOf(id), partition)
    assert.strictEqual(TransferId.timeOf(id), millis)
  }, { arbitrary: { runs: 500 } })

  it.prop("is a ULID: the same that the ulid package makes, but for its partition", { millis, partition, seed }, (
    { millis, partition, seed }
  ) => {
    const made = TransferId.make(millis, partition, chance(seed)).slice(4)
    assert.isTrue(isValid(made))
    assert.strictEqual(decodeTime(made), millis)
    // ulid() takes a time of 0 to mean now.
    if (millis > 0) assert.strictEqual(withoutPartition(made), withoutPartition(ulid(millis, chance(seed))))
  }, { arbitrary: { runs: 500 } })

  it("is made of the time it is given, even at the beginning of 1970", () => {
    assert.strictEqual(TransferId.timeOf(TransferId.make(0, 7, Math.random)), 0)
  })

  it.prop("comes back from the wire as it was", { millis, partition, seed }, ({ millis, partition, seed }) => {
    const id = TransferId.make(millis, partition, chance(seed))
    assert.strictEqual(Result.getOrThrow(decode(Schema.encodeSync(TransferId.TransferId)(id))), id)
  })

  it.prop(
    "sorts by time, whatever the partitions and the chance",
    { a: millis, b: millis, partition, other: partition, seed },
    ({ a, b, other, partition, seed }) => {
      const first = TransferId.make(a, partition, chance(seed))
      const second = TransferId.make(b, other, chance(seed + 1))
      if (a !== b) assert.strictEqual(first < second, a < b)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop("cannot be guessed from its neighbours of the same millisecond", { millis, partition, seed }, (
    { millis, partition, seed }
  ) => {
    const random = chance(seed)
    const ids = Array.from({ length: 64 }, () => TransferId.make(millis, partition, random))
    assert.strictEqual(new Set(ids).size, ids.length)
    assert.notDeepEqual(ids, ids.toSorted())
    // Neighbours agree in about one of 32 characters of chance; a counter would agree in nearly all.
    const agreeing = ids.slice(1).map((id, index) =>
      Array.from(id.slice(16)).filter((character, at) => character === ids[index]?.charAt(16 + at)).length
    )
    assert.isBelow(agreeing.reduce((sum, count) => sum + count, 0) / agreeing.length, 2)
  }, { arbitrary: { runs: 50 } })

  it.each([
    ["a partition that does not fit two characters", 1, 1024],
    ["a negative partition", 1, -1],
    ["a time before 1970", -1, 0],
    ["a time beyond 48 bits", 2 ** 48, 0],
    ["part of a millisecond", 0.5, 0],
    ["no time at all", Number.NaN, 0]
  ])("is not made of %s", (_, time, partition) => {
    assert.throws(() => TransferId.make(time, partition, () => 0))
  })

  it.each<readonly [string, unknown]>([
    ["nothing", ""],
    ["the prefix alone", "trf_"],
    ["no prefix", "01KDVDNA001Z00000000000000"],
    ["another prefix", "acc_01KDVDNA001Z00000000000000"],
    ["a capital prefix", "TRF_01KDVDNA001Z00000000000000"],
    ["25 characters", "trf_01KDVDNA001Z0000000000000"],
    ["27 characters", "trf_01KDVDNA001Z000000000000000"],
    ["a time beyond 48 bits", "trf_81KDVVCM001Z00000000000000"],
    ["lower case", "trf_01kdvdna001z00000000000000"],
    ["an I", "trf_01KDVDNA001Z0000000000000I"],
    ["an L", "trf_01KDVDNA001Z0000000000000L"],
    ["an O", "trf_01KDVDNA001Z0000000000000O"],
    ["a U", "trf_01KDVDNA001Z0000000000000U"],
    ["a space after", "trf_01KDVDNA001Z00000000000000 "],
    ["a line end after", "trf_01KDVDNA001Z00000000000000\n"],
    ["a UUID", "trf_6f1c2b1e-7f0a-4a54-9c39-0d1b8f0f6a11"],
    ["a number", 1],
    ["null", null]
  ])("is not read from %s", (_, text) => {
    assert.isTrue(Result.isFailure(decode(text)))
  })
})
