/**
 * The events that there are most of, read from their wire form by one expression, as strictly as by their schema and in a tenth of
 * the time. What is written otherwise, and be it by a space, is left to {@link file://./LedgerEvent.ts}.
 */
import { exponents } from "../money/Currency.ts"
import type { LedgerEvent } from "./LedgerEvent.ts"

const account = "((?!clearing:)[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63})"
/** In JSON these characters stand for themselves. */
const text = String.raw`([^"\\\u0000-\u001f]*)`

const terms = `"transfer":"(trf_[0-7][0-9A-HJKMNP-TV-Z]{25})","source":"${account}","destination":"${account}",` +
  `"amount":"([1-9][0-9]{0,37})","currency":"([A-Z]{3})"`

const fact = new RegExp(`^\\{"type":"(transfer\\.(?:authorized|held|credited|committed))",${terms}\\}$`)

const request = new RegExp(
  `^\\{"type":"(transfer\\.requested)",${terms},"capture":"(automatic|manual)","client":"${text}",` +
    `"askedWith":\\{"client":"${text}","scope":"${text}","key":"${text}","fingerprint":"${text}"\\}\\}$`
)

/** The event, or undefined if its schema must be asked. */
export const fromShortForm = (json: string): LedgerEvent | undefined => {
  const asked = request.exec(json)
  const found = asked ?? fact.exec(json)
  if (found === null) return undefined
  const [
    ,
    type,
    transfer,
    source,
    destination,
    amount = "",
    currency = "",
    capture,
    client,
    by,
    scope,
    key,
    fingerprint
  ] = found
  if (!exponents.has(currency)) return undefined
  const event = { type, transfer, source, destination, amount: BigInt(amount), currency }
  // The one cast: the expressions hold what the schema asks for. test/domain/ledger/ShortForm.test.ts compares the two.
  return (asked === null
    ? event
    : { ...event, capture, client, askedWith: { client: by, scope, key, fingerprint } }) as LedgerEvent
}
