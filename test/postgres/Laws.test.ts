/** The adapters on PostgreSQL keep the laws of their ports. */
import { breaksLaws } from "../laws/BreaksLaws.ts"
import { checksLaws } from "../laws/ChecksLaws.ts"
import { consumerPositionsLaws } from "../laws/ConsumerPositionsLaws.ts"
import { intakeLaws } from "../laws/IntakeLaws.ts"
import { leasesLaws } from "../laws/LeasesLaws.ts"
import { ledgerLaws } from "../laws/LedgerLaws.ts"
import { layer } from "../laws/PostgresWorld.ts"
import { queriesLaws } from "../laws/QueriesLaws.ts"
import { shardLogLaws } from "../laws/ShardLogLaws.ts"
import { shardsLaws } from "../laws/ShardsLaws.ts"
import { silentTransfersLaws } from "../laws/SilentTransfersLaws.ts"

shardsLaws("shards on PostgreSQL", layer)
ledgerLaws("a ledger on PostgreSQL", layer)
consumerPositionsLaws("places on PostgreSQL", layer)
leasesLaws("leases on PostgreSQL", layer)
shardLogLaws("a shard's log on PostgreSQL", layer)
intakeLaws("the intake on PostgreSQL", layer)
silentTransfersLaws("silent transfers on PostgreSQL", layer)
queriesLaws("queries on PostgreSQL", layer)
checksLaws("checks on PostgreSQL", layer)
breaksLaws("breaks on PostgreSQL", layer)
