/**
 * `npm run fuzz`: texts that nobody would think of, for everything that takes texts from outside, guided by what they reach.
 *
 *   npm run fuzz -- --seconds 60                 all targets, each its share of the time
 *   npm run fuzz -- --seconds 60 --target event  one of them
 *   npm run fuzz -- --tries 20000 --seed 7       that many texts for each; the same seed tries the same
 *   npm run fuzz -- --seconds 600 --keep         and writes down in test/fuzz/corpus what reached something new
 *
 * What breaks a target is made as small as it can be and told; put into the target's corpus (`--keep` does), it is tried in
 * every run of the tests from then on. A terminal is told in words, a pipe in lines of JSON. Ends with 1 where one is broken.
 */
import { parseArgs } from "node:util"
import { random } from "#infra/Entropy.ts"
import { say } from "../simulation/Telling.ts"
import { chanceFrom } from "../support/Chance.ts"
import * as Corpus from "./Corpus.ts"
import { Coverage } from "./Coverage.ts"
import { fuzz, type Target } from "./Guided.ts"

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    tries: { type: "string" },
    target: { type: "string" },
    seed: { type: "string", default: String(Math.floor(random() * 2 ** 31)) },
    keep: { type: "boolean", default: false },
    // For showing what the guidance is good for: a bug that is planted, and texts that are made of the seeds alone.
    planted: { type: "boolean", default: false },
    blind: { type: "boolean", default: false }
  }
})

// Before the targets are loaded: what is loaded later is counted block by block.
const coverage = new Coverage()
const all: ReadonlyArray<Target> = values.planted
  ? [(await import("./Planted.ts")).target]
  : (await import("./Targets.ts")).targets
const targets = values.target === undefined ? all : all.filter(({ name }) => name === values.target)
if (targets.length === 0) throw new Error(`there is no target "${values.target}", but ${all.map(({ name }) => name)}`)

const seconds = Number(values.seconds ?? (values.tries === undefined ? 60 : Infinity))
const tries = Number(values.tries ?? Infinity)
const seed = Number(values.seed)

for (const target of targets) {
  const until = performance.now() + seconds * 1_000 / targets.length
  const corpus = Corpus.read(target.name)
  const { broken, kept, reached, taken, tries: tried } = fuzz(target, {
    coverage,
    chance: chanceFrom(seed),
    corpus,
    isEnough: (tried) => tried >= tries || performance.now() > until,
    isBlind: values.blind
  })
  const fresh = kept.filter((text) => !corpus.includes(text) && !target.seeds.includes(text))
  if (values.keep) {
    const before = new Set(target.seeds)
    Corpus.write(target.name, [
      ...kept.filter((text) => !before.has(text)),
      ...broken === undefined ? [] : [broken.text]
    ])
  }
  say(
    { target: target.name, seed, tries: tried, taken, kept: kept.length, fresh: fresh.length, reached, broken },
    `${
      broken === undefined ? "✔" : "✘"
    } ${target.name}: ${tried} tries, ${taken} taken, ${fresh.length} new ones kept, ` +
      `${reached} characters of code reached` +
      (broken === undefined ? "" : `\n  ${JSON.stringify(broken.text)} breaks it: ${broken.why} (seed ${seed})`)
  )
  if (broken !== undefined) process.exitCode = 1
}
