/** The adapters in memory keep the laws that those on PostgreSQL keep. */
import { breaksLaws } from "../laws/BreaksLaws.ts"
import { checksLaws } from "../laws/ChecksLaws.ts"
import { consumerPositionsLaws } from "../laws/ConsumerPositionsLaws.ts"
import { intakeLaws } from "../laws/IntakeLaws.ts"
import { leasesLaws } from "../laws/LeasesLaws.ts"
import { ledgerLaws } from "../laws/LedgerLaws.ts"
import { layer } from "../laws/MemoryWorld.ts"
import { queriesLaws } from "../laws/QueriesLaws.ts"
import { shardLogLaws } from "../laws/ShardLogLaws.ts"
import { shardsLaws } from "../laws/ShardsLaws.ts"
import { silentTransfersLaws } from "../laws/SilentTransfersLaws.ts"

shardsLaws("shards in memory", layer)
ledgerLaws("a ledger in memory", layer)
consumerPositionsLaws("places in memory", layer)
leasesLaws("leases in memory", layer)
shardLogLaws("a shard's log in memory", layer)
intakeLaws("the intake in memory", layer)
silentTransfersLaws("silent transfers in memory", layer)
queriesLaws("queries in memory", layer)
checksLaws("checks in memory", layer)
breaksLaws("breaks in memory", layer)
