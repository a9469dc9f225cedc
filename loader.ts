/** Runs the scripts of the bundle (bundle.ts), each with the code that V8 made of it in an earlier process: a file beside the
 *  script, one for each use (`serve`, a thread), since a use compiles only the functions that it calls. A process makes
 *  the file when there is none that is right, once it has run for a while or ends, so that those functions are in it.
 *  I1  V8 gets only what this very executable wrote for this very text, whole: it compares a version, the text's length and
 *      its flags, but no content, and runs what is wrong until it crashes (nodejs/node issue 62781).
 *  I2  A file is whole or not there (written aside, renamed), lies in this directory and nowhere else, and what goes wrong
 *      with it costs time, nothing more.
 *  I3  A script runs once in a thread, whoever asks for it: a class is the same for all faces of the package. */
import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cachedDataVersionTag } from 'node:v8'
import { Script } from 'node:vm'

type Entries = Readonly<Record<string, () => unknown>>
type Wrapped = (exports: object, require: NodeJS.Require, moduleUrl: string) => void

/** After this the functions of a start have been called; V8 forgets their code when memory is freed, which is later. */
const KEEP_AFTER_MILLISECONDS = 1000
/** While V8's flags are others than before (cli/inlining.ts): it would take what is made now with those only. */
const KEEP_AGAIN_MILLISECONDS = 100
const SEAL_OCTETS = 32

const scripts = new Map<string, Entries>()

/** Runs `NAME.script.js` unless it has run, and one of its entries. `use` names the file of code; only words go into it. */
export function load(directory: string, name: string, entry?: string, use?: string): unknown {
  const words = [name, entry, use].filter(word => word !== undefined && /^[a-z][a-z-]{0,30}$/.test(word))
  let entries = scripts.get(name)
  if (entries === undefined) {
    entries = runScript(
      join(directory, `${name}.script.js`),
      join(directory, `${words.join('.')}.code`),
    ).entries
    scripts.set(name, entries)
  }
  return entry === undefined ? undefined : entries[entry]?.()
}

export interface Run {
  readonly entries: Entries
  /** Whether V8 took the code that was there. */
  readonly accepted: boolean
}

/** @throws what the script throws, or that it is not there */
export function runScript(scriptFile: string, codeFile: string): Run {
  const require = createRequire(scriptFile)
  // Source maps are read for what Node.js loads itself, and functions that are compiled elsewhere are counted whole.
  const watched = process.sourceMapsEnabled || process.env['NODE_V8_COVERAGE'] !== undefined
  const { wrapped, accepted } = watched
    ? { wrapped: require(scriptFile) as Wrapped, accepted: false }
    : compile(scriptFile, codeFile)
  const entries = {}
  wrapped(entries, require, pathToFileURL(scriptFile).href)
  return { entries, accepted }
}

function compile(scriptFile: string, codeFile: string): { wrapped: Wrapped; accepted: boolean } {
  // As octets: what is not ASCII stands in comments.
  const text = readFileSync(scriptFile, 'latin1')
  const seal = sealOf(text)
  const code = readCode(codeFile, seal)
  const script = new Script(text, { filename: scriptFile, ...(code && { cachedData: code }) })
  const accepted = code !== undefined && script.cachedDataRejected === false
  if (!accepted) keepLater(script, codeFile, seal)
  return { wrapped: script.runInThisContext() as Wrapped, accepted }
}

type Seal = (code: Uint8Array) => Buffer

/** I1: another build of Node.js can have the same version. */
function sealOf(text: string): Seal {
  const { version, arch, versions, execPath } = process
  const maker = JSON.stringify([version, arch, versions.v8, execPath, executableFacts()])
  return code => createHash('sha256').update(maker).update(text, 'latin1').update(code).digest()
}

/** Of the one that runs, which an upgrade may have replaced meanwhile. */
function executableFacts(): readonly number[] {
  try {
    const { size, mtimeMs } = statSync(process.platform === 'linux' ? '/proc/self/exe' : process.execPath)
    return [size, mtimeMs]
  } catch {
    return []
  }
}

function readCode(file: string, seal: Seal): Buffer | undefined {
  try {
    const octets = readFileSync(file)
    const code = octets.subarray(SEAL_OCTETS)
    return seal(code).equals(octets.subarray(0, SEAL_OCTETS)) ? code : undefined
  } catch {
    return undefined
  }
}

/** A process that fails has called other functions than those that a start needs. */
function keepLater(script: Script, file: string, seal: Seal): void {
  const flags = cachedDataVersionTag()
  const keep = (): void => {
    clearTimeout(timer)
    if (cachedDataVersionTag() !== flags) {
      timer = setTimeout(keep, KEEP_AGAIN_MILLISECONDS).unref()
      return
    }
    process.off('exit', atExit)
    keepCode(script, file, seal)
  }
  const atExit = (exitCode: number): void => {
    if (exitCode === 0) keep()
  }
  let timer = setTimeout(keep, KEEP_AFTER_MILLISECONDS).unref()
  process.on('exit', atExit)
}

/** I2. */
function keepCode(script: Script, file: string, seal: Seal): void {
  const aside = `${file}.${randomUUID()}`
  const kept = succeeds(() => {
    const code = script.createCachedData()
    writeFileSync(aside, Buffer.concat([seal(code), code]))
    renameSync(aside, file)
  })
  if (!kept) succeeds(() => rmSync(aside, { force: true }))
}

function succeeds(work: () => void): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
