/**
 * Mutants of the protocol: each lacks one guard, and the exhaustive check must find each, by the invariant that is named.
 * A check that never failed is not to be trusted.
 *
 * `decide` is replaced under the real `Batch`: a mutant wraps the real one, lies in the view that it is shown, or changes
 * what it decided. The search watches only the invariant that is named, so nothing else can find the mutant for it.
 */
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
// Mocks are hoisted only where they come from vitest itself.
import { vi } from "vitest"
import type { Account } from "#domain/account/Account.ts"
import type { Change, Decision, ShardView } from "#domain/ledger/Decision.ts"
import type { Instruction } from "#domain/ledger/Instruction.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import type * as Protocol from "#domain/ledger/Protocol.ts"
import { Currency } from "#domain/money/Currency.ts"
import type * as Transfers from "#domain/transfer/Transfer.ts"
import type { Transfer, Verdict } from "#domain/transfer/Transfer.ts"
import { type Terms, termsOf, type TransferEvent } from "#domain/transfer/TransferEvent.ts"
import type { TransferId } from "#domain/transfer/TransferId.ts"
import { type Invariant, invariants } from "./Invariants.ts"
import { type Configuration, configurationOf, destinationRestored, inHealth, sourceRestored } from "./Scenarios.ts"

type Decide = typeof Protocol.decide
type Mutant = (decide: Decide) => Decide

const standing = vi.hoisted((): { mutant: Mutant; forgives: boolean } => ({
  mutant: (decide) => decide,
  /** Does what failed no longer count? */
  forgives: true
}))

vi.mock("#domain/ledger/Protocol.ts", async (original) => {
  const real = await original<typeof Protocol>()
  return { ...real, decide: ((view, message) => standing.mutant(real.decide)(view, message)) satisfies Decide }
})

vi.mock("#domain/transfer/Transfer.ts", async (original) => {
  const real = await original<typeof Transfers>()
  const failed = new Set(real.failed)
  failed.has = (status) => standing.forgives && real.failed.has(status)
  return { ...real, failed }
})

const asItWas = () => {
  standing.mutant = (decide) => decide
  standing.forgives = true
}

afterEach(asItWas)

// how to lie ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Lies {
  readonly transfer?: (transfer: Transfer) => Transfer
  readonly verdict?: (verdict: Verdict) => Verdict | undefined
  readonly account?: (account: Account) => Account
  readonly instruction?: (instruction: Instruction) => Instruction
  readonly reversed?: (reversed: bigint) => bigint
}

const lying = (view: ShardView, lies: Lies): ShardView => ({
  shard: view.shard,
  isHome: view.isHome,
  instruction: (id) => {
    const instruction = view.instruction(id)
    return instruction === undefined ? undefined : lies.instruction?.(instruction) ?? instruction
  },
  reversed: (id) => lies.reversed?.(view.reversed(id)) ?? view.reversed(id),
  transfer: (id) => {
    const transfer = view.transfer(id)
    return transfer === undefined ? undefined : lies.transfer?.(transfer) ?? transfer
  },
  verdict: (id) => {
    const verdict = view.verdict(id)
    return verdict === undefined || lies.verdict === undefined ? verdict : lies.verdict(verdict)
  },
  account: (id) => {
    const account = view.account(id)
    return account === undefined ? undefined : lies.account?.(account) ?? account
  }
})

type EventType = LedgerEvent["type"]

/** Decides on some events with other eyes. */
const seeing = (types: ReadonlyArray<EventType>, lies: Lies): Mutant => (decide) => (view, message) =>
  decide(types.includes(message.event.type) ? lying(view, lies) : view, message)

/** Decides as it should, and then changes what was decided on some events. */
const changing = (
  types: ReadonlyArray<EventType>,
  change: (change: Change, view: ShardView) => ReadonlyArray<Change>
): Mutant =>
(decide) =>
(view, message) => {
  const decision = decide(view, message)
  return types.includes(message.event.type)
    ? Result.map(decision, (changes) => changes.flatMap((one) => change(one, view)))
    : decision
}

const nothing: Decision = Result.succeed([])

const without = (tag: Change["_tag"], what: (change: Change) => boolean = () => true) => (change: Change) =>
  change._tag === tag && what(change) ? [] : [change]

/** Takes an event up in a state where it comes too late, as if the transfer were still in an earlier one. */
const obeying = (event: TransferEvent["type"], when: Transfer["status"], as: Transfer["status"]): Mutant =>
  seeing([event], { transfer: (transfer) => transfer.status === when ? { ...transfer, status: as } : transfer })

/** Decides as it should, but what failed counts as if it had not; that is said in one place, and not by a decision. */
const unforgiving: Mutant = (decide) => decide

/** Reverses as if the transfer that is to be reversed had another verdict. */
const reversing = (
  lie: (verdict: Verdict | undefined, terms: Terms, reverses: TransferId) => Verdict | undefined
): Mutant =>
(decide) =>
(view, message) => {
  const { event } = message
  const reverses = event.type === "transfer.requested" ? event.reverses : undefined
  return event.type !== "transfer.requested" || reverses === undefined
    ? decide(view, message)
    : decide({ ...lying(view, {}), verdict: (id) => lie(view.verdict(id), event, reverses) }, message)
}

// the mutants ────────────────────────────────────────────────────────────────────────────────────────────────────────

const across = configurationOf("across shards; in any order")
const again = configurationOf("across shards; in order")
const lossy = configurationOf("across shards, and any two letters are lost")
const byHand = configurationOf("across shards by hand: captured, voided")
const inPart = configurationOf("across shards by hand: captured in part")
const within = configurationOf("within a shard; in any order")
const withinByHand = configurationOf("within a shard by hand: captured")
const competing = configurationOf("two from one account that has enough for one; in any order")
const frozenMeanwhile = configurationOf("between accounts that are frozen and unfrozen meanwhile; in any order")
const closedMeanwhile = configurationOf("to an account that is closed while the money is on its way; in any order")
const reversedTwice = configurationOf("two reversals of one, for more than it moved; in any order")

const mutants: ReadonlyArray<readonly [name: string, Configuration, Invariant, Mutant]> = [
  [
    "a recall is answered REFUSED, but the verdict is not kept",
    across,
    "committed means CREDITED, and what ended otherwise was never credited",
    changing(["transfer.recalled"], without("Ruled"))
  ],
  [
    "a recall overwrites the verdict that was given",
    across,
    "a verdict is final",
    seeing(["transfer.recalled"], { verdict: () => undefined })
  ],
  [
    "an authorization's time ends what is on its way already",
    byHand,
    "a hold is released only after REFUSED, or when the destination was never asked",
    obeying("transfer.expiry_due", "held", "authorized")
  ],
  [
    "a client's void ends what is on its way already",
    byHand,
    "committed means CREDITED, and what ended otherwise was never credited",
    obeying("transfer.void_requested", "held", "authorized")
  ],
  [
    "a destination credits, but does not keep its verdict",
    across,
    "no message is one that cannot be",
    changing(["transfer.held"], without("Ruled"))
  ],
  [
    "a destination credits whatever arrives, verdict or not",
    again,
    "money is neither created nor destroyed",
    seeing(["transfer.held"], { verdict: () => undefined })
  ],
  [
    "a destination credits what it has refused",
    across,
    "a verdict is final",
    seeing(["transfer.held"], { verdict: (verdict) => verdict.ruling === "REFUSED" ? undefined : verdict })
  ],
  [
    "a destination that refused says CREDITED when it is asked again",
    across,
    "committed means CREDITED, and what ended otherwise was never credited",
    seeing(["transfer.held"], { verdict: (verdict) => ({ ...verdict, reason: null }) })
  ],
  [
    "a transfer is committed for every answer, not once",
    again,
    "a step is posted once",
    obeying("transfer.credited", "committed", "held")
  ],
  [
    "a transfer is committed without waiting for the destination",
    inHealth,
    "clearing accounts together are what is in flight",
    changing(
      ["transfer.requested"],
      (change, view) =>
        change._tag !== "Moved" || change.transfer.status !== "held" ? [change] : [
          { _tag: "Held", record: { ...holdOf(change.transfer), change: "settled" } },
          {
            _tag: "Posted",
            posting: {
              transfer: change.transfer.terms.transfer,
              step: "commit",
              debit: change.transfer.terms.source,
              credit: `clearing:${view.shard}:to:${1 - view.shard}:EUR`,
              amount: change.transfer.moving,
              currency: change.transfer.terms.currency
            }
          },
          { _tag: "Moved", transfer: { ...change.transfer, status: "committed" } }
        ]
    )
  ],
  [
    "a request that comes again is taken up again",
    again,
    "a transfer only goes forward, and its terms never change",
    obeying("transfer.requested", "committed", "requested")
  ],
  [
    "a request that comes again holds the money again",
    again,
    "what may still be taken is held",
    obeying("transfer.requested", "held", "requested")
  ],
  [
    "a capture that comes again is obeyed again",
    inPart,
    "what may still be taken is held",
    seeing(["transfer.capture_requested"], {
      transfer: (transfer) => transfer.status === "held" ? { ...transfer, status: "authorized" } : transfer,
      instruction: (instruction) => ({ ...instruction, status: "open", reason: null })
    })
  ],
  [
    "a capture after the void is obeyed",
    byHand,
    "a transfer only goes forward, and its terms never change",
    obeying("transfer.capture_requested", "cancelled", "authorized")
  ],
  [
    "more is captured than was authorized",
    inPart,
    "no more moves than was asked for",
    (decide) => (view, message) => {
      const { event } = message
      if (event.type !== "transfer.capture_requested" || event.captured === null) return decide(view, message)
      const captured = event.captured
      return Result.map(
        decide(
          lying(view, { transfer: (transfer) => ({ ...transfer, terms: { ...transfer.terms, amount: captured } }) }),
          {
            ...message,
            event
          }
        ),
        (changes) =>
          changes.map((change) =>
            change._tag === "Moved"
              ? { ...change, transfer: { ...change.transfer, terms: termsOf(event) } }
              : change
          )
      )
    }
  ],
  [
    "of a capture in part, the rest stays held",
    inPart,
    "what may still be taken is held",
    changing(
      ["transfer.capture_requested"],
      without("Held", (change) => change._tag === "Held" && change.record.change === "released")
    )
  ],
  [
    "of a capture in part, the destination is asked for the whole",
    inPart,
    "no more moves than was asked for",
    (decide) => (view, message) =>
      Result.map(
        decide(view, message),
        (changes) =>
          changes.map((change) =>
            message.event.type === "transfer.capture_requested" && change._tag === "Announced" &&
              change.event.type === "transfer.held"
              ? { ...change, event: { ...change.event, amount: message.event.amount } }
              : change
          )
      )
  ],
  [
    "a transfer is cancelled and its hold forgotten",
    across,
    "nothing is held at rest",
    changing(["transfer.refused"], without("Held"))
  ],
  [
    "a transfer is committed and its hold forgotten",
    inHealth,
    "nothing is held at rest",
    changing(["transfer.credited"], without("Held"))
  ],
  [
    "within a shard, the hold of an authorization is forgotten",
    withinByHand,
    "what may still be taken is held",
    changing(
      ["transfer.capture_requested"],
      without("Held", (change) => change._tag === "Held" && change.record.change === "settled")
    )
  ],
  [
    "within a shard, no verdict is given",
    within,
    "committed means CREDITED, and what ended otherwise was never credited",
    changing(["transfer.requested"], without("Ruled"))
  ],
  [
    "a commit forgets its journal",
    inHealth,
    "nothing is in flight at rest",
    changing(["transfer.credited"], without("Posted"))
  ],
  [
    "a commit is told to nobody",
    inHealth,
    "every journal has its event, and no event is told without what it says",
    changing(["transfer.credited"], without("Announced"))
  ],
  [
    "a refusal is not heard",
    across,
    "every transfer ends",
    (decide) => (view, message) => message.event.type === "transfer.refused" ? nothing : decide(view, message)
  ],
  [
    "a credit is not heard",
    inHealth,
    "every transfer ends",
    (decide) => (view, message) => message.event.type === "transfer.credited" ? nothing : decide(view, message)
  ],
  [
    "whoever asks again gets no answer",
    lossy,
    "every transfer ends",
    (decide) => (view, message) =>
      (message.event.type === "transfer.held" || message.event.type === "transfer.recalled") &&
        view.verdict(message.event.transfer) !== undefined
        ? nothing
        : decide(view, message)
  ],
  [
    "a source answers the answer, and so on",
    inHealth,
    "from everywhere, plain delivery comes to rest",
    (decide) => (view, message) => {
      const { event } = message
      return event.type === "transfer.credited" && view.transfer(event.transfer)?.status === "committed"
        ? Result.succeed([{ _tag: "Announced", event: { ...event, type: "transfer.held" } }])
        : Result.map(decide(view, message), (changes) =>
          event.type === "transfer.credited"
            ? changes.concat({ _tag: "Announced", event: { ...event, type: "transfer.held" } })
            : changes)
    }
  ],
  [
    "funds are not looked at",
    competing,
    "no account crosses its floor or its ceiling",
    seeing(["transfer.requested"], { account: (account) => ({ ...account, floor: null }) })
  ],
  [
    "holds are not counted against the funds",
    competing,
    "no account crosses its floor or its ceiling",
    seeing(["transfer.requested"], {
      account: (account) => ({ ...account, balance: { ...account.balance, held: 0n } })
    })
  ],
  [
    "a ceiling is not looked at",
    configurationOf("to a destination that is nearly full"),
    "no account crosses its floor or its ceiling",
    seeing(["transfer.held"], { account: (account) => ({ ...account, ceiling: null }) })
  ],
  [
    "a closed account is credited",
    configurationOf("to a destination that is closed"),
    "nothing is credited to an account that cannot take it",
    seeing(["transfer.held"], { account: (account) => ({ ...account, status: "open" }) })
  ],
  [
    "an account is credited in another currency",
    configurationOf("to a destination that holds another currency"),
    "a journal is one DEBIT and one CREDIT of the same amount, in one currency",
    seeing(["transfer.held"], { account: (account) => ({ ...account, currency: Currency.make("EUR") }) })
  ],
  [
    "the credit is taken from the source itself, which lives on another shard",
    inHealth,
    "the worker changes only what it has read",
    (decide) => (view, message) => {
      const { event } = message
      return event.type !== "transfer.held" ?
        decide(view, message) :
        Result.map(
          decide(view, message),
          (changes) =>
            changes.map((change) =>
              change._tag === "Posted" ? { ...change, posting: { ...change.posting, debit: event.source } } : change
            )
        )
    }
  ],
  [
    "a decision scribbles on what it was shown",
    inHealth,
    "a decision that was not committed changed nothing",
    (decide) => (view, message) => {
      if (message.event.type === "transfer.credited") {
        const transfer = view.transfer(message.event.transfer)
        if (transfer?.status === "held") Object.assign(transfer, { moving: transfer.moving - 1n })
      }
      return decide(view, message)
    }
  ],
  [
    "of reversals, the sum is not kept",
    reversedTwice,
    "never more comes back than went",
    seeing(["transfer.requested"], { reversed: () => 0n })
  ],
  [
    "what was refused is reversed",
    configurationOf("a reversal of one that was refused"),
    "never more comes back than went",
    seeing(["transfer.requested"], { verdict: (verdict) => ({ ...verdict, ruling: "CREDITED", reason: null }) })
  ],
  [
    "what was never credited is reversed",
    configurationOf("a reversal of one that was refused"),
    "never more comes back than went",
    reversing((verdict, { amount, currency, destination, source }, transfer) =>
      verdict ?? {
        terms: { transfer, source: destination, destination: source, amount, currency },
        from: 0,
        ruling: "CREDITED",
        reason: null
      }
    )
  ],
  [
    "another account's transfer is reversed",
    configurationOf("reversals by others"),
    "a reversal goes the way of its transfer back",
    reversing((verdict, { destination, source }) =>
      verdict === undefined ? undefined : {
        ...verdict,
        terms: { ...verdict.terms, source: destination, destination: source }
      }
    )
  ],
  [
    "what a failed reversal took stays taken",
    reversedTwice,
    "what a failed reversal took is free again",
    unforgiving
  ],
  [
    "an instruction that comes again is answered again",
    configurationOf("within a shard from an account that is frozen twice"),
    "an instruction is answered once, and its answer never changes",
    seeing(["account.freeze_requested"], {
      instruction: (instruction) => ({ ...instruction, status: "open", reason: null })
    })
  ],
  [
    "an instruction is not heard",
    frozenMeanwhile,
    "every instruction that was delivered is answered",
    (decide) => (view, message) => message.event.type === "account.freeze_requested" ? nothing : decide(view, message)
  ],
  [
    "a void is said to be done, and is not",
    byHand,
    "a capture or void is done if and only if it decided the transfer",
    changing(["transfer.void_requested"], (change) => change._tag === "Answered" ? [change] : [])
  ],
  [
    "a capture is done, and said to be refused",
    byHand,
    "a capture or void is done if and only if it decided the transfer",
    changing(
      ["transfer.capture_requested"],
      (change) =>
        change._tag === "Answered" ? [{ ...change, refusal: { code: "not_authorized", detail: "" } }] : [change]
    )
  ],
  [
    "a void is done, and gets no answer",
    byHand,
    "a capture or void is done if and only if it decided the transfer",
    changing(["transfer.void_requested"], without("Answered"))
  ],
  [
    "an account is said to be frozen, and is not",
    frozenMeanwhile,
    "an account's status changes only by an instruction that was done, with its fact",
    changing(["account.freeze_requested"], without("StatusChanged"))
  ],
  [
    "an account is frozen, and whoever asked gets no answer",
    frozenMeanwhile,
    "an account's status changes only by an instruction that was done, with its fact",
    changing(["account.freeze_requested"], without("Answered"))
  ],
  [
    "an account is closed, and nobody is told",
    closedMeanwhile,
    "an account's status changes only by an instruction that was done, with its fact",
    changing(["account.close_requested"], without("Announced"))
  ],
  [
    "a frozen account is debited for what is new",
    frozenMeanwhile,
    "nothing new leaves an account that is not open",
    seeing(["transfer.requested"], { account: (account) => ({ ...account, status: "open" }) })
  ],
  [
    "an account is closed with money in it",
    closedMeanwhile,
    "a closed account holds nothing, and nothing ever reaches or leaves it",
    seeing(["account.close_requested"], {
      account: (account) => ({ ...account, balance: { ...account.balance, posted: 0n } })
    })
  ],
  [
    "an account is closed with money held on it",
    configurationOf("from an overdrawn account that is closed"),
    "a closed account holds nothing, and nothing ever reaches or leaves it",
    seeing(["account.close_requested"], {
      account: (account) => ({ ...account, balance: { ...account.balance, held: 0n } })
    })
  ],
  [
    "money reaches an account after it was closed",
    closedMeanwhile,
    "a closed account holds nothing, and nothing ever reaches or leaves it",
    seeing(["transfer.held"], { account: (account) => ({ ...account, status: "open" }) })
  ],
  [
    "a closed account is opened again",
    configurationOf("within a shard by hand, to a destination that is frozen or closed meanwhile"),
    "a closed account holds nothing, and nothing ever reaches or leaves it",
    seeing(["account.unfreeze_requested"], {
      account: (account) => account.status === "closed" ? { ...account, status: "frozen" } : account
    })
  ],
  [
    "a refusal is obeyed after the commit, when the destination forgot that it had credited",
    destinationRestored,
    "held is the sum of the open holds, and never negative",
    obeying("transfer.refused", "committed", "held")
  ],
  [
    "a credit is obeyed after the release, when the destination forgot that it had refused",
    destinationRestored,
    "held is the sum of the open holds, and never negative",
    obeying("transfer.credited", "cancelled", "held")
  ]
]

const holdOf = ({ moving, terms }: Transfer) => ({
  transfer: terms.transfer,
  number: 2,
  account: terms.source,
  amount: moving
})

describe("the exhaustive check", () => {
  it.each(mutants)("finds it when %s", (_, configuration, invariant, mutant) => {
    standing.mutant = mutant
    standing.forgives = mutant !== unforgiving
    const { found } = configuration.explore(new Set([invariant]))
    assert.isNotEmpty(found, "nothing was found")
    for (const one of found) assert.strictEqual(one.invariant, invariant)
  }, 30_000)

  it("has a mutant for every invariant, but for the arithmetic of entries, which no decision can get wrong", () => {
    // A mutant decides what is posted, never how: a wrong sum has to be planted (Invariants.test.ts).
    const planted: ReadonlySet<Invariant> = new Set<Invariant>([
      "a shard sums to zero per currency",
      "posted is the sum of the entries",
      "entries are numbered 1..n, each with the balance after it"
    ])
    const named = new Set(mutants.map(([, , invariant]) => invariant))
    assert.deepStrictEqual(invariants.filter((invariant) => !planted.has(invariant) && !named.has(invariant)), [])
  })

  it("finds it when a shard passes over a transfer that it forgot", () => {
    standing.mutant = (decide) => (view, message) =>
      message.event.type === "transfer.credited" && view.transfer(message.event.transfer) === undefined
        ? nothing
        : decide(view, message)
    const { stops } = sourceRestored.explore()
    asItWas()
    assert.isBelow(stops, sourceRestored.explore().stops)
  })

  it("finds nothing where nothing was taken away, by the same door", () => {
    const tried = new Set(mutants.map(([, configuration]) => configuration))
    for (const configuration of tried) {
      assert.isEmpty(configuration.explore().found, configuration.name)
    }
  }, 60_000)
})
