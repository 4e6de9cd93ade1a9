/**
 * The configurations of the exhaustive check: what happens in each, over which network, within which bounds, and how it
 * can end. An ending that is missing, or one too many, is as wrong as a broken invariant.
 */
import { inAnyOrder, inOrder, type Network } from "./Network.ts"
import * as Scenario from "./Scenario.ts"
import {
  alice,
  anna,
  asksAgain,
  bob,
  captures,
  expires,
  nobody,
  operator,
  recalls,
  scenario,
  voids
} from "./Scenario.ts"
import { explore, type Report } from "./Search.ts"
import type { Invariant } from "./Invariants.ts"

export interface Configuration {
  readonly name: string
  /** How all its transfers can end, one ending a line. */
  readonly endings: ReadonlyArray<string>
  readonly explore: (watched?: ReadonlySet<Invariant>) => Report
}

const configuration = <Mail extends object>(
  name: string,
  described: Omit<Parameters<typeof scenario>[0], "name">,
  network: Network<Mail>,
  endings: ReadonlyArray<string>
): Configuration => {
  const made = scenario({ name, ...described })
  return { name: `${name}; ${network.name}`, endings, explore: (watched) => explore(made, network, watched) }
}

const always = Number.POSITIVE_INFINITY
const log = inOrder({ replays: 2 })
const chaos = inAnyOrder({ each: 2, repeats: always })

const accounts = [{ id: alice, funds: 100n }, { id: bob }]
const across = { source: alice, destination: bob, amount: 70n }
const within = { source: alice, destination: anna, amount: 70n }

/** Both networks, with the same endings or, over the log, fewer: there a recall never overtakes what it recalls. */
const both = (
  name: string,
  described: Omit<Parameters<typeof scenario>[0], "name">,
  endings: ReadonlyArray<string>,
  overTheLog = endings
): ReadonlyArray<Configuration> => [
  configuration(name, described, log, overTheLog),
  configuration(name, described, chaos, endings)
]

/** A destination that cannot take the money: the hold returns, whatever else happens on the way. */
const refusedBy = (what: string, destination: Scenario.Opening | undefined): ReadonlyArray<Configuration> =>
  both(`to a destination that ${what}`, {
    accounts: [{ id: alice, funds: 100n }, ...destination === undefined ? [] : [destination]],
    wishes: [{ ...across, destination: destination?.id ?? nobody }],
    actors: (transfer) => [asksAgain(transfer, 1), recalls(transfer, 2)]
  }, ["cancelled"])

const rejectedBecause = (what: string, source: Scenario.Opening | undefined): ReadonlyArray<Configuration> =>
  both(`from a source that ${what}`, {
    accounts: [...source === undefined ? [] : [source], { id: bob }],
    wishes: [across],
    actors: (transfer) => [asksAgain(transfer, 2), recalls(transfer, 1)]
  }, ["rejected"])

/** As it is in health: each letter comes once, in whatever order. */
export const inHealth = configuration(
  "across shards in health",
  { accounts, wishes: [across] },
  inAnyOrder({ each: 1, repeats: 0 }),
  ["committed"]
)

export const configurations: ReadonlyArray<Configuration> = [
  inHealth,
  ...both(
    "across shards",
    {
      accounts,
      wishes: [across],
      actors: (transfer) => [asksAgain(transfer, 2), recalls(transfer, 2)]
    },
    ["committed", "cancelled"],
    ["committed"]
  ),
  configuration(
    "across shards, asked again and again",
    { accounts, wishes: [across], actors: (transfer) => [asksAgain(transfer, 1), recalls(transfer, 3)] },
    inAnyOrder({ each: 3, repeats: 6 }),
    ["committed", "cancelled"]
  ),
  configuration(
    "across shards, and any two letters are lost",
    { accounts, wishes: [across], actors: (transfer) => [asksAgain(transfer, 2), recalls(transfer, 3)] },
    inAnyOrder({ each: 2, repeats: 3, losses: 2 }),
    ["committed", "cancelled"]
  ),
  ...both("across shards by hand: captured, voided or expired", {
    accounts,
    wishes: [{ ...across, capture: "manual" }],
    actors: (transfer) => [recalls(transfer, 1), expires(transfer, 1), captures(transfer, null), voids(transfer)]
  }, ["committed", "cancelled"]),
  ...both("across shards by hand: captured in part, or too much, or expired", {
    accounts,
    wishes: [{ ...across, capture: "manual" }],
    actors: (transfer) => [recalls(transfer, 1), expires(transfer, 1), captures(transfer, 30n), captures(transfer, 71n)]
  }, ["committed", "cancelled"]),
  configuration(
    "across shards by hand: everything asked at once",
    {
      accounts,
      wishes: [{ ...across, capture: "manual" }],
      actors: (transfer) => [
        asksAgain(transfer, 1),
        recalls(transfer, 1),
        expires(transfer, 1),
        captures(transfer, 30n),
        captures(transfer, null),
        captures(transfer, 71n),
        voids(transfer)
      ]
    },
    inAnyOrder({ each: 2, repeats: 2 }),
    ["committed", "cancelled"]
  ),
  ...both("within a shard", {
    accounts: [{ id: alice, funds: 100n }, { id: anna }],
    wishes: [within],
    actors: (transfer) => [asksAgain(transfer, 2)]
  }, ["committed"]),
  ...both("within a shard by hand: captured in part or in whole, voided or expired", {
    accounts: [{ id: alice, funds: 100n }, { id: anna }],
    wishes: [{ ...within, capture: "manual" }],
    actors: (transfer) => [
      asksAgain(transfer, 1),
      expires(transfer, 1),
      captures(transfer, 30n),
      captures(transfer, null),
      voids(transfer)
    ]
  }, ["committed", "cancelled"]),
  ...both("within a shard to a frozen destination", {
    accounts: [{ id: alice, funds: 100n }, { id: anna, more: { status: "frozen" } }],
    wishes: [within],
    actors: (transfer) => [asksAgain(transfer, 2)]
  }, ["rejected"]),
  ...both("within a shard by hand, to a destination that is frozen or closed meanwhile", {
    accounts: [{ id: alice, funds: 100n }, { id: anna }],
    wishes: [{ ...within, capture: "manual" }],
    actors: (transfer) => [expires(transfer, 1), captures(transfer, 30n)],
    others: [operator(anna, "frozen"), operator(anna, "closed"), operator(anna, "open")]
  }, ["committed", "cancelled"]),
  ...refusedBy("is closed", { id: bob, more: { status: "closed" } }),
  ...refusedBy("is frozen", { id: bob, more: { status: "frozen" } }),
  ...refusedBy("does not exist", undefined),
  ...refusedBy("holds another currency", { id: bob, currency: Scenario.USD }),
  ...refusedBy("is nearly full", { id: bob, funds: 40n, more: { ceiling: 100n } }),
  ...both("by hand, to a destination that is closed", {
    accounts: [{ id: alice, funds: 100n }, { id: bob, more: { status: "closed" } }],
    wishes: [{ ...across, capture: "manual" }],
    actors: (transfer) => [recalls(transfer, 1), expires(transfer, 1), captures(transfer, 30n)]
  }, ["cancelled"]),
  ...rejectedBecause("has too little", { id: alice, funds: 69n }),
  ...rejectedBecause("is frozen", { id: alice, funds: 100n, more: { status: "frozen" } }),
  ...rejectedBecause("does not exist", undefined),
  ...rejectedBecause("holds another currency", { id: alice, funds: 100n, currency: Scenario.USD }),
  ...both("between accounts that are frozen, closed and opened again meanwhile", {
    accounts,
    wishes: [across],
    actors: (transfer) => [asksAgain(transfer, 1), recalls(transfer, 1)],
    others: [operator(bob, "frozen"), operator(bob, "open"), operator(alice, "closed")]
  }, ["committed", "cancelled", "rejected"]),
  ...both("two from one account that has enough for one", {
    accounts,
    wishes: [across, { ...across, amount: 50n }],
    actors: (transfer) => [recalls(transfer, 1)]
  }, [
    "committed rejected",
    "cancelled rejected",
    "cancelled committed",
    "cancelled cancelled",
    "rejected committed",
    "rejected cancelled",
    // The first is cancelled before the second asks, or the other way round: then the second finds the money back.
    "committed cancelled"
  ], ["committed rejected"]),
  ...both(
    "two from one account that has enough for both",
    {
      accounts,
      wishes: [{ ...across, amount: 60n }, { ...across, amount: 40n }],
      actors: (transfer) => [recalls(transfer, 1)]
    },
    ["committed committed", "committed cancelled", "cancelled committed", "cancelled cancelled"],
    [
      "committed committed"
    ]
  ),
  ...both(
    "one each way, the second of the money of the first",
    {
      accounts,
      wishes: [across, { source: bob, destination: alice, amount: 60n }],
      actors: (transfer) => [recalls(transfer, 1)]
    },
    ["committed committed", "committed rejected", "committed cancelled", "cancelled rejected"],
    [
      "committed committed",
      "committed rejected"
    ]
  ),
  ...both(
    "one each way, both of their own money",
    {
      accounts: [{ id: alice, funds: 100n }, { id: bob, funds: 100n }],
      wishes: [across, { source: bob, destination: alice, amount: 60n }],
      actors: (transfer) => [recalls(transfer, 1)]
    },
    ["committed committed", "committed cancelled", "cancelled committed", "cancelled cancelled"],
    [
      "committed committed"
    ]
  ),
  ...both(
    "two to one account that has room for one",
    {
      accounts: [{ id: alice, funds: 200n }, { id: bob, more: { ceiling: 100n } }],
      wishes: [across, { ...across, amount: 50n }],
      actors: (transfer) => [recalls(transfer, 1)]
    },
    ["committed cancelled", "cancelled committed", "cancelled cancelled"],
    ["committed cancelled"]
  )
]

/** The first configuration whose name begins so. */
export const configurationOf = (name: string): Configuration => {
  const found = configurations.find((one) => one.name.startsWith(name))
  if (found === undefined) throw new Error(`there is no configuration "${name}"`)
  return found
}

/** What no protocol can mend, and this one must notice: a shard that lost what it once said. */
export const destinationRestored = configuration(
  "across shards, and the destination's shard is restored from an old backup",
  { accounts, wishes: [across], actors: (transfer) => [recalls(transfer, 2)], restored: 1 },
  chaos,
  []
)
export const sourceRestored = configuration(
  "across shards, and the source's shard is restored from an old backup",
  { accounts, wishes: [across], actors: (transfer) => [recalls(transfer, 2)], restored: 0 },
  chaos,
  []
)
