/** Signing a zone of hosts from nothing, P-256 and NSEC, one key: whole commands, their CPU time.
 *  Also beside a plain loop of crypto.sign, which is what OpenSSL gives to JavaScript. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { toolPath } from '../test/support/tools.ts'
import { timeCommand } from './command.ts'
import { OURS, type Result } from './report.ts'
import { CONCLAVE_COMMAND, isThere, unsignedFile, Values, type Workbench } from './workbench.ts'

/** Enough for a cost of each; the loop's figure is scaled to the number of signatures. */
const LOOP_SIGNATURES = 10_000
/** The octets that an RRSIG of an A record covers. */
const LOOP_MESSAGE_OCTETS = 80

export async function benchSign(bench: Workbench): Promise<Result[]> {
  const zone = unsignedFile(bench, 'dual-stack')
  const out = join(bench.directory, 'out.signed')
  const keys = join(bench.directory, 'sign-keys')
  mkdirSync(keys, { recursive: true })
  const [plain, digested, full, loop] = [new Values(), new Values(), new Values(), new Values()]
  const share = new Values()
  const pair = keyPair(bench, keys)
  let signatures = 0
  const ours = (gate: string, zonemd: string): number => {
    const words = ['sign', zone.path, '-o', out, '--keys', keys, '--gate', gate, '--zonemd', zonemd, '--json']
    const { cpuSeconds, output } = timeCommand([...CONCLAVE_COMMAND, ...words])
    signatures = Number(/"signaturesMade":(\d+)/.exec(output)?.[1])
    return cpuSeconds
  }
  const ldns = (words: readonly string[]): number =>
    timeCommand([toolPath('ldns-signzone')!, ...words, '-f', out, zone.path, pair!]).cpuSeconds
  const addBoth = (contender: string, without: number, withDigest: number): void => {
    plain.add(contender, without)
    digested.add(contender, withDigest)
    share.add(contender, Math.max(0, withDigest - without))
  }
  for (let run = 0; run < bench.runs; run++) {
    const without = ours('keys', 'none')
    addBoth(OURS, without, ours('keys', 'sha384'))
    full.add(OURS, ours('full', 'sha384'))
    loop.add(OURS, without)
    loop.add('crypto.sign', loopSeconds(signatures))
    if (pair === undefined) continue
    if (isThere(bench, 'ldns-signzone')) addBoth('ldns-signzone', ldns([]), ldns(['-z', '1:1']))
    if (isThere(bench, 'dnssec-signzone')) {
      // -d: it writes a dsset file too, else into the working directory.
      const words = ['-S', '-z', '-o', zone.name, '-K', keys, '-d', keys, '-f', out, zone.path, pair]
      full.add('dnssec-signzone', timeCommand([toolPath('dnssec-signzone')!, ...words]).cpuSeconds)
    }
  }
  const what = `${signatures.toLocaleString('en')} signatures`
  return [
    { quantity: `${what} without the gate: CPU`, unit: 's', values: plain.all, goal: 0.8 },
    { quantity: `${what} without the gate, ZONEMD: CPU`, unit: 's', values: digested.all, goal: 0.8 },
    { quantity: 'share of ZONEMD: CPU', unit: 's', values: share.all, goal: 1 },
    { quantity: `${what}, every one verified: CPU`, unit: 's', values: full.all, goal: 0.9 },
    { quantity: `${what}, beside a loop of as many: CPU`, unit: 's', values: loop.all, goal: 1.3 },
  ]
}

/** Path of a new pair without its ending: one key that all contenders sign with. */
function keyPair(bench: Workbench, directory: string): string | undefined {
  if (!isThere(bench, 'dnssec-keygen')) return undefined
  const words = ['-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', '-K', directory, 'bench.test']
  timeCommand([toolPath('dnssec-keygen')!, ...words])
  const file = readdirSync(directory).find(name => name.endsWith('.key'))
  return file === undefined ? undefined : join(directory, file.slice(0, -'.key'.length))
}

function loopSeconds(signatures: number): number {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  const message = new Uint8Array(LOOP_MESSAGE_OCTETS)
  const count = Math.min(signatures, LOOP_SIGNATURES)
  const before = process.cpuUsage()
  for (let index = 0; index < count; index++) sign('sha256', message, key)
  const { user, system } = process.cpuUsage(before)
  return (((user + system) / 1e6) * signatures) / count
}
