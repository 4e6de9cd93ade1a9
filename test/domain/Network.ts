/**
 * What lies between the shards: every event that a shard wrote reaches the partition that acts next, at least once. How
 * else it may arrive is the difference between the two networks here.
 *
 * Facts on which nobody acts are not sent: `decide` changes nothing on any of them, whatever the state
 * (TransferProtocol.test.ts), so to deliver them would only multiply the states.
 */
import { keyOf, type LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { acting } from "#domain/ledger/Protocol.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"

export interface Letter {
  readonly event: LedgerEvent
  readonly from: ShardId
  readonly to: ShardId
}

/** One thing the network may do now: deliver a letter, or, without one, something of its own. */
export interface Move<Mail> {
  readonly label: string
  readonly letter: Letter | undefined
  /** Equal for equal letters. */
  readonly number: number
  /** Is it what happens in health: the first delivery of a letter? */
  readonly plain: boolean
  readonly mail: Mail
}

export interface Network<Mail> {
  readonly name: string
  readonly empty: Mail
  readonly send: (mail: Mail, letters: ReadonlyArray<Letter>) => Mail
  readonly moves: (mail: Mail) => ReadonlyArray<Move<Mail>>
  /** Has everything been delivered? */
  readonly quiet: (mail: Mail) => boolean
  /** Has anything been lost on the way? */
  readonly lossy: (mail: Mail) => boolean
  readonly key: (mail: Mail) => string
}

/** What a shard wrote, as letters to where the account that acts next lives. */
export const lettersOf = (
  from: { readonly id: ShardId; readonly map: ShardMap },
  events: ReadonlyArray<LedgerEvent>
): ReadonlyArray<Letter> =>
  events.flatMap((event) =>
    acting.has(event.type) ? [{ event, from: from.id, to: shardOfAccount(from.map, keyOf(event)) }] : []
  )

/** The number that a transfer was made with (`transferId` of ShardModel.ts): the last character of its time. */
export const nameOf = (transfer: string): string => `T${transfer.charAt(13)}`

/** A letter in a few words, the same for the same letter; and a number for them, so that keys stay short. */
interface Name {
  readonly label: string
  readonly number: number
}

const names = new WeakMap<LedgerEvent, Map<number, Name>>()
const numbers = new Map<string, number>()

const nameOfLetter = ({ event, from, to }: Letter): Name => {
  const known = names.get(event) ?? new Map<number, Name>()
  let name = known.get(from)
  if (name === undefined) {
    const about = "account" in event ? event.account : `${nameOf(event.transfer)} ${event.amount}`
    const more = "reason" in event
      ? event.reason.code
      // Two that ask the same are two.
      : "instruction" in event
      ? `${"captured" in event ? event.captured ?? "all" : ""} #${event.instruction.slice(-2)}`.trimStart()
      : ""
    const what = `${event.type.slice(event.type.indexOf(".") + 1)} ${about} ${more}`.trimEnd()
    const label = `${from}→${to} ${what}`
    const number = numbers.get(label) ?? numbers.size
    numbers.set(label, number)
    name = { label, number }
    names.set(event, known.set(from, name))
  }
  return name
}

/** Equal for equal letters. */
export const numberOfLetter = (letter: Letter): number => nameOfLetter(letter).number

/** Small numbers as a short text. */
const packed = (numbers: ReadonlyArray<number>): string => String.fromCharCode(...numbers.map((number) => number + 1))

// in order ───────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Channel {
  readonly letters: ReadonlyArray<Letter>
  /** The next to be delivered. */
  readonly next: number
}

export interface Channels {
  readonly channels: ReadonlyMap<string, Channel>
  readonly replays: number
}

/**
 * As the log does: from each shard to each partition in order. A worker that committed but did not move its place, or a
 * relay that publishes again, makes a channel go back to any earlier letter, after which all that follow come again; so
 * often in all.
 */
export const inOrder = (options: { readonly replays: number }): Network<Channels> => ({
  name: `in order, ${options.replays} replays from anywhere`,
  empty: { channels: new Map(), replays: options.replays },
  send: (mail, letters) => {
    if (letters.length === 0) return mail
    const channels = new Map(mail.channels)
    for (const letter of letters) {
      const name = `${letter.from}→${letter.to}`
      const channel = channels.get(name) ?? { letters: [], next: 0 }
      channels.set(name, { ...channel, letters: [...channel.letters, letter] })
    }
    return { ...mail, channels }
  },
  moves: (mail) => {
    const moves: Array<Move<Channels>> = []
    const placed = (name: string, channel: Channel, replays: number): Channels => ({
      channels: new Map(mail.channels).set(name, channel),
      replays
    })
    for (const [name, channel] of mail.channels) {
      const letter = channel.letters[channel.next]
      if (letter !== undefined) {
        const mail_ = placed(name, { ...channel, next: channel.next + 1 }, mail.replays)
        const { label, number } = nameOfLetter(letter)
        moves.push({ label, number, letter, plain: true, mail: mail_ })
      }
      if (mail.replays === 0) continue
      for (let next = 0; next < channel.next; next++) {
        moves.push({
          label: `${name} goes back to letter ${next + 1}`,
          letter: undefined,
          number: -1,
          plain: false,
          mail: placed(name, { ...channel, next }, mail.replays - 1)
        })
      }
    }
    return moves
  },
  quiet: ({ channels }) => Array.from(channels.values()).every(({ letters, next }) => next === letters.length),
  lossy: () => false,
  key: ({ channels, replays }) => {
    const parts = Array.from(channels, ([name, { letters, next }]) => {
      // What can't come again makes no difference.
      const from = replays === 0 ? next : 0
      return `${name}${packed([next - from, ...letters.slice(from).map((letter) => nameOfLetter(letter).number)])}`
    })
    return `${parts.toSorted().join("")}*${replays}`
  }
})

// in any order ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface Posted extends Name {
  readonly letter: Letter
  /** How often it was delivered. */
  readonly times: number
}

export interface Bag {
  /** In the order of their numbers, so that equal bags look equal. */
  readonly letters: ReadonlyArray<Posted>
  readonly repeats: number
  readonly losses: number
  readonly lost: boolean
}

export interface BagOptions {
  /** How often one letter comes at most. */
  readonly each: number
  /** How many deliveries there are in all beyond the first of each letter. */
  readonly repeats: number
  /** How many letters may be lost altogether. */
  readonly losses?: number
}

/** Worse than the log: any letter at any time, overtaking any other; and again, at any later time. */
export const inAnyOrder = (options: BagOptions): Network<Bag> => {
  const compare = (a: Posted, b: Posted) => a.number - b.number || a.times - b.times
  const kept = (letters: ReadonlyArray<Posted>, repeats: number) =>
    repeats > 0 ? letters : letters.filter(({ times }) => times === 0)
  return {
    name: `in any order, each letter ${options.each === 1 ? "once" : `up to ${options.each} times`}` +
      (options.repeats < Number.POSITIVE_INFINITY ? `, ${options.repeats} repeats in all` : "") +
      (options.losses === undefined ? "" : `, ${options.losses} lost`),
    empty: { letters: [], repeats: options.repeats, losses: options.losses ?? 0, lost: false },
    send: (mail, letters) =>
      letters.length === 0 ? mail : {
        ...mail,
        letters: [...mail.letters, ...letters.map((letter) => ({ ...nameOfLetter(letter), letter, times: 0 }))]
          .toSorted(compare)
      },
    moves: (mail) => {
      const moves: Array<Move<Bag>> = []
      for (const [index, posted] of mail.letters.entries()) {
        // Of equal letters it does not matter which is taken.
        const before = mail.letters[index - 1]
        if (before !== undefined && compare(before, posted) === 0) continue
        const { label, letter, number, times } = posted
        const others = mail.letters.filter((_, other) => other !== index)
        const repeats = times === 0 ? mail.repeats : mail.repeats - 1
        const left = times + 1 < options.each ? [...others, { ...posted, times: times + 1 }].toSorted(compare) : others
        moves.push({
          label: times === 0 ? label : `${label} (again)`,
          letter,
          number,
          plain: times === 0,
          mail: { ...mail, letters: kept(left, repeats), repeats }
        })
        if (mail.losses > 0 && times === 0) {
          moves.push({
            label: `${label} is lost`,
            letter: undefined,
            number: -1,
            plain: false,
            mail: { ...mail, letters: others, losses: mail.losses - 1, lost: true }
          })
        }
      }
      return moves
    },
    quiet: ({ letters }) => letters.every(({ times }) => times > 0),
    lossy: ({ lost }) => lost,
    key: ({ letters, losses, lost, repeats }) =>
      `${packed(letters.map(({ number, times }) => number * options.each + times))}*${repeats}-${losses}${
        lost ? "!" : ""
      }`
  }
}
