/** Texts found by mutation: what a parser took is kept, and mutated next, so that most are nearly right. */

/** Tries texts that are made of those that it begins with, and of those of them that were taken; answers how many were. */
export const fuzz = (options: {
  readonly seeds: ReadonlyArray<string>
  readonly times: number
  readonly chance: () => number
  readonly attempt: (text: string) => boolean
}): number => {
  const { attempt, chance, seeds, times } = options
  const below = (most: number) => Math.floor(chance() * most)
  const kept = [...seeds]
  const one = () => kept[below(kept.length)] ?? ""

  const mutated = (text: string): string => {
    const [at, to] = [below(text.length + 1), below(text.length + 1)]
    switch (below(8)) {
      case 0:
        return text.slice(0, at) + String.fromCharCode(below(128)) + text.slice(at)
      case 1:
        return text.slice(0, at) + String.fromCharCode(below(0x1_0000)) + text.slice(at + 1)
      case 2:
        return text.slice(0, at) + text.slice(at + 1 + below(4))
      case 3:
        return text.slice(0, at) + one().slice(to)
      case 4:
        return text.slice(0, at) + text.slice(to)
      case 5:
        return (text + text).slice(0, 5_000)
      case 6:
        return text.slice(0, at) + interesting[below(interesting.length)] + text.slice(at)
      default:
        return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << below(8))) + text.slice(at + 1)
    }
  }

  let taken = seeds.filter(attempt).length
  for (let tried = 0; tried < times; tried++) {
    let text = one()
    for (let changes = below(4); changes >= 0; changes--) text = mutated(text)
    if (!attempt(text)) continue
    taken++
    kept.push(text)
  }
  return taken
}

const interesting = [
  "0",
  "-",
  "1e9",
  "9".repeat(38),
  "\"",
  "\\",
  "\\u0000",
  "\\ud800",
  "{\"a\":",
  "[",
  "]",
  "}",
  ",",
  "null",
  "__proto__",
  "clearing:",
  "\u0000",
  "\u2028",
  "\ufeff",
  "trf_",
  "٣",
  "1970-01-01T00:00:00Z",
  " "
]
