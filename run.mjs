// Runs one TypeScript file of this repository: node run.mjs <file.ts> [args…]
//
// It is what every npm script goes through, so that a fresh clone needs no other first step: it installs the
// dependencies if they are missing or out of date, then hands over to the Node 24 that came with them. It is plain
// JavaScript without dependencies because it runs before either exists, on whatever Node is there (18 or newer).
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"

const root = path.dirname(fileURLToPath(import.meta.url))
const modules = path.join(root, "node_modules")
const bin = path.join(modules, ".bin")
const lockFile = path.join(root, "package-lock.json")
const stampFile = path.join(modules, ".counterpoise-installed")
const onWindows = process.platform === "win32"

const giveUp = (...lines) => {
  console.error(`\n${lines.join("\n")}\n`)
  process.exit(1)
}

const file = process.argv[2]
if (file === undefined || !file.endsWith(".ts")) giveUp("Usage: node run.mjs <file.ts> [args…]")

// A file is looked for where the caller stands, then in the repository, so that `node ../run.mjs apps/x.ts` works too.
const script = [path.resolve(file), path.resolve(root, file)].find((candidate) => existsSync(candidate))
if (script === undefined) giveUp(`There is no ${file}, neither in ${process.cwd()} nor in ${root}.`)

// The stamp says which packages node_modules was installed with. npm's own record (.package-lock.json) cannot: it is
// there after an install of anything, and half-written if that install was cut short. What the lock file says of this
// repository itself is left out: to name a package that others brought along needs no new install.
const { "": _repository, ...packages } = JSON.parse(readFileSync(lockFile, "utf8")).packages
const wanted = createHash("sha256").update(JSON.stringify(packages)).digest("hex")
const installed = existsSync(stampFile) ? readFileSync(stampFile, "utf8").trim() : undefined
if (installed !== wanted) install()

function install() {
  console.error(
    installed !== undefined
      ? "package-lock.json has changed since the dependencies were installed: running npm ci."
      : existsSync(modules)
      ? "node_modules was not installed from this package-lock.json, or not to the end: running npm ci."
      : "The dependencies are not installed yet (about 650 MB, once): running npm ci."
  )
  // npm must not run on the Node that it is about to delete: under `npm start` that one comes first on the PATH.
  const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: "inherit",
    shell: onWindows,
    env: withPath((folders) => folders.filter((folder) => path.resolve(folder) !== bin))
  })
  if (result.error?.code === "ENOENT") {
    giveUp(
      "Missing: npm, which installs the dependencies.",
      `Looked on the PATH: ${process.env.PATH}`,
      "To do: install Node.js with npm, or run `npm ci` in this folder by other means, then try again."
    )
  }
  if (result.signal) process.exit(128 + constants.signals[result.signal])
  if (result.status !== 0) {
    giveUp(
      `Missing: the dependencies. npm ci ended with ${result.status ?? result.error}; what it said is above.`,
      `Looked in: ${modules}`,
      `To do: check that npm reaches its registry (\`npm ping\`), then run \`npm ci\` in ${root}.`
    )
  }
  writeFileSync(stampFile, `${wanted}\n`)
}

function withPath(change) {
  // Windows spells it "Path"; two spellings in one environment would hide one another.
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === "PATH") ?? "PATH"
  const folders = (process.env[name] ?? "").split(path.delimiter)
  return { ...process.env, [name]: change(folders).join(path.delimiter) }
}

// Node 24 runs .ts files as they are. Without npm's install scripts (ignore-scripts) it does not arrive with the
// dependencies; then the Node running this will do if it is new enough.
const node = [path.join(bin, "node"), path.join(modules, "node", "bin", "node.exe")]
  .find((candidate) => existsSync(candidate) && (!onWindows || candidate.endsWith(".exe"))) ??
  (Number.parseInt(process.versions.node, 10) >= 24 ? process.execPath : undefined)
if (node === undefined) {
  giveUp(
    "Missing: Node 24.",
    `Looked for: ${
      path.join(bin, "node")
    }, which npm's install scripts put there; this is Node ${process.versions.node}.`,
    "To do: `npm ci --ignore-scripts=false`, or use Node 24 or newer."
  )
}

// Node warns of running TypeScript, which is what we want, and of a timer in kafkajs, which does no harm.
const quiet = ["ExperimentalWarning", "TimeoutNegativeWarning"].map((warning) => `--disable-warning=${warning}`)

const child = spawn(node, [...quiet, script, ...process.argv.slice(3)], {
  stdio: "inherit",
  env: withPath((folders) => [bin, ...folders])
})

// The child decides when to end, after it has tidied up; this process only passes the wish on. From a terminal the
// child gets Ctrl-C twice, once from the terminal itself, which does no harm.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))

child.on("error", (error) => giveUp(`Could not start ${node}: ${error.message}`))
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
