/** Says on stderr how far it is: one line that is written over on a terminal, a line each elsewhere. */
const width = () => process.stderr.columns ?? 100

export const say = (line: string): void => {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line.slice(0, width() - 1)}` : `${line}\n`)
}

/** For what changes all the time: only where it can be written over. */
export const flash = (line: string): void => {
  if (process.stderr.isTTY) say(line)
}

export const clear = (): void => {
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")
}
