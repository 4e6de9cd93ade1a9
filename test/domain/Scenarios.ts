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
  asksForAnswer,
  bill,
  bob,
  captures,
  closes,
  expires,
  freezes,
  nobody,
  recalls,
  scenario,
  unfreezes,
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

/** Bob gives Alice her money back. */
const back = { source: bob, destination: alice, amount: 70n, reverses: 1 }
const settled = { ...across, settled: true }
const bothFunded = [{ id: alice, funds: 100n }, { id: bob, funds: 100n }]

const reversals: ReadonlyArray<Configuration> = [
  ...both("one across shards and its reversal, perhaps asked before it", {
    accounts,
    wishes: [across, back],
    actors: (transfer) => [recalls(transfer, 1)]
  }, [
    "committed committed",
    "committed rejected",
    "committed cancelled",
    "cancelled rejected"
  ], ["committed committed", "committed rejected"]),
  ...both("two reversals of one, for more than it moved", {
    accounts: bothFunded,
    wishes: [settled, { ...back, amount: 40n }, { ...back, amount: 50n }],
    actors: (transfer) => [recalls(transfer, 1)]
  }, [
    "committed committed rejected",
    "committed rejected committed",
    "committed cancelled rejected",
    "committed rejected cancelled",
    // What the first took is free again before the second asks.
    "committed cancelled committed",
    "committed committed cancelled",
    "committed cancelled cancelled"
  ], ["committed committed rejected"]),
  ...both("two reversals of one, in parts that fit", {
    accounts: bothFunded,
    wishes: [settled, { ...back, amount: 30n }, { ...back, amount: 40n }]
  }, ["committed committed committed"]),
  ...both("a reversal that its destination refuses while it is frozen, and one more", {
    accounts: [{ id: alice, funds: 100n }, { id: bob, funds: 100n }],
    wishes: [settled, back, back],
    others: [freezes(alice), unfreezes(alice)]
  }, [
    "committed committed rejected",
    "committed rejected committed",
    "committed cancelled rejected",
    "committed rejected cancelled",
    "committed cancelled committed",
    "committed committed cancelled",
    "committed cancelled cancelled"
  ], [
    "committed committed rejected",
    "committed cancelled rejected",
    "committed cancelled committed",
    "committed cancelled cancelled"
  ]),
  ...both("a reversal of one that was refused", {
    accounts: [{ id: alice, funds: 100n }, { id: bob, funds: 100n, more: { ceiling: 150n } }],
    wishes: [across, back],
    actors: (transfer) => [recalls(transfer, 1)]
  }, ["cancelled rejected"]),
  ...both("reversals by others, of others and to others", {
    accounts: [...bothFunded, { id: anna, funds: 100n }, { id: bill, funds: 100n }],
    wishes: [
      settled,
      { ...back, source: bill },
      { ...back, destination: anna },
      { ...across, reverses: 1 },
      { ...within, reverses: 1 }
    ]
  }, ["committed rejected rejected rejected rejected"]),
  ...both("a reversal of what was captured in part", {
    accounts: bothFunded,
    wishes: [{ ...across, capture: "manual" }, { ...back, amount: 31n }, { ...back, amount: 30n }],
    actors: (transfer) => transfer.source === alice ? [expires(transfer, 1), captures(transfer, 30n)] : []
  }, [
    "committed rejected committed",
    "committed rejected rejected",
    "cancelled rejected rejected"
  ]),
  ...both("within a shard, two reversals of one, for more than it moved", {
    accounts: [{ id: alice, funds: 100n }, { id: anna, funds: 100n }],
    wishes: [
      within,
      { source: anna, destination: alice, amount: 40n, reverses: 1 },
      { source: anna, destination: alice, amount: 50n, reverses: 1 }
    ],
    actors: (transfer) => [asksAgain(transfer, 1)]
  }, [
    "committed committed rejected",
    "committed rejected committed",
    "committed rejected rejected"
  ], ["committed committed rejected"]),
  ...both(
    "within a shard, a reversal and its own reversal",
    {
      accounts: [{ id: alice, funds: 100n }, { id: anna }],
      wishes: [
        within,
        { source: anna, destination: alice, amount: 70n, reverses: 1 },
        { ...within, reverses: 2 }
      ]
    },
    ["committed committed committed", "committed committed rejected", "committed rejected rejected"],
    [
      "committed committed committed"
    ]
  )
]

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
    "across shards by hand, and any letter is lost",
    {
      accounts,
      wishes: [{ ...across, capture: "manual" }],
      actors: (transfer) => [
        asksAgain(transfer, 1),
        recalls(transfer, 1),
        expires(transfer, 2),
        captures(transfer, 30n),
        voids(transfer),
        asksForAnswer(transfer, "capture", 1),
        asksForAnswer(transfer, "void", 1)
      ]
    },
    inAnyOrder({ each: 2, repeats: 1, losses: 1 }),
    ["committed", "cancelled"]
  ),
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
  ...both("within a shard by hand: voided twice, or expired", {
    accounts: [{ id: alice, funds: 100n }, { id: anna }],
    wishes: [{ ...within, capture: "manual" }],
    actors: (transfer) => [expires(transfer, 1), voids(transfer), voids(transfer, " again")]
  }, ["cancelled"]),
  ...both("within a shard to a frozen destination", {
    accounts: [{ id: alice, funds: 100n }, { id: anna, more: { status: "frozen" } }],
    wishes: [within],
    actors: (transfer) => [asksAgain(transfer, 2)]
  }, ["rejected"]),
  ...both("within a shard by hand, to a destination that is frozen or closed meanwhile", {
    accounts: [{ id: alice, funds: 100n }, { id: anna }],
    wishes: [{ ...within, capture: "manual" }],
    actors: (transfer) => [expires(transfer, 1), captures(transfer, 30n)],
    others: [freezes(anna), unfreezes(anna), closes(anna)]
  }, ["committed", "cancelled"]),
  ...refusedBy("is closed", { id: bob, more: { status: "closed" } }),
  ...refusedBy("is frozen", { id: bob, more: { status: "frozen" } }),
  ...refusedBy("does not exist", undefined),
  ...refusedBy("holds another currency", { id: bob, currency: Scenario.USD }),
  ...refusedBy("is nearly full", { id: bob, funds: 40n, more: { ceiling: 100n } }),
  ...both("by hand, to a destination that is closed", {
    accounts: [{ id: alice, funds: 100n }, { id: bob, more: { status: "closed" } }],
    wishes: [{ ...across, capture: "manual" }],
    actors: (transfer) => [expires(transfer, 1), captures(transfer, 30n), captures(transfer, null), voids(transfer)]
  }, ["cancelled"]),
  ...both("by hand, from a source that has too little", {
    accounts: [{ id: alice, funds: 69n }, { id: bob }],
    wishes: [{ ...across, capture: "manual" }],
    actors: (transfer) => [captures(transfer, 30n), voids(transfer)]
  }, ["rejected"]),
  ...rejectedBecause("has too little", { id: alice, funds: 69n }),
  ...rejectedBecause("is frozen", { id: alice, funds: 100n, more: { status: "frozen" } }),
  ...rejectedBecause("does not exist", undefined),
  ...rejectedBecause("holds another currency", { id: alice, funds: 100n, currency: Scenario.USD }),
  ...both(
    "between accounts that are frozen and unfrozen meanwhile",
    {
      accounts,
      wishes: [across],
      actors: (transfer) => [recalls(transfer, 1)],
      others: [freezes(bob), unfreezes(bob), freezes(alice)]
    },
    ["committed", "cancelled", "rejected"],
    ["committed", "cancelled"]
  ),
  ...both("to an account that is closed while the money is on its way", {
    accounts,
    wishes: [across],
    actors: (transfer) => [recalls(transfer, 1)],
    others: [closes(bob), closes(bob, " again"), freezes(bob)]
  }, ["committed", "cancelled"]),
  ...both(
    "from an overdrawn account that is closed while its money is held",
    {
      accounts: [{ id: alice, more: { floor: -100n } }, { id: bob }],
      wishes: [across],
      actors: (transfer) => [recalls(transfer, 1)],
      others: [closes(alice)]
    },
    ["committed", "cancelled", "rejected"],
    ["committed"]
  ),
  ...both(
    "within a shard from an account that is frozen twice, unfrozen twice and closed",
    {
      accounts: [{ id: alice, funds: 70n }, { id: anna }],
      wishes: [within],
      others: [freezes(alice), freezes(alice, " again"), unfreezes(alice), unfreezes(alice, " again"), closes(alice)]
    },
    ["committed", "rejected"],
    ["committed"]
  ),
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
  ),
  ...reversals
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
