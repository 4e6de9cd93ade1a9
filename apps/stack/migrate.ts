/** `npm run migrate`: brings every shard to the newest schema; and the embedded event log and the notifier's, where used. */
import { migratePlatform } from "#infra/postgres/MigratePlatform.ts"
import { main } from "#infra/Program.ts"

main("migrate", migratePlatform)
