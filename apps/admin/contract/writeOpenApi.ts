/**
 * Writes docs/admin-openapi.json: the contract as it is served, committed so that a change of it is seen in review.
 *
 *   node run.mjs apps/admin/contract/writeOpenApi.ts
 */
import { writeFileSync } from "node:fs"
import path from "node:path"
import { text } from "./OpenApiDocument.ts"

writeFileSync(path.join(import.meta.dirname, "../../../docs/admin-openapi.json"), text)
