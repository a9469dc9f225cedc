/** `npm test`: looks for the judges the tests need, installs them where that was asked for, runs AVA, prints its counts.
 *  I1  Debian packages are installed only as root with CONCLAVE_INSTALL or CI set, and with daemon starts denied.
 *  I2  The last line, `tests: N passed, N failed`, is made from AVA's own counts; the exit code is AVA's. */
import { type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A program of each package that the tests start; all of Debian. */
const JUDGES: Readonly<Record<string, string>> = {
  bind9: 'named',
  'bind9-dnsutils': 'delv',
  'bind9-utils': 'dnssec-verify',
  dnsperf: 'dnsperf',
  iproute2: 'ip',
  knot: 'knotd',
  'knot-dnsutils': 'kdig',
  'knot-dnssecutils': 'kzonecheck',
  ldnsutils: 'ldns-verify-zone',
  nsd: 'nsd',
  opensc: 'pkcs11-tool',
  openssl: 'openssl',
  softhsm2: 'softhsm2-util',
  strace: 'strace',
  unbound: 'unbound',
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const POLICY_FILE = '/usr/sbin/policy-rc.d'

function missingPackages(): string[] {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return Object.entries(JUDGES)
    .filter(([, program]) => !places.some(place => existsSync(join(place, program))))
    .map(([name]) => name)
}

function installJudges(missing: readonly string[]): void {
  const kept = existsSync(POLICY_FILE) ? readFileSync(POLICY_FILE) : undefined
  // policy-rc.d: exit code 101 forbids maintainer scripts to start a daemon.
  writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    for (const words of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) apt(words)
  } finally {
    if (kept === undefined) rmSync(POLICY_FILE)
    else writeFileSync(POLICY_FILE, kept, { mode: 0o755 })
  }
}

/** A machine that has just started may be at its own updates, and mirrors change under one's hands. */
const APT_TRIES = 6
const APT_PAUSE_MILLISECONDS = 20_000
const APT_PATIENCE = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300']

/** @throws Error after several tries */
function apt(words: readonly string[]): void {
  const options: SpawnSyncOptions = {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }
  for (let tries = 1; ; tries++) {
    if (spawnSync('apt-get', ['-q', ...APT_PATIENCE, ...words], options).status === 0) return
    if (tries === APT_TRIES) throw new Error(`apt-get ${words[0]} failed`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, APT_PAUSE_MILLISECONDS)
  }
}

function prepareJudges(): void {
  const missing = missingPackages()
  if (missing.length === 0) return
  const asked = process.env.CONCLAVE_INSTALL !== undefined || process.env.CI !== undefined
  if (asked && process.getuid?.() === 0) installJudges(missing)
  else {
    console.log('Some tests need other programs and will be skipped. To have them all:')
    console.log(`  apt-get install --no-install-recommends ${missing.join(' ')}`)
  }
}

/** pkcs11js compiles when it is installed, and npm says nothing when that fails: it is tried again with the headers that lie
 *  beside this Node.js. */
function prepareTokens(): void {
  const prefix = join(process.execPath, '..', '..')
  if (isBuilt('pkcs11js') || !existsSync(join(prefix, 'include', 'node', 'node.h'))) return
  const environment = { ...process.env, npm_config_nodedir: prefix }
  spawnSync('npm', ['rebuild', 'pkcs11js'], { cwd: root, stdio: 'inherit', env: environment })
  if (!isBuilt('pkcs11js')) console.log('The package pkcs11js cannot be built: tests of tokens are skipped.')
}

function isBuilt(name: string): boolean {
  try {
    createRequire(import.meta.url)(name)
    return true
  } catch {
    return false
  }
}

interface Counts {
  passed: number
  failed: number
}

/** AVA's TAP output ends with `# pass N` and `# fail N`; only failures and skips are worth a person's screen. */
function runTests(words: readonly string[]): Promise<{ code: number; counts: Counts }> {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const scratch = mkdtempSync(join(tmpdir(), 'conclave-test-'))
  // Tests of --user look into it as that user.
  chmodSync(scratch, 0o755)
  const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, TMPDIR: scratch }
  const child = spawn(process.execPath, [ava, '--tap', ...words], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const counts: Counts = { passed: 0, failed: 0 }
  createInterface({ input: child.stdout }).on('line', line => {
    const count = /^# (pass|fail) (\d+)$/.exec(line)
    if (count?.[1] === 'pass') counts.passed = Number(count[2])
    else if (count?.[1] === 'fail') counts.failed = Number(count[2])
    else console.log(line)
  })
  return new Promise(resolve => {
    child.on('close', code => {
      rmSync(scratch, { recursive: true, force: true })
      resolve({ code: code ?? 1, counts })
    })
  })
}

prepareJudges()
prepareTokens()
const { code, counts } = await runTests(process.argv.slice(2))
console.log(`tests: ${counts.passed} passed, ${counts.failed} failed`)
process.exitCode = code
