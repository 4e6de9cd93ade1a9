/**
 * Writes docs/events/*.json: the events as they travel, committed so that a change of them is seen in review.
 *
 *   node run.mjs test/docs/writeEventSchemas.ts
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { eventSchemas } from "./EventSchemas.ts"
import { root } from "./Markdown.ts"

const folder = path.join(root, "docs/events")
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)
for (const [file, text] of eventSchemas) writeFileSync(path.join(folder, file), text)
