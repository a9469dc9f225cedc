/** Zones signed by others, served as they are: ldns-signzone's and dnssec-signzone's, validated by unbound and delv;
 *  and zones with a fault put in, which both must find bogus, so that their praise of ours means something. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNameserver } from '../../server/index.ts'
import { withBrokenSignature, without } from '../support/tampering.ts'
import { needs, toolPath } from '../support/tools.ts'
import {
  CHILD,
  childText,
  delvFaults,
  PARENT,
  PLAIN,
  parentText,
  plainText,
  unboundFaults,
} from '../support/validated-zones.ts'
import { delvOf, outcomeOf, portOf, type Resolver, startUnbound } from '../support/validators.ts'

const directory = mkdtempSync(join(tmpdir(), 'conclave-presigned-'))
test.after.always(() => rmSync(directory, { recursive: true }))

interface SignedZone {
  readonly text: string
  readonly ds: string
}

function run(program: string, ...words: string[]): string {
  return execFileSync(toolPath(program)!, words, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

type Denial = 'nsec' | 'nsec3' | 'opt-out'
type Signer = (zone: string, text: string, denial: Denial) => SignedZone

/** A KSK of BIND's making; both signers take it for a CSK. */
function makeKey(zone: string, algorithm: string): { base: string; ds: string } {
  const base = run('dnssec-keygen', '-q', '-a', algorithm, '-f', 'KSK', zone).trim()
  const ds = run('dnssec-dsfromkey', '-2', `${base}.key`).trim()
  return { base, ds }
}

let filesWritten = 0

function ldnsSigner(algorithm: string): Signer {
  return (zone, text, denial) => {
    const { base, ds } = makeKey(zone, algorithm)
    const file = join(directory, `${filesWritten++}.zone`)
    writeFileSync(file, text)
    const how = { nsec: [], nsec3: ['-n', '-t', '0'], 'opt-out': ['-n', '-t', '0', '-p'] }[denial]
    run('ldns-signzone', ...how, '-o', zone, '-f', `${file}.signed`, file, base)
    return { text: readFileSync(`${file}.signed`, 'utf8'), ds }
  }
}

function bindSigner(algorithm: string): Signer {
  return (zone, text, denial) => {
    const { base, ds } = makeKey(zone, algorithm)
    const file = join(directory, `${filesWritten++}.zone`)
    writeFileSync(file, `${text}\n$INCLUDE ${base}.key\n`)
    const how = { nsec: [], nsec3: ['-3', '-'], 'opt-out': ['-3', '-', '-A'] }[denial]
    run('dnssec-signzone', '-q', '-z', '-O', 'full', ...how, '-o', zone, '-f', `${file}.signed`, file, base)
    return { text: readFileSync(`${file}.signed`, 'utf8'), ds }
  }
}

interface Served {
  readonly port: number
  readonly anchor: string
}

/** Everything on one nameserver that signs nothing. */
async function serve(t: ExecutionContext, anchor: string, texts: readonly string[]): Promise<Served> {
  const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing: false })
  t.teardown(() => server.close())
  for (const text of texts) {
    const outcome = await server.addText(text)
    if (outcome.kind !== 'published') throw new Error(JSON.stringify(outcome))
  }
  return { port: portOf(server), anchor }
}

function serveFamily(
  t: ExecutionContext,
  sign: Signer,
  denial: Denial,
  tamper: (text: string) => string = text => text,
): Promise<Served> {
  const child = sign(CHILD, childText, denial)
  const parent = sign(PARENT, parentText(child.ds), denial)
  return serve(t, parent.ds, [tamper(parent.text), child.text, plainText])
}

async function resolverOf(t: ExecutionContext, { port, anchor }: Served): Promise<Resolver> {
  const zones = [PARENT, CHILD, PLAIN].map(name => ({ name, port }))
  const resolver = await startUnbound({ zones, anchors: [anchor] })
  t.teardown(resolver.stop)
  return resolver
}

const SETTINGS: readonly { signer: string; denial: Denial; algorithm: string; delv?: true }[] = [
  { signer: 'ldns-signzone', denial: 'nsec', algorithm: 'RSASHA256' },
  { signer: 'ldns-signzone', denial: 'nsec3', algorithm: 'ECDSAP256SHA256', delv: true },
  { signer: 'ldns-signzone', denial: 'opt-out', algorithm: 'ED25519' },
  { signer: 'dnssec-signzone', denial: 'nsec', algorithm: 'ED25519', delv: true },
  { signer: 'dnssec-signzone', denial: 'nsec3', algorithm: 'RSASHA256' },
  { signer: 'dnssec-signzone', denial: 'opt-out', algorithm: 'ECDSAP256SHA256', delv: true },
]

for (const { signer, denial, algorithm, delv: withDelv } of SETTINGS) {
  test.serial(`served as signed by ${signer}, ${denial}, ${algorithm}: answers validate`, async t => {
    if (!needs(t, signer, 'dnssec-keygen', 'unbound', 'delv')) return
    const sign = signer === 'ldns-signzone' ? ldnsSigner(algorithm) : bindSigner(algorithm)
    const family = await serveFamily(t, sign, denial)
    const resolver = await resolverOf(t, family)
    const optOut = denial !== 'opt-out' ? 'no' : signer === 'ldns-signzone' ? 'flag' : 'cuts and above'
    t.deepEqual(await unboundFaults(resolver, optOut), [], resolver.log())
    if (withDelv !== true) return
    const delv = delvOf(family.port, family.anchor)
    t.teardown(delv.stop)
    t.deepEqual(await delvFaults(delv, optOut, true), [])
  })
}

interface Tampering {
  readonly what: string
  readonly denial: Denial
  readonly tamper: (text: string) => string
  readonly question: readonly [string, string]
}

const TAMPERINGS: readonly Tampering[] = [
  {
    what: 'a broken RRSIG of an address',
    denial: 'nsec',
    tamper: text => withBrokenSignature(text, 'www.example.', 'A'),
    question: ['www.example.', 'A'],
  },
  {
    what: 'a broken RRSIG of an NSEC',
    denial: 'nsec',
    tamper: text => withBrokenSignature(text, 'www.example.', 'NSEC'),
    question: ['www.example.', 'AAAA'],
  },
  {
    what: 'a broken RRSIG of a DS',
    denial: 'nsec3',
    tamper: text => withBrokenSignature(text, 'child.example.', 'DS'),
    question: ['www.child.example.', 'A'],
  },
  {
    what: 'a broken RRSIG of DNSKEY',
    denial: 'opt-out',
    tamper: text => withBrokenSignature(text, 'example.', 'DNSKEY'),
    question: ['www.example.', 'A'],
  },
  {
    what: 'no RRSIG of an address',
    denial: 'nsec3',
    tamper: text => without(text, /^www\.example\.\s.*\sRRSIG\s+A\s/),
    question: ['www.example.', 'A'],
  },
  {
    what: 'another address than was signed',
    denial: 'nsec3',
    tamper: text => text.replace(/192\.0\.2\.1$/m, '192.0.2.11'),
    question: ['www.example.', 'A'],
  },
]

for (const { what, denial, tamper, question } of TAMPERINGS) {
  test.serial(`RFC 4035 §5: judges judge: ${what} is bogus, other names stay secure`, async t => {
    if (!needs(t, 'dnssec-signzone', 'unbound', 'delv')) return
    const family = await serveFamily(t, bindSigner('ECDSAP256SHA256'), denial, tamper)
    const resolver = await resolverOf(t, family)
    const [name, type] = question
    t.is(outcomeOf(await resolver.ask(name, type)), 'SERVFAIL')
    const delv = delvOf(family.port, family.anchor)
    t.teardown(delv.stop)
    t.is((await delv.ask(name, type)).verdict, 'bogus')
    if (what.includes('DNSKEY')) return
    t.is(outcomeOf(await resolver.ask('mixed.case.example.', 'A')), 'NOERROR AD')
    t.is((await delv.ask('mixed.case.example.', 'A')).verdict, 'secure')
  })
}
