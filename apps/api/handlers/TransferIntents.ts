/** What a client wants of a transfer, as the intake takes it. */
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { Request, TransferIntent } from "#domain/transfer/Intake.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import { defaultExpirySeconds, type RequestTransfer } from "../contract/Transfers.ts"

/** Of a request for a transfer, its name in a fingerprint. */
export const operation = "POST /v1/transfers"

/** @param partitions how many there are: the transfer's id carries that of its source */
export const intentOf = (
  request: Request,
  wanted: typeof RequestTransfer.Type,
  millis: number,
  partitions: number
): TransferIntent => {
  const capture = wanted.capture ?? "automatic"
  return {
    request,
    terms: {
      transfer: TransferId.make(millis, partitionOf(wanted.source, partitions), random),
      source: wanted.source,
      destination: wanted.destination,
      amount: wanted.amount,
      currency: wanted.currency
    },
    capture,
    expiresInSeconds: capture === "manual" ? wanted.expires_in ?? defaultExpirySeconds : null,
    reverses: wanted.reverses ?? null,
    reference: wanted.reference ?? null,
    description: wanted.description ?? null,
    metadata: wanted.metadata ?? {}
  }
}
