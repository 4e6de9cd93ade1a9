/**
 * Bugs that are planted to see whether the simulator finds them: a checker that never failed is not to be trusted. Each is
 * written into the text of a source while it is loaded, in a process of its own; the sources themselves know nothing of it.
 *
 * Much of what looks like the one thing that holds a promise is held twice: where one guard alone was taken away and nothing
 * came of it, the second is taken away too.
 */
import { readFileSync } from "node:fs"
import { registerHooks } from "node:module"
import path from "node:path"
import { pathToFileURL } from "node:url"

interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

const root = path.resolve(import.meta.dirname, "../..")

const noCompareAndSet: Edit = {
  file: "libs/infra/memory/MemoryLedger.ts",
  from: "const on = taken(transaction, inserts) ?? changed(transaction, shard, rows)",
  to: "const on = undefined"
}
// A worker that wakes up has decided what another one has done meanwhile: its transfers would go where they are, or back.
const transfersGoAnywhere: Edit = {
  file: "libs/infra/memory/MemoryShard.ts",
  from: "ways[before.status].includes(now.status) && now.capture",
  to: "now.capture"
}
const instructionsAreAnsweredAgain: Edit = {
  file: "libs/infra/memory/MemoryShard.ts",
  from: `before === undefined || before.instruction.status === "open"`,
  to: "true"
}
const protocol = "libs/domain/transfer/TransferProtocol.ts"

export const bugs: Readonly<Record<string, ReadonlyArray<Edit>>> = {
  "the relay moves its cursor before the log has acknowledged": [{
    file: "apps/relay/Relay.ts",
    from: `yield* writer.append(records)
    yield* shardLog.advance(lease, log.identity, upTo)`,
    to: `yield* shardLog.advance(lease, log.identity, upTo)
    yield* writer.append(records)`
  }],
  "the relay reads past the position barrier": [{
    file: "libs/infra/memory/MemoryShard.ts",
    from: "if (writers.length === 0) return Effect.succeed(drawn)",
    to: "return Effect.succeed(drawn)"
  }],
  "the relay takes its cursor in a lost log for its cursor in the new one": [
    { file: "apps/relay/Relay.ts", from: "shardLog.cursor(shard, log.identity)", to: `shardLog.cursor(shard, "log")` },
    {
      file: "apps/relay/Relay.ts",
      from: "shardLog.advance(lease, log.identity, upTo)",
      to: `shardLog.advance(lease, "log", upTo)`
    }
  ],
  "the worker moves its place before the effects are committed, and nobody asks again": [{
    file: "apps/ledger/LedgerWorker.ts",
    from: `    const { advanced, batch } = yield* shards.transact(
      shard,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const positions = yield* ConsumerPositions
`,
    to: `    const early = [...moves.values()].flatMap((now) => {
      const was = places.get(now.partition)
      return was === undefined || was.next === now.next ? [] : [{ was, now }]
    })
    yield* shards.transact(
      shard,
      ConsumerPositions.use((positions) => positions.advance(log.identity, lease.epoch, early))
    )
    const { advanced, batch } = yield* shards.transact(
      shard,
      Effect.gen(function*() {
        const ledger = yield* Ledger
`
  }, {
    file: "apps/ledger/LedgerWorker.ts",
    from: "        yield* positions.advance(log.identity, lease.epoch, advanced)\n",
    to: ""
  }, {
    file: "libs/domain/reconciliation/SilentTransfers.ts",
    from: `if ("event" in silent) return silent.instruction.status === "open" ? silent.event : undefined`,
    to: `return undefined`
  }],
  "what was seen is not looked at, and a request is decided whatever it came to": [{
    file: "apps/ledger/LedgerWorker.ts",
    from: "const isNew = record.position > (place.seen.get(record.source) ?? 0n)",
    to: "const isNew = true"
  }, {
    file: protocol,
    from: `transfer.status === "requested" ? request(view, transfer) : []`,
    to: `request(view, transfer)`
  }],
  "what a batch changed is not laid over what was read for the next, and nothing is compared": [
    {
      file: "apps/ledger/LedgerWorker.ts",
      from: "{ ...next, known: overlaid(next.known, batch.after) }",
      to: "next"
    },
    noCompareAndSet
  ],
  "the worker keeps its places when the log is another": [{
    file: "libs/infra/memory/MemoryConsumerPositions.ts",
    from: "if (found?.log === log) return",
    to: "if (found !== undefined) return"
  }],
  "nothing fences a worker that wakes up: neither place, nor lease, nor compare-and-set, nor what transfers were": [
    {
      file: "libs/infra/memory/MemoryConsumerPositions.ts",
      from: "if (isStale) return",
      to: "if (false) return"
    },
    noCompareAndSet,
    transfersGoAnywhere,
    instructionsAreAnsweredAgain
  ],
  "a hold is released because it is old": [
    {
      file: "libs/domain/reconciliation/SilentTransfers.ts",
      from: `type: "transfer.recalled",`,
      to: `type: "transfer.expiry_due",`
    },
    {
      file: protocol,
      from: `transfer.status === "authorized" ? cancel(transfer, expired) : []`,
      to: `transfer.status === "authorized" || transfer.status === "held" ? cancel(transfer, expired) : []`
    }
  ],
  "a recall is answered without a ruling, and may overtake what it recalls": [{
    // It travels in another partition of the same shard, so neither the log's order nor what was seen holds it back.
    file: "libs/infra/memory/MemoryShard.ts",
    from: "        partition: partitionOf(key, this.map.partitions),",
    to: `        partition: event.type === "transfer.recalled"
          ? this.map.homes.lastIndexOf(this.map.homes[partitionOf(key, this.map.partitions)] ?? 0)
          : partitionOf(key, this.map.partitions),`
  }, {
    file: protocol,
    from: "return given === undefined ? refuse(termsOf(event), from, reason) : [sayAgain(given)]",
    to: `return given === undefined
    ? refuse(termsOf(event), from, reason).filter(({ _tag }) => _tag !== "Ruled")
    : [sayAgain(given)]`
  }],
  "an authorization expires by the clock of whoever looks": [{
    file: "libs/infra/memory/MemorySilentTransfers.ts",
    from: "const now = yield* databases.nowMillis(shard)",
    to: "const now = yield* Clock.currentTimeMillis"
  }, {
    file: "libs/infra/memory/MemorySilentTransfers.ts",
    from: "import { Duration, Effect, Layer }",
    to: "import { Clock, Duration, Effect, Layer }"
  }],
  // Right again in the end, when nothing is held: only who looks meanwhile can see it.
  "what is held is not written into the balance, but summed where the worker reads": [{
    file: "libs/infra/memory/MemoryLedger.ts",
    from: "shard.balances.put(transaction, id, { ...balance, version: balance.version + 1n })",
    to: "shard.balances.put(transaction, id, { ...balance, held: 0n, version: balance.version + 1n })"
  }, {
    file: "libs/infra/memory/MemoryLedger.ts",
    from: "(id) => shard.accountOf(transaction, id)",
    to: `(id) => {
        const account = shard.accountOf(transaction, id)
        if (account === undefined) return undefined
        let held = 0n
        for (const hold of shard.holds.rows.values()) {
          if (hold.account === id) held += hold.change === "placed" ? hold.amount : -hold.amount
        }
        return { ...account, balance: { ...account.balance, held } }
      }`
  }],
  "a balance is written outside the transaction": [{
    file: "libs/infra/memory/MemoryLedger.ts",
    from: "shard.balances.put(transaction, id, { ...balance, version: balance.version + 1n })",
    to: `shard.balances.put(transaction, id, { ...balance, version: balance.version + 1n })
    shard.balances.replace(new Map(shard.balances.rows).set(id, { ...balance, version: balance.version + 1n }))`
  }],
  "of those who wait for the log, only one is woken": [{
    file: "libs/infra/memory/MemoryEventLog.ts",
    from: "const woken = [...log.waiting]\n            log.waiting.clear()",
    to: "const woken = [...log.waiting].slice(0, 1)\n            for (const one of woken) log.waiting.delete(one)"
  }],
  "a recall refuses what was credited": [{
    file: protocol,
    from: "return given === undefined ? refuse(termsOf(event), from, reason) : [sayAgain(given)]",
    to: "return refuse(termsOf(event), from, reason)"
  }, noCompareAndSet],
  "what is asked to be credited is credited, whatever was ruled": [{
    file: protocol,
    from: "if (given !== undefined) return [sayAgain(given)]",
    to: ""
  }, noCompareAndSet],
  "what was refused is released each time that it is said": [{
    file: protocol,
    from: `: transfer.status === "cancelled"
          ? []`,
    to: `: transfer.status === "cancelled"
          ? [ended(transfer, "released")]`
  }],
  "what is cancelled stays held": [{
    file: protocol,
    from: `    ended(transfer, "released"),
    { _tag: "Moved", transfer: { ...transfer, status: "cancelled", reason } },`,
    to: `{ _tag: "Moved", transfer: { ...transfer, status: "cancelled", reason } },`
  }],
  "what is not captured stays held": [{
    file: protocol,
    from: "const released: ReadonlyArray<Change> = left === 0n",
    to: "const released: ReadonlyArray<Change> = left >= 0n"
  }],
  "all that was authorized is credited, however little was captured": [{
    file: protocol,
    from: `announce("transfer.held", movingTerms(moving))`,
    to: `announce("transfer.held", moving.terms)`
  }],
  "a reversal may bring back more than went": [{
    file: protocol,
    from: "return terms.amount <= left ? Result.void",
    to: "return terms.amount > 0n ? Result.void"
  }],
  "what is held can be spent": [{
    file: "libs/domain/ledger/Balance.ts",
    from: `account.normalSide === "credit" ? account.balance.posted - account.balance.held : -account.balance.posted`,
    to: `account.normalSide === "credit" ? account.balance.posted : -account.balance.posted`
  }],
  "a message does not see what an earlier one of its batch did to an account": [{
    file: "libs/domain/ledger/Batch.ts",
    from: "return this.#accounts.get(id) ?? this.#known.accounts.get(id)",
    to: "return this.#known.accounts.get(id) ?? this.#accounts.get(id)"
  }],
  "what is owed to one shard is booked as owed to another": [{
    file: "libs/domain/account/ClearingAccount.ts",
    from: "`clearing:${shard}:to:${to}:${currency}`",
    to: "`clearing:${shard}:to:${to === 0 ? 0 : shard}:${currency}`"
  }],
  "an event is told of what was rolled back": [{
    file: "libs/infra/memory/MemoryShard.ts",
    from: "if (!isCommitted) return\n      for (const row of rows)",
    to: "for (const row of rows)"
  }],
  "the intake does not know a key again": [{
    file: "libs/infra/memory/MemoryIntake.ts",
    from: "if (keys.get(transaction, row) !== undefined) return false",
    to: ""
  }],
  "the intake does not look whether a key comes with the same request": [{
    file: "libs/infra/memory/MemoryIntake.ts",
    from: "return spent.fingerprint === request.fingerprint",
    to: "return spent.fingerprint.length === request.fingerprint.length"
  }]
}

/** The sources with a bug in them, by file. Fails where the text that it replaces is not there, or there twice. */
const withBug = (name: string): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (const { file, from, to } of bugs[name] ?? []) {
    const text = texts.get(file) ?? readFileSync(path.join(root, file), "utf8")
    if (text.split(from).length !== 2) {
      throw new Error(`"${name}" cannot be planted: ${file} does not say once "${from}"`)
    }
    texts.set(file, text.replace(from, () => to))
  }
  if (texts.size === 0) throw new Error(`there is no bug "${name}"`)
  return texts
}

/** Can it be planted? */
export const canBePlanted = (name: string): boolean => withBug(name).size > 0

/** Plants a bug in everything that this process loads from now on. */
export const plant = (name: string): void => {
  const texts = new Map([...withBug(name)].map(([file, text]) => [pathToFileURL(path.join(root, file)).href, text]))
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      const source = texts.get(url)
      return source === undefined ? loaded : { ...loaded, source }
    }
  })
}
