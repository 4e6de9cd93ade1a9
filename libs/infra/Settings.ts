/**
 * The platform's configuration: environment only, one typed schema. All mistakes are reported at once, each with the name
 * of its variable.
 */
import { Config, Duration, Effect, Redacted, Schema } from "effect"
import { even } from "#domain/sharding/ShardMap.ts"
import { maximumPartitions } from "#domain/sharding/Partition.ts"

/** The environment does not say what it must. Each mistake names its variable. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  mistakes: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the configuration has ${this.mistakes.length} mistake(s):\n${
      this.mistakes.map((each) => `  - ${each}`).join("\n")
    }`
  }
}

const seconds = (name: string, byDefault: number) =>
  Config.schema(Schema.NumberFromString.check(Schema.isBetween({ minimum: 0.1, maximum: 31_536_000 })), name).pipe(
    Config.withDefault(byDefault),
    Config.map(Duration.seconds)
  )

const whole = (name: string, byDefault: number, maximum: number) =>
  Config.schema(
    Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum })),
    name
  ).pipe(Config.withDefault(byDefault))

const port = (name: string, byDefault: number) => Config.Port(name).pipe(Config.withDefault(byDefault))

const url = Schema.String.check(Schema.isPattern(/^postgres(ql)?:\/\/.+/, { message: "must be a postgres:// address" }))

/** Where the shards are: SHARD_URLS (addresses in the order of the shards' numbers) and PARTITIONS. */
export const shards = {
  shardUrls: Config.schema(Schema.NonEmptyString, "SHARD_URLS").pipe(
    Config.map((text) => text.split(",").map((each) => each.trim()))
  ),
  partitions: Config.schema(
    Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: maximumPartitions })),
    "PARTITIONS"
  ).pipe(Config.withDefault(64))
}

/** Which event log the shards share. */
export const eventLog = {
  kind: Config.schema(Schema.Literals(["postgres", "kafka"]), "EVENT_LOG").pipe(
    Config.withDefault("postgres" as const)
  ),
  url: Config.option(Config.schema(url, "EVENT_LOG_URL")),
  brokers: Config.option(Config.schema(Schema.NonEmptyString, "KAFKA_BROKERS")),
  topic: Config.schema(Schema.NonEmptyString, "KAFKA_TOPIC").pipe(Config.withDefault("transfers")),
  transactions: Config.Boolean("KAFKA_TRANSACTIONS").pipe(Config.withDefault(true))
}

/** How processes share the work. */
export const work = { leaseTime: seconds("LEASE_SECONDS", 5) }

/** How much a ledger worker does in one transaction. */
export const batches = { batchSize: whole("LEDGER_BATCH_SIZE", 1_000, 10_000) }

/** How patient the reconciler is. */
export const patience = {
  requested: seconds("REQUEST_PATIENCE_SECONDS", 30),
  held: seconds("HOLD_PATIENCE_SECONDS", 300),
  every: seconds("RECONCILE_SECONDS", 5),
  checkEvery: seconds("CHECK_SECONDS", 60),
  sampleEvery: seconds("SAMPLE_SECONDS", 15)
}

/** What blocks are sealed with, and how often. */
export const sealing = {
  key: Config.option(Config.schema(
    Schema.Redacted(Schema.String.check(
      Schema.isPattern(/^MC4CAQAwBQYDK2VwBCIEI[A-Za-z0-9+/]{43}$/, {
        message: "must be an Ed25519 private key: PKCS#8, DER, in base64"
      })
    )),
    "SEAL_KEY"
  )),
  every: seconds("SEAL_SECONDS", 10)
}

/** Whose seals are trusted: the public keys, those of the past too. */
export const seals = {
  publicKeys: Config.option(
    Config.schema(
      Schema.String.check(
        Schema.isPattern(/^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=(,MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=)*$/, {
          message: "must be Ed25519 public keys: SPKI, DER, in base64, separated by commas"
        })
      ),
      "SEAL_PUBLIC_KEYS"
    ).pipe(Config.map((text) => text.split(",")))
  )
}

/** Who may call: `name:key,name:key`, as the holder's name by its key. */
const keys = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.isPattern(/^[\w.-]+:[\x21-\x2b\x2d-\x7e]{16,}(,[\w.-]+:[\x21-\x2b\x2d-\x7e]{16,})*$/, {
        message: "must be name:key,name:key with keys of at least 16 characters"
      })
    ),
    name
  ).pipe(Config.map((text) =>
    new Map(
      text.split(",").map((each) => {
        const colon = each.indexOf(":")
        return [each.slice(colon + 1), each.slice(0, colon)] as const
      })
    )
  ))

/** Where the API listens, whom it knows, how much each may ask for, and all of them at once. */
export const api = {
  host: Config.schema(Schema.NonEmptyString, "API_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: port("API_PORT", 8080),
  keys: keys("API_KEYS"),
  requestsPerSecond: Config.option(Config.schema(
    Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
    "API_REQUESTS_PER_SECOND"
  )),
  transfersAtOnce: whole("API_TRANSFERS_AT_ONCE", 2_000, 1_000_000)
}

/** Where the operators' API listens, and whom it knows: the name of a key is the actor of what is done with it. */
export const admin = {
  host: Config.schema(Schema.NonEmptyString, "ADMIN_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: port("ADMIN_PORT", 8090),
  keys: keys("ADMIN_KEYS")
}

/** How the operators' command reaches the operators' API, and as whom. */
export const operator = {
  url: Config.option(Config.schema(
    Schema.String.check(
      Schema.isPattern(/^https?:\/\/[^/?#@]+\/?$/, { message: "must be an http:// or https:// address" })
    ),
    "ADMIN_URL"
  )),
  key: Config.option(Config.schema(Schema.Redacted(Schema.NonEmptyString), "ADMIN_KEY"))
}

/**
 * Where facts are told, and how: at WEBHOOK_URL, signed with WEBHOOK_SECRET, `whsec_` and 24 to 64 bytes in base64. While
 * the secret is changed there are two, separated by a comma.
 */
export const webhook = {
  url: Config.option(Config.schema(
    Schema.String.check(
      Schema.isPattern(/^https?:\/\/[^/?#@]+([/?][^#]*)?$/, {
        message: "must be an http:// or https:// address, without a user, a password or a fragment"
      })
    ),
    "WEBHOOK_URL"
  )),
  secrets: Config.option(
    Config.schema(
      Schema.String.check(
        Schema.isPattern(/^whsec_[A-Za-z0-9+/]{32,86}={0,2}(,whsec_[A-Za-z0-9+/]{32,86}={0,2})*$/, {
          message: "must be whsec_ and 24 to 64 bytes in base64 (several: separated by commas)"
        })
      ),
      "WEBHOOK_SECRET"
    ).pipe(
      Config.map((text) =>
        text.split(",").map((each) => Redacted.make(Buffer.from(each.slice("whsec_".length), "base64")))
      )
    )
  ),
  atOnce: whole("WEBHOOK_AT_ONCE", 8, 1_000),
  tries: whole("WEBHOOK_TRIES", 8, 1_000),
  patience: seconds("WEBHOOK_PATIENCE_SECONDS", 86_400)
}

/** What the notifier keeps, and where. */
export const notifier = {
  database: Config.option(Config.schema(url, "NOTIFIER_URL")),
  mostParked: whole("NOTIFIER_MOST_PARKED", 100, 100_000)
}

/** Where a process without an API answers /livez, /readyz and /metrics; 0 draws a port. */
export const health = { healthPort: Config.option(Config.Port("HEALTH_PORT")) }

/** Where a process is to die, and on which pass. */
export interface CrashAt {
  /** `ledger.after_commit` */
  readonly point: string
  readonly pass: number
}

/** For those who test failure: the crash point (libs/infra/CrashPoints.ts) at which the process kills itself. */
export const crash = {
  crashAt: Config.option(
    Config.schema(
      Schema.String.check(
        Schema.isPattern(/^\w+\.\w+:[1-9]\d*$/, {
          message: "must be process.point:pass, such as ledger.after_commit:3"
        })
      ),
      "CRASH_AT"
    ).pipe(Config.map((text): CrashAt => {
      const [point = "", pass = ""] = text.split(":")
      return { point, pass: Number(pass) }
    }))
  )
}

type Values<Fields> = { readonly [Key in keyof Fields]: Fields[Key] extends Config.Config<infer A> ? A : never }

/** Reads groups of settings; fails with all their mistakes. */
export const read = Effect.fnUntraced(function*<const Fields extends Readonly<Record<string, Config.Config<unknown>>>>(
  fields: Fields
) {
  const mistakes: Array<string> = []
  const values: Record<string, unknown> = {}
  for (const [name, config] of Object.entries(fields)) {
    yield* config.pipe(
      Effect.match({
        onFailure: (error) => {
          mistakes.push(error.message.replaceAll(/\s*\n\s*/g, " "))
        },
        onSuccess: (value) => {
          values[name] = value
        }
      })
    )
  }
  if (mistakes.length > 0) return yield* InvalidSettings.make({ mistakes })
  // Filled field by field above; the compiler cannot follow that.
  return values as Values<Fields>
})

/** The addresses as secrets, and the even map over them. */
export const shardMapOf = (settings: { readonly shardUrls: ReadonlyArray<string>; readonly partitions: number }) => ({
  urls: settings.shardUrls.map((each) => Redacted.make(each)),
  map: even(settings.shardUrls.length, settings.partitions)
})
