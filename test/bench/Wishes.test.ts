import { expect, it } from "vitest"
import { AccountId } from "#domain/account/Account.ts"
import { even } from "#domain/sharding/ShardMap.ts"
import * as Wishes from "../../bench/engine/Wishes.ts"

const accounts = Array.from({ length: 1_000 }, (_, n) => AccountId.make(`account-${n}`))

it("by Zipf's law few accounts do most: the busiest about twice as much as the second, and seven times as much as the tenth", () => {
  const wishes = Wishes.draw(Wishes.zipf, { count: 100_000, map: even(1, 8), parties: [accounts], seed: 1 })
  const given = (n: number) => wishes.filter(({ terms }) => terms.source === accounts[n]).length
  const most = given(0)
  // ln((n + 2) / (n + 1)) is 0.69, 0.41 and 0.095 for the first, the second and the tenth.
  expect(most / given(1)).toBeGreaterThan(1.6)
  expect(most / given(1)).toBeLessThan(2)
  expect(most / given(9)).toBeGreaterThan(6)
  expect(most / given(9)).toBeLessThan(9)
  expect(wishes.every(({ terms }) => terms.source !== terms.destination)).toBe(true)
})
