/**
 * A checker that never failed is not trusted. Each case takes a copy of healthy books, damages it as only a superuser with
 * the triggers off can, and says exactly which checks find it: no fewer, and no more.
 */
import type { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { decideBreaks, type StandingBreak } from "#domain/reconciliation/Breaks.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { type Books, fill, type TransferName } from "./Books.ts"
import { check } from "./Checking.ts"

class HealthyBooks extends Context.Service<HealthyBooks, {
  readonly books: Books
  readonly shards: TestShards
}>()("counterpoise/test/HealthyBooks") {
  static readonly layer = Layer.effect(
    HealthyBooks,
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      return { books: yield* fill(shards), shards }
    })
  )
}

/** What a case may name: accounts, transfers and instructions of the books. */
interface Names extends Omit<Books, "transfer"> {
  readonly id: (name: TransferName) => string
}

interface Case {
  readonly name: string
  /** The statements, by the shard that they are run on. */
  readonly plant: (names: Names) => Partial<Record<ShardId, ReadonlyArray<string>>>
  readonly found: ReadonlyArray<string>
}

/** What a transfer within one shard leaves behind in good order, whether or not its source has the money. */
const moved = (id: string, from: string, to: string, amount: number): ReadonlyArray<string> => [
  ...requested(id, from, to, amount, "committed"),
  `INSERT INTO verdict (transfer_id, ruling, source, destination, amount, currency, from_shard)
   SELECT '${id}', 'CREDITED', '${from}', '${to}', ${amount}, 'EUR', shard FROM shard_identity`,
  ...announced("transfer.committed", id, from, to, amount),
  ...posted(id, "direct", from, to, amount)
]

const requested = (id: string, from: string, to: string, amount: number, status: string): ReadonlyArray<string> => [
  `INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, status, client)
   VALUES ('${id}', '${from}', '${to}', ${amount}, 'EUR', 'automatic', ${amount}, '${status}', 'shop')`,
  `INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
   VALUES ('shop', 'transfer:${from}', '${id}', sha256(''), '${id}')`,
  ...announced("transfer.requested", id, from, to, amount)
]

const announced = (type: string, id: string, from: string, to: string, amount: number | string) => [
  `INSERT INTO event (type, subject, key, partition, payload)
   VALUES ('${type}', '${id}', '${from}', 0, json_build_object('type', '${type}', 'transfer', '${id}',
     'source', '${from}', 'destination', '${to}', 'amount', '${amount}', 'currency', 'EUR'))`
]

const posted = (id: string, step: string, debit: string, credit: string, amount: number) => [
  `UPDATE balance SET posted = posted - ${amount}, sequence = sequence + 1 WHERE account_id = '${debit}'`,
  `UPDATE balance SET posted = posted + ${amount}, sequence = sequence + 1 WHERE account_id = '${credit}'`,
  `INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
     credit_account, credit_sequence, credit_posted)
   SELECT '${id}', '${step}', ${amount}, 'EUR', d.account_id, d.sequence, d.posted, c.account_id, c.sequence, c.posted
   FROM balance AS d, balance AS c WHERE d.account_id = '${debit}' AND c.account_id = '${credit}'`
]

/** Says of a transfer, in its row and in its request, that it reverses another. */
const reversing = (id: string, reverses: string) => [
  `UPDATE transfer SET reverses = '${reverses}' WHERE transfer_id = '${id}'`,
  `UPDATE event SET payload = jsonb_set(payload::jsonb, '{reverses}', '"${reverses}"')
   WHERE subject = '${id}' AND type = 'transfer.requested'`
]

/** A fact of an account that is told in good order, whatever it says. */
const told = (type: string, account: string) => [
  `INSERT INTO event (type, subject, key, partition, payload)
   VALUES ('${type}', '${account}', '${account}', 0, json_build_object('type', '${type}', 'account', '${account}'))`
]

const forged = "trf_0000000000000000000000000F"
const forgedToo = "trf_0000000000000000000000000G"

const cases: ReadonlyArray<Case> = [
  {
    name: "a journal is lost",
    plant: ({ id }) => ({ 0: [`DELETE FROM journal WHERE transfer_id = '${id("local")}'`] }),
    found: [
      "balances_equal_their_entries",
      "entries_are_numbered_without_a_gap",
      "entries_carry_the_balance_after_them",
      "transfer_states_have_their_effects",
      "verdicts_and_credits_belong_together"
    ]
  },
  {
    name: "the amount of a journal is edited in place",
    plant: ({ id }) => ({ 0: [`UPDATE journal SET amount = amount + 1 WHERE transfer_id = '${id("local")}'`] }),
    found: [
      "balances_equal_their_entries",
      "entries_carry_the_balance_after_them",
      "debits_carry_the_terms_of_their_transfer",
      "credits_carry_the_terms_of_their_verdict"
    ]
  },
  {
    name: "the sides of a journal are swapped",
    plant: ({ id }) => ({
      0: [`
        UPDATE journal SET debit_account = credit_account, debit_sequence = credit_sequence, debit_posted = credit_posted,
          credit_account = debit_account, credit_sequence = debit_sequence, credit_posted = debit_posted
        WHERE transfer_id = '${id("local")}'`]
    }),
    found: [
      "balances_equal_their_entries",
      "entries_carry_the_balance_after_them",
      "debits_carry_the_terms_of_their_transfer",
      "credits_carry_the_terms_of_their_verdict"
    ]
  },
  {
    name: "a journal is in another currency than its accounts",
    plant: ({ id }) => ({ 0: [`UPDATE journal SET currency = 'USD' WHERE transfer_id = '${id("local")}'`] }),
    found: [
      "journals_balance_in_one_currency",
      "debits_carry_the_terms_of_their_transfer",
      "credits_carry_the_terms_of_their_verdict"
    ]
  },
  {
    name: "an account is turned into another currency",
    plant: ({ at }) => ({ 0: [`UPDATE account SET currency = 'USD' WHERE account_id = '${at.ann0}'`] }),
    found: [
      "journals_balance_in_one_currency",
      "each_shard_sums_to_zero",
      "accounts_are_as_they_were_opened",
      "all_shards_together_sum_to_zero"
    ]
  },
  {
    name: "a balance drifts",
    plant: ({ at }) => ({ 0: [`UPDATE balance SET posted = posted + 5 WHERE account_id = '${at.bob0}'`] }),
    found: ["each_shard_sums_to_zero", "balances_equal_their_entries", "all_shards_together_sum_to_zero"]
  },
  {
    name: "one balance drifts up and another down, on two shards",
    plant: ({ at }) => ({
      0: [`UPDATE balance SET posted = posted + 5 WHERE account_id = '${at.bob0}'`],
      1: [`UPDATE balance SET posted = posted - 5 WHERE account_id = '${at.cyd1}'`]
    }),
    found: ["each_shard_sums_to_zero", "balances_equal_their_entries"]
  },
  {
    name: "a balance is deleted",
    plant: ({ at }) => ({ 1: [`DELETE FROM balance WHERE account_id = '${at.dan1}'`] }),
    found: [
      "each_shard_sums_to_zero",
      "balances_equal_their_entries",
      "entries_are_numbered_without_a_gap",
      "all_shards_together_sum_to_zero"
    ]
  },
  {
    name: "what is held drifts",
    plant: ({ at }) => ({ 0: [`UPDATE balance SET held = held + 1 WHERE account_id = '${at.ann0}'`] }),
    found: ["held_is_the_sum_of_open_holds"]
  },
  {
    name: "an account is overdrawn, and everything else is in order",
    plant: ({ at }) => ({ 0: moved(forged, at.bob0, at.ann0, 1_000_000) }),
    found: ["balances_are_within_their_limits", "balances_always_were_within_their_limits"]
  },
  {
    name: "an account was overdrawn for a moment, and everything is in order again",
    plant: ({ at }) => ({
      0: [...moved(forged, at.bob0, at.ann0, 1_000_000), ...moved(forgedToo, at.ann0, at.bob0, 1_000_000)]
    }),
    found: ["balances_always_were_within_their_limits"]
  },
  {
    name: "an account is filled above its ceiling",
    plant: ({ at }) => ({ 1: moved(forged, at.cyd1, at.jar1, 101) }),
    found: ["balances_are_within_their_limits", "balances_always_were_within_their_limits"]
  },
  {
    name: "more is held than there is",
    plant: ({ at }) => ({
      0: [
        ...requested(forged, at.bob0, at.cyd1, 1_000_000, "held"),
        `INSERT INTO hold (transfer_id, number, account_id, change, amount)
         VALUES ('${forged}', 1, '${at.bob0}', 'placed', 1000000)`,
        `UPDATE balance SET held = held + 1000000 WHERE account_id = '${at.bob0}'`,
        ...announced("transfer.held", forged, at.bob0, at.cyd1, 1_000_000)
      ]
    }),
    found: ["balances_are_within_their_limits"]
  },
  {
    name: "the floor of an account is lowered",
    plant: ({ at }) => ({ 0: [`UPDATE account SET floor = -1000000 WHERE account_id = '${at.ann0}'`] }),
    found: ["accounts_are_as_they_were_opened"]
  },
  {
    name: "an entry number is skipped",
    plant: ({ at }) => ({
      0: [
        `UPDATE journal SET debit_sequence = debit_sequence + 1 WHERE (debit_account, debit_sequence) IN
           (SELECT account_id, sequence FROM balance WHERE account_id = '${at.bank0}')`,
        `UPDATE balance SET sequence = sequence + 1 WHERE account_id = '${at.bank0}'`
      ]
    }),
    found: ["entries_are_numbered_without_a_gap"]
  },
  {
    name: "two entries of an account have changed places",
    plant: ({ at }) => ({
      0: [
        `UPDATE journal SET debit_sequence = 1000 WHERE debit_account = '${at.bank0}' AND debit_sequence = 1`,
        `UPDATE journal SET debit_sequence = 1 WHERE debit_account = '${at.bank0}' AND debit_sequence = 2`,
        `UPDATE journal SET debit_sequence = 2 WHERE debit_account = '${at.bank0}' AND debit_sequence = 1000`
      ]
    }),
    found: ["entries_carry_the_balance_after_them"]
  },
  {
    name: "the record that settled a hold is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM hold WHERE transfer_id = '${id("cross")}' AND change = 'settled'`] }),
    found: ["held_is_the_sum_of_open_holds", "transfer_states_have_their_effects"]
  },
  {
    name: "the record that placed a hold is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM hold WHERE transfer_id = '${id("held")}'`] }),
    found: ["held_is_the_sum_of_open_holds", "transfer_states_have_their_effects"]
  },
  {
    name: "a hold is released, and the balance still holds it",
    plant: ({ at, id }) => ({
      0: [`INSERT INTO hold (transfer_id, number, account_id, change, amount)
           VALUES ('${id("held")}', 2, '${at.bob0}', 'released', 900)`]
    }),
    found: ["held_is_the_sum_of_open_holds", "transfer_states_have_their_effects"]
  },
  {
    name: "a hold is an orphan",
    plant: ({ at }) => ({
      0: [
        `INSERT INTO hold (transfer_id, number, account_id, change, amount)
         VALUES ('${forged}', 1, '${at.ann0}', 'placed', 5)`,
        `UPDATE balance SET held = held + 5 WHERE account_id = '${at.ann0}'`
      ]
    }),
    found: ["hold_records_belong_together"]
  },
  {
    name: "a hold is on another account than its transfer's source",
    plant: ({ at, id }) => ({
      0: [
        `UPDATE hold SET account_id = '${at.ann0}' WHERE transfer_id = '${id("held")}'`,
        `UPDATE balance SET held = held + 900 WHERE account_id = '${at.ann0}'`,
        `UPDATE balance SET held = held - 900 WHERE account_id = '${at.bob0}'`
      ]
    }),
    found: ["hold_records_belong_together"]
  },
  {
    name: "a transfer is cancelled in good order, although its destination was credited",
    plant: ({ at, id }) => ({
      0: [
        `UPDATE transfer SET status = 'cancelled', reason_code = 'timeout' WHERE transfer_id = '${id("inFlight")}'`,
        `INSERT INTO hold (transfer_id, number, account_id, change, amount)
         VALUES ('${id("inFlight")}', 2, '${at.ann0}', 'released', 5000)`,
        `UPDATE balance SET held = held - 5000 WHERE account_id = '${at.ann0}'`,
        ...announced("transfer.cancelled", id("inFlight"), at.ann0, at.dan1, 5_000)
      ]
    }),
    found: ["credited_transfers_are_held_or_committed", "clearing_accounts_show_what_is_in_flight"]
  },
  {
    name: "a transfer is cancelled in good order for its age alone",
    plant: ({ at, id }) => ({
      0: [
        `UPDATE transfer SET status = 'cancelled', reason_code = 'timeout' WHERE transfer_id = '${id("held")}'`,
        `INSERT INTO hold (transfer_id, number, account_id, change, amount)
         VALUES ('${id("held")}', 2, '${at.bob0}', 'released', 900)`,
        `UPDATE balance SET held = held - 900 WHERE account_id = '${at.bob0}'`,
        ...announced("transfer.cancelled", id("held"), at.bob0, at.cyd1, 900)
      ]
    }),
    found: ["holds_are_released_only_after_a_refusal"]
  },
  {
    name: "a transfer is called committed, and nothing was debited",
    plant: ({ id }) => ({ 0: [`UPDATE transfer SET status = 'committed' WHERE transfer_id = '${id("inFlight")}'`] }),
    found: [
      "transfer_states_have_their_effects",
      "every_step_of_a_transfer_has_its_event",
      "clearing_accounts_show_what_is_in_flight"
    ]
  },
  {
    name: "a transfer is committed in good order, and was never credited",
    plant: ({ at, id }) => ({
      0: [
        `UPDATE transfer SET status = 'committed' WHERE transfer_id = '${id("held")}'`,
        `INSERT INTO hold (transfer_id, number, account_id, change, amount)
         VALUES ('${id("held")}', 2, '${at.bob0}', 'settled', 900)`,
        `UPDATE balance SET held = held - 900 WHERE account_id = '${at.bob0}'`,
        ...posted(id("held"), "commit", at.bob0, "clearing:0:to:1:EUR", 900),
        ...announced("transfer.committed", id("held"), at.bob0, at.cyd1, 900)
      ]
    }),
    found: ["committed_transfers_were_credited", "clearing_accounts_show_what_is_in_flight"]
  },
  {
    name: "a destination is credited twice for one transfer",
    plant: ({ at, id }) => ({ 1: posted(id("cross"), "direct", "clearing:1:from:0:EUR", at.cyd1, 3_000) }),
    found: [
      "debits_carry_the_terms_of_their_transfer",
      "verdicts_and_credits_belong_together",
      "credits_carry_the_terms_of_their_verdict",
      "every_journal_has_its_event",
      "clearing_accounts_show_what_is_in_flight"
    ]
  },
  {
    name: "a destination is credited in good order for a transfer that nobody wished",
    plant: ({ at }) => ({
      1: [
        `INSERT INTO verdict (transfer_id, ruling, source, destination, amount, currency, from_shard)
         VALUES ('${forged}', 'CREDITED', '${at.ann0}', '${at.cyd1}', 10, 'EUR', 0)`,
        ...posted(forged, "credit", "clearing:1:from:0:EUR", at.cyd1, 10),
        ...announced("transfer.credited", forged, at.ann0, at.cyd1, 10)
      ]
    }),
    found: ["verdicts_are_on_known_transfers", "clearing_accounts_show_what_is_in_flight"]
  },
  {
    name: "a verdict on another shard's transfer is flipped to REFUSED",
    plant: ({ id }) => ({
      1: [`UPDATE verdict SET ruling = 'REFUSED', reason_code = 'closed' WHERE transfer_id = '${id("cross")}'`]
    }),
    found: [
      "verdicts_and_credits_belong_together",
      "every_verdict_has_its_event",
      "committed_transfers_were_credited"
    ]
  },
  {
    name: "a verdict on another shard's transfer is flipped to CREDITED",
    plant: ({ id }) => ({
      1: [`UPDATE verdict SET ruling = 'CREDITED', reason_code = NULL WHERE transfer_id = '${id("crossUnknown")}'`]
    }),
    found: [
      "verdicts_and_credits_belong_together",
      "every_verdict_has_its_event",
      "credited_transfers_are_held_or_committed"
    ]
  },
  {
    name: "a verdict on a transfer within the shard is flipped",
    plant: ({ id }) => ({
      0: [`UPDATE verdict SET ruling = 'REFUSED', reason_code = 'closed' WHERE transfer_id = '${id("local")}'`]
    }),
    found: ["verdicts_and_credits_belong_together", "transfers_within_a_shard_agree_with_their_verdict"]
  },
  {
    name: "a refusal is deleted",
    plant: ({ id }) => ({ 1: [`DELETE FROM verdict WHERE transfer_id = '${id("recalled")}'`] }),
    found: ["events_speak_of_what_is_known", "holds_are_released_only_after_a_refusal"]
  },
  {
    name: "a verdict is about another amount than its transfer",
    plant: ({ id }) => ({
      1: [`UPDATE verdict SET amount = amount + 1 WHERE transfer_id = '${id("refusalOnItsWay")}'`]
    }),
    found: ["events_speak_of_what_is_known", "verdicts_are_on_known_transfers"]
  },
  {
    name: "a transfer is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM transfer WHERE transfer_id = '${id("cross")}'`] }),
    found: [
      "hold_records_belong_together",
      "debits_carry_the_terms_of_their_transfer",
      "events_speak_of_what_is_known",
      "idempotency_keys_lead_to_what_they_made",
      "verdicts_are_on_known_transfers"
    ]
  },
  {
    name: "a transfer is given another destination",
    plant: ({ at, id }) => ({
      0: [`UPDATE transfer SET destination = '${at.dan1}' WHERE transfer_id = '${id("cross")}'`]
    }),
    found: ["events_speak_of_what_is_known", "verdicts_are_on_known_transfers"]
  },
  {
    name: "the fact that a transfer was committed is lost",
    plant: ({ id }) => ({
      0: [`DELETE FROM event WHERE subject = '${id("cross")}' AND type = 'transfer.committed'`]
    }),
    found: ["every_journal_has_its_event", "every_step_of_a_transfer_has_its_event"]
  },
  {
    name: "the message that a destination was credited is lost",
    plant: ({ id }) => ({
      1: [`DELETE FROM event WHERE subject = '${id("inFlight")}' AND type = 'transfer.credited'`]
    }),
    found: ["every_journal_has_its_event", "every_verdict_has_its_event"]
  },
  {
    name: "the message that a destination refused is lost",
    plant: ({ id }) => ({
      1: [`DELETE FROM event WHERE subject = '${id("refusalOnItsWay")}' AND type = 'transfer.refused'`]
    }),
    found: ["every_verdict_has_its_event"]
  },
  {
    name: "the request for a transfer is lost from the log",
    plant: ({ id }) => ({ 0: [`DELETE FROM event WHERE subject = '${id("requested")}'`] }),
    found: ["every_step_of_a_transfer_has_its_event"]
  },
  {
    name: "a transfer is said to be both committed and cancelled",
    plant: ({ at, id }) => ({ 0: announced("transfer.cancelled", id("local"), at.ann0, at.bob0, 1_200) }),
    found: ["every_step_of_a_transfer_has_its_event"]
  },
  {
    name: "the amount in an event is edited",
    plant: ({ id }) => ({
      0: [`UPDATE event SET payload = jsonb_set(payload::jsonb, '{amount}', '"3001"')
           WHERE subject = '${id("cross")}' AND type = 'transfer.committed'`]
    }),
    found: ["events_speak_of_what_is_known"]
  },
  {
    name: "an event speaks of a transfer that does not exist",
    plant: ({ at }) => ({ 0: announced("transfer.held", forged, at.ann0, at.cyd1, 10) }),
    found: ["events_speak_of_what_is_known"]
  },
  {
    name: "an account was never announced",
    plant: ({ at }) => ({
      0: [`DELETE FROM event WHERE subject = '${at.ann0}' AND type = 'account.opened'`]
    }),
    found: ["accounts_are_as_they_were_opened"]
  },
  {
    name: "an account lives on two shards, each in order",
    plant: ({ at }) => ({
      1: [
        `INSERT INTO account (account_id, partition, kind, normal_side, currency, floor)
         VALUES ('${at.ann0}', 0, 'customer', 'credit', 'EUR', 0)`,
        `INSERT INTO balance (account_id) VALUES ('${at.ann0}')`,
        `INSERT INTO event (type, subject, key, partition, payload)
         SELECT 'account.opened', '${at.ann0}', '${at.ann0}', 0, replace(payload::text, subject, '${at.ann0}')::json
         FROM event WHERE type = 'account.opened' AND subject = '${at.cyd1}'`
      ]
    }),
    found: ["accounts_live_at_home_and_nowhere_else"]
  },
  {
    name: "an account is in another partition than its id says",
    plant: ({ at }) => ({ 0: [`UPDATE account SET partition = partition + 1 WHERE account_id = '${at.ann0}'`] }),
    found: ["accounts_live_at_home_and_nowhere_else"]
  },
  {
    name: "the idempotency key of a transfer is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM idempotency_key WHERE resource_id = '${id("local")}'`] }),
    found: ["every_request_came_with_a_key"]
  },
  {
    name: "the idempotency key of an instruction is deleted",
    plant: ({ instruction }) => ({
      0: [`DELETE FROM idempotency_key WHERE resource_id = '${instruction("freezeEve")}'`]
    }),
    found: ["every_request_came_with_a_key"]
  },
  {
    name: "an idempotency key leads to something else",
    plant: ({ id }) => ({
      0: [`UPDATE idempotency_key SET resource_id = '${forged}' WHERE resource_id = '${id("local")}'`]
    }),
    found: ["idempotency_keys_lead_to_what_they_made", "every_request_came_with_a_key"]
  },
  {
    name: "the idempotency key of an account leads to nothing",
    plant: ({ at }) => ({
      0: [`UPDATE idempotency_key SET resource_id = 'nobody' WHERE resource_id = '${at.ann0}'`]
    }),
    found: ["idempotency_keys_lead_to_what_they_made"]
  },
  {
    name: "a clearing account stands for no shard",
    plant: () => ({
      0: [
        `INSERT INTO account (account_id, kind, normal_side, currency)
         VALUES ('clearing:7:to:1:EUR', 'clearing', 'credit', 'EUR')`,
        `INSERT INTO balance (account_id) VALUES ('clearing:7:to:1:EUR')`
      ]
    }),
    found: ["clearing_accounts_name_their_shards"]
  },
  {
    name: "money in flight is taken out of a clearing account, in the balances alone",
    plant: ({ at }) => ({
      1: [
        `UPDATE balance SET posted = posted + 100 WHERE account_id = 'clearing:1:from:0:EUR'`,
        `UPDATE balance SET posted = posted - 100 WHERE account_id = '${at.bank1}'`
      ]
    }),
    found: ["balances_equal_their_entries", "clearing_accounts_show_what_is_in_flight"]
  },
  {
    name: "a transfer has been silent for two hours",
    plant: ({ id }) => ({
      0: [`UPDATE transfer SET status_changed_at = now() - interval '2 hours' WHERE transfer_id = '${id("held")}'`]
    }),
    found: ["no_transfer_lingers"]
  },
  {
    name: "an authorization ran out two hours ago, and still holds money",
    plant: ({ id }) => ({
      0: [`UPDATE transfer SET expires_at = now() - interval '2 hours' WHERE transfer_id = '${id("authorized")}'`]
    }),
    found: ["no_transfer_lingers"]
  },
  {
    name: "an event has waited for the relay for two hours",
    plant: ({ id }) => ({
      1: [
        `INSERT INTO relay_cursor (log, position)
         SELECT 'a log', max(position) - 1 FROM event WHERE subject = '${id("inFlight")}'`,
        `UPDATE event SET occurred_at = now() - interval '2 hours' WHERE subject = '${id("inFlight")}'`
      ]
    }),
    found: ["no_event_lingers"]
  },
  {
    name: "a shard was restored from an older copy, and has not caught up",
    plant: () => ({ 1: ["INSERT INTO recovery (log_end, seen_to, seen_by) VALUES (70, 90, 'the event log')"] }),
    found: ["a_shard_has_all_that_others_saw_of_it"]
  },
  {
    name: "the event that carried an instruction is lost",
    plant: ({ instruction }) => ({
      0: [`DELETE FROM event WHERE payload ->> 'instruction' = '${instruction("captureLocal")}'`]
    }),
    found: ["every_instruction_has_its_event"]
  },
  {
    name: "an event carries an instruction that nobody gave",
    plant: ({ at }) => ({
      0: [`INSERT INTO event (type, subject, key, partition, payload)
           SELECT type, subject, key, partition,
             jsonb_set(payload::jsonb, '{instruction}', '"ins_0000000000000000000000000F"')
           FROM event WHERE type = 'account.freeze_requested' AND subject = '${at.eve0}' LIMIT 1`]
    }),
    found: ["events_speak_of_what_is_known"]
  },
  {
    name: "an event asks for more than its instruction",
    plant: ({ instruction }) => ({
      0: [`UPDATE event SET payload = jsonb_set(payload::jsonb, '{captured}', '"1501"')
           WHERE payload ->> 'instruction' = '${instruction("captureLocal")}'`]
    }),
    found: ["events_speak_of_what_is_known"]
  },
  {
    name: "a request says that it reverses another transfer than it does",
    plant: ({ id }) => ({
      1: [`UPDATE event SET payload = jsonb_set(payload::jsonb, '{reverses}', '"${forged}"')
           WHERE type = 'transfer.requested' AND subject = '${id("repaid")}'`]
    }),
    found: ["events_speak_of_what_is_known"]
  },
  {
    name: "a capture that was refused is said to be done",
    plant: ({ instruction }) => ({
      0: [`UPDATE instruction SET status = 'done', reason_code = NULL, reason_detail = NULL
           WHERE instruction_id = '${instruction("captureAgain")}'`]
    }),
    found: ["captures_and_voids_decide_their_transfer"]
  },
  {
    name: "the answer to a void that was done is lost",
    plant: ({ instruction }) => ({
      0: [`UPDATE instruction SET status = 'open', answered_at = NULL WHERE instruction_id = '${instruction("void")}'`]
    }),
    found: ["captures_and_voids_decide_their_transfer"]
  },
  {
    name: "a capture was of another amount than moved",
    plant: ({ instruction }) => ({
      0: [
        `UPDATE instruction SET amount = 1499 WHERE instruction_id = '${instruction("captureLocal")}'`,
        `UPDATE event SET payload = jsonb_set(payload::jsonb, '{captured}', '"1499"')
         WHERE payload ->> 'instruction' = '${instruction("captureLocal")}'`
      ]
    }),
    found: ["captures_and_voids_decide_their_transfer"]
  },
  {
    name: "an account is frozen by hand",
    plant: ({ at }) => ({ 0: [`UPDATE account SET status = 'frozen' WHERE account_id = '${at.ann0}'`] }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "a closed account is opened again",
    plant: ({ at }) => ({ 1: [`UPDATE account SET status = 'open' WHERE account_id = '${at.fay1}'`] }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "the fact that an account was unfrozen is lost",
    plant: ({ at }) => ({
      1: [`DELETE FROM event WHERE subject = '${at.gus1}' AND type = 'account.unfrozen'`]
    }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "an account is told to be closed that nobody closed",
    plant: ({ at }) => ({ 0: told("account.closed", at.eve0) }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "an account was unfrozen before it was frozen",
    plant: ({ at }) => ({
      1: [
        `DELETE FROM event WHERE subject = '${at.gus1}' AND type = 'account.frozen'`,
        ...told("account.frozen", at.gus1),
        `UPDATE account SET status = 'frozen' WHERE account_id = '${at.gus1}'`
      ]
    }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "the answer to a freeze that was done is lost",
    plant: ({ instruction }) => ({
      0: [`UPDATE instruction SET status = 'open', answered_at = NULL
           WHERE instruction_id = '${instruction("freezeEve")}'`]
    }),
    found: ["accounts_are_what_was_done_to_them"]
  },
  {
    name: "more comes back than went, in good order",
    plant: ({ at, id }) => ({
      0: [...moved(forged, at.bob0, at.ann0, 21), ...reversing(forged, id("lentHere"))]
    }),
    found: ["no_more_comes_back_than_went"]
  },
  {
    name: "more comes back than was captured, in good order",
    plant: ({ at, id }) => ({
      0: [...moved(forged, at.bob0, at.ann0, 1_501), ...reversing(forged, id("localCaptured"))]
    }),
    found: ["no_more_comes_back_than_went"]
  },
  {
    name: "a reversal goes the way of its transfer once more",
    plant: ({ at, id }) => ({
      0: [...moved(forged, at.ann0, at.bob0, 20), ...reversing(forged, id("lentHere"))]
    }),
    found: ["reversals_go_the_way_back"]
  },
  {
    name: "what never came is sent back",
    plant: ({ at, id }) => ({
      1: [...moved(forged, at.dan1, at.cyd1, 1), ...reversing(forged, id("crossCeiling"))]
    }),
    found: ["no_more_comes_back_than_went", "reversals_go_the_way_back"]
  },
  {
    name: "a closed account is credited in good order",
    plant: ({ at }) => ({ 1: moved(forged, at.cyd1, at.fay1, 10) }),
    found: ["closed_accounts_are_empty"]
  },
  {
    name: "an instruction has been open for two hours",
    plant: ({ instruction }) => ({
      1: [`UPDATE instruction SET created_at = now() - interval '2 hours'
           WHERE instruction_id = '${instruction("freezeOnItsWay")}'`]
    }),
    found: ["no_instruction_lingers"]
  }
]

/** As a superuser, past every trigger and foreign key. */
const damage = (sql: PgClient.PgClient, statements: ReadonlyArray<string>) =>
  sql.withTransaction(Effect.gen(function*() {
    yield* sql`SET LOCAL session_replication_role = replica`
    for (const statement of statements) {
      const touched = yield* sql.unsafe(`${statement} RETURNING 1`).unprepared
      // A corruption that touches nothing would be found by nobody, and prove nothing.
      expect(touched.length, statement).toBeGreaterThan(0)
    }
  }))

layer(HealthyBooks.layer.pipe(Layer.provideMerge(TestPostgres.layer)), {
  excludeTestServices: true,
  timeout: "2 minutes"
})("a planted corruption is found:", (it) => {
  for (const { found, name, plant } of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { books, shards } = yield* HealthyBooks
        const copies = yield* (yield* TestPostgres).copy(shards)
        const planted = plant({ ...books, id: (name) => books.transfer(name).transfer })
        for (const [shard, url] of copies.urls.entries()) {
          const statements = planted[shard] ?? []
          yield* Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) => damage(sql, statements)))
        }
        const runs = yield* check(copies)
        const numbers = new Map(runs.map(({ check }) => [check.name, check.number]))
        const names = new Set(runs.flatMap(({ violations }) => violations.map(({ check }) => check)))
        const inOrder = (names: Iterable<string>) =>
          [...names].toSorted((a, b) => (numbers.get(a) ?? "") < (numbers.get(b) ?? "") ? -1 : 1)
        expect(inOrder(names)).toEqual(found)

        // Exactly these are opened as breaks, and closed by a run that finds all mended.
        const mended = runs.map((run) => ({ ...run, violations: [] }))
        const opened = copies.urls.flatMap((_, shard) => {
          const { open } = decideBreaks(shard, [], runs)
          const standing = open.map((one, number): StandingBreak => ({
            ...one,
            number: BigInt(number),
            status: "open"
          }))
          const again = decideBreaks(shard, standing, runs)
          expect([again.open, again.close, again.see.length]).toEqual([[], [], open.length])
          const gone = decideBreaks(shard, standing, mended)
          expect([gone.open, gone.see, gone.close.length]).toEqual([[], [], open.length])
          return open
        })
        expect(inOrder(new Set(opened.map(({ invariant }) => invariant)))).toEqual(found)
      }))
  }

  it.effect("every check has a corruption that it finds", () =>
    Effect.gen(function*() {
      const { shards } = yield* HealthyBooks
      const all = (yield* check(shards)).map(({ check }) => check.name)
      const seen = new Set(cases.flatMap(({ found }) => found))
      expect([...new Set(all)].filter((name) => !seen.has(name))).toEqual([])
    }))
})
