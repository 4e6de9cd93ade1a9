/** The adapters on PostgreSQL keep the laws of their ports. */
import { consumerPositionsLaws } from "../laws/ConsumerPositionsLaws.ts"
import { leasesLaws } from "../laws/LeasesLaws.ts"
import { ledgerLaws } from "../laws/LedgerLaws.ts"
import { layer } from "../laws/PostgresWorld.ts"
import { shardLogLaws } from "../laws/ShardLogLaws.ts"
import { shardsLaws } from "../laws/ShardsLaws.ts"

shardsLaws("shards on PostgreSQL", layer)
ledgerLaws("a ledger on PostgreSQL", layer)
consumerPositionsLaws("places on PostgreSQL", layer)
leasesLaws("leases on PostgreSQL", layer)
shardLogLaws("a shard's log on PostgreSQL", layer)
