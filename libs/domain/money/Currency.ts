/**
 * Currencies of ISO 4217 and the number of decimals of their minor unit.
 *
 * The table is the list of active alphabetic codes of ISO 4217 (six-number list of 2026), without the precious metals,
 * funds codes without a minor unit and test codes: nobody can hold an account in those.
 */
import { Schema } from "effect"

const codesByExponent: ReadonlyArray<readonly [exponent: number, codes: string]> = [
  [0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"],
  [
    2,
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW " +
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF " +
    "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK " +
    "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP " +
    "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER " +
    "ZAR ZMW ZWG"
  ],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
  [4, "CLF UYW"]
]

/** Decimals of the minor unit by currency code: EUR → 2, JPY → 0, BHD → 3. */
export const exponents: ReadonlyMap<string, number> = new Map(
  codesByExponent.flatMap(([exponent, codes]) => codes.split(" ").map((code) => [code, exponent] as const))
)

/** An ISO 4217 alphabetic code in capitals, such as `EUR`. */
export const Currency = Schema.String.check(
  Schema.makeFilter((code) => exponents.has(code) || "must be an ISO 4217 currency code in capitals, such as EUR")
).pipe(Schema.brand("Currency"))
export type Currency = typeof Currency.Type

/** Decimals of the currency's minor unit. */
export const exponentOf = (currency: Currency): number => exponents.get(currency) ?? 0

/** Writes minor units the way people read them: `format(1250n, "EUR")` is `12.50 EUR`. Never parsed back. */
export const format = (minor: bigint, currency: Currency): string => {
  const exponent = exponentOf(currency)
  const digits = (minor < 0n ? -minor : minor).toString().padStart(exponent + 1, "0")
  const whole = digits.slice(0, digits.length - exponent)
  const fraction = exponent === 0 ? "" : `.${digits.slice(-exponent)}`
  return `${minor < 0n ? "-" : ""}${whole}${fraction} ${currency}`
}
