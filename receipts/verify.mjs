// Verifies a receipt of Counterpoise, offline, with the public key alone:
//
//     node verify.mjs receipt.json seals.json
//
// seals.json is what the platform publishes at /.well-known/counterpoise-seals.json: fetch it yourself, and keep it. The key
// that signed a receipt must be in there, for a receipt cannot vouch for itself. This needs Node 20 or newer and nothing else.
// The form of receipts, and what one proves and does not, is described in docs/evidence.md of Counterpoise.
import { createHash, createPublicKey, verify } from "node:crypto"
import { readFileSync } from "node:fs"

const must = (holds, otherwise) => {
  if (!holds) throw new Error(otherwise)
}
const only = (found, what) => {
  must(found.length === 1, `there should be one ${what}, and there are ${found.length}`)
  return found[0]
}

// How things are written, hashed and signed

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest()
const bytes = (hex) => {
  must(/^([0-9a-f]{2})+$/.test(hex), `this is not hexadecimal: ${hex}`)
  return Buffer.from(hex, "hex")
}

/** Facts in their order, as a JSON array of strings and nulls without white space (RFC 8785). */
const text = (kind, facts, names) =>
  JSON.stringify([kind, ...names.split(" ").map((name) => facts[name] === null ? null : String(facts[name]))])

const textOfEvent = (event) => text("event", event, "position occurred_at type subject request_id payload hidden")
const textOfJournal = (journal) =>
  text("journal", journal, "position created_at transfer leg step amount currency debit credit hidden")
const textOfBlock = (block) =>
  text(
    "counterpoise block 1",
    block,
    "shard number after up_to leaves root list previous witness_shard witness_number witness_hash sealed_at key"
  )

/** The root of the Merkle tree (RFC 6962) to which the path of a row leads. */
const rootBy = (row, { index, path }, leaves) => {
  const siblings = path.map(bytes)
  let node = sha256("\0", row)
  for (let at = index, last = leaves - 1; last > 0; at >>= 1, last >>= 1) {
    if (at % 2 === 1) node = sha256("\x01", siblings.shift() ?? "", node)
    else if (at < last) node = sha256("\x01", node, siblings.shift() ?? "")
  }
  return siblings.length === 0 ? node.toString("hex") : "none"
}

/** Every block is signed with a key that is trusted, and every row is a leaf of its block. */
const checkSeals = ({ blocks, events, journals }, { keys }) => {
  for (const block of blocks) {
    const name = `block ${block.number} of shard ${block.shard}`
    const key = keys.find(({ id }) => id === block.key)
    must(key !== undefined, `${name} is signed with key ${block.key}, which is not trusted`)
    const publicKey = createPublicKey({ key: Buffer.from(key.public_key, "base64"), format: "der", type: "spki" })
    const isSigned = verify(null, Buffer.from(textOfBlock(block)), publicKey, bytes(block.signature))
    must(publicKey.asymmetricKeyType === "ed25519" && isSigned, `${name} does not carry the signature of key ${key.id}`)
  }
  const check = (leaf, row) => {
    const among = blocks.filter(({ number, shard }) => number === leaf.block && shard === leaf.shard)
    const { leaves, root } = only(among, `block ${leaf.block} of shard ${leaf.shard}`)
    must(Number.isInteger(leaf.index) && leaf.index >= 0 && leaf.index < leaves, "a row is in no place of its block")
    must(rootBy(row, leaf, leaves) === root, `this was not sealed: ${row}`)
  }
  for (const event of events) check(event.leaf, textOfEvent(event))
  for (const journal of journals) check(journal.leaf, textOfJournal(journal))
}

/** The rows tell the whole story of one transfer: how it ended and, if money moved, from where to where. */
const checkStory = ({ events, id, journals }) => {
  const said = events.map(({ leaf, payload, position, type }) => ({ ...JSON.parse(payload), leaf, position, as: type }))
  const end = only(
    said.filter(({ as }) => /^transfer\.(committed|rejected|cancelled)$/.test(as)),
    "end of the transfer"
  )
  const { amount, currency, destination, source } = end
  for (const event of said) {
    must(event.transfer === id && event.type === event.as, `there is an event that is not of ${id}`)
    const agrees = event.source === source && event.destination === destination && event.currency === currency
    must(agrees, "the events contradict each other")
  }
  const posted = (step, debit, credit, event) => {
    const isBeside = ({ leaf, position }) => position === event?.position && leaf.shard === event.leaf.shard
    const journal = only(journals.filter((journal) => journal.step === step && isBeside(journal)), `journal ${step}`)
    const { transfer, amount: moved, currency: unit } = journal
    const agrees = transfer === id && moved === amount && event.amount === amount && unit === currency
    must(agrees && journal.debit === debit && journal.credit === credit, `journal ${step} contradicts the events`)
  }
  const status = end.as.slice("transfer.".length)
  const home = end.leaf.shard
  if (status !== "committed") must(journals.length === 0, "money moved, though the transfer did not come about")
  else if (journals.some(({ step }) => step === "direct")) posted("direct", source, destination, end)
  else {
    const credited = said.find(({ as }) => as === "transfer.credited")
    posted("commit", source, `clearing:${home}:to:${credited?.leaf.shard}:${currency}`, end)
    posted("credit", `clearing:${credited?.leaf.shard}:from:${home}:${currency}`, destination, credited)
  }
  return `${id} is ${status}: ${amount} minor units of ${currency} from ${source} to ${destination}`
}

/** What a receipt says, line by line; fails with why, where it is not valid. */
export const verifyReceipt = (receipt, seals) => {
  must(receipt.format === "counterpoise receipt 1", `receipts of the format ${receipt.format} cannot be read`)
  checkSeals(receipt, seals)
  return [
    checkStory(receipt),
    ...receipt.events.map(({ occurred_at, type }) => `  ${occurred_at} ${type}`),
    ...receipt.blocks.map((block) =>
      `  ${block.sealed_at} sealed in block ${block.number} of shard ${block.shard} with key ${block.key}`
    )
  ]
}

if (import.meta.main ?? process.argv[1]?.endsWith("verify.mjs")) {
  try {
    const [receipt, seals] = process.argv.slice(2, 4).map((file) => JSON.parse(readFileSync(file, "utf8")))
    must(receipt !== undefined && seals !== undefined, "usage: node verify.mjs receipt.json seals.json")
    console.log(`VALID: ${verifyReceipt(receipt, seals).join("\n")}`)
  } catch (error) {
    console.log(`NOT VALID: ${error.message}`)
    process.exitCode = 1
  }
}
