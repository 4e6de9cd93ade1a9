/**
 * Arrays as statement parameters: one prepared statement for every batch size. Their types are spelled out, because a
 * column that happens to be all NULL has none to be inferred from.
 */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

const column = <A>(values: ReadonlyArray<A>, oid: number) => Result.getOrThrow(PgTypes.array(values, oid))

export const texts = (values: ReadonlyArray<string | null>) => column(values, PgTypes.OID.text)
export const int4s = (values: ReadonlyArray<number | null>) => column(values, PgTypes.OID.int4)
export const int8s = (values: ReadonlyArray<bigint | null>) => column(values, PgTypes.OID.int8)
export const byteas = (values: ReadonlyArray<Uint8Array | null>) => column(values, PgTypes.OID.bytea)

/** Numbers of any length travel as text; the statement casts them to numeric. */
export const numerics = (values: ReadonlyArray<bigint | null>) =>
  column(values.map((value) => value === null ? null : value.toString()), PgTypes.OID.text)
