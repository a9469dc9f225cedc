/** Programs that judge whole signed zones: dnssec-verify (BIND 9.18), ldns-verify-zone (ldns 1.8), kzonecheck (Knot 3.2);
 *  what they cannot read, and how they are asked. */

import { execFileSync } from 'node:child_process'
import { TYPE, type TypeMnemonic } from '../../zones/index.ts'
import { WAIT_MILLISECONDS } from './serve.ts'
import { toolPath } from './tools.ts'

export type ProgramFamily = 'nsd' | 'knot' | 'bind' | 'ldns'

/** Types that Debian 12's programs do not know, or of which they know less than everything.example has (HTTPS with ech
 *  and dohpath in Knot, HIP in NSD and Knot; L64 and NID as dig writes them, without leading zeros, in Knot): they reach
 *  them in the form of RFC 3597. */
const UNKNOWN_TYPES: Readonly<Record<ProgramFamily, readonly TypeMnemonic[]>> = {
  nsd: ['AMTRELAY', 'DSYNC', 'GPOS', 'HIP', 'NSAP-PTR', 'RESINFO', 'TALINK', 'WALLET'],
  knot: [
    ...([
      'AMTRELAY',
      'AVC',
      'DSYNC',
      'GPOS',
      'HIP',
      'HTTPS',
      'ISDN',
      'L64',
      'MB',
      'MG',
      'MR',
      'NID',
    ] as const),
    ...(['NSAP', 'NSAP-PTR', 'PX', 'RESINFO', 'TALINK', 'WALLET', 'X25'] as const),
  ],
  bind: ['DSYNC'],
  ldns: ['AMTRELAY', 'AVC', 'DSYNC', 'RESINFO', 'WALLET'],
}

export function unknownTypes(family: ProgramFamily): ReadonlySet<number> {
  return new Set(UNKNOWN_TYPES[family].map(mnemonic => TYPE[mnemonic]))
}

export interface ZoneJudge {
  readonly program: string
  /** For `sign --generic`. */
  readonly generic: readonly TypeMnemonic[]
  words(question: JudgedZone): readonly string[]
}

export interface JudgedZone {
  readonly file: string
  /** With its last dot. */
  readonly origin: string
  /** One key does the work of KSK and ZSK. */
  readonly csk: boolean
  readonly zonemd: boolean
}

export const ZONE_JUDGES: readonly ZoneJudge[] = [
  {
    program: 'dnssec-verify',
    generic: UNKNOWN_TYPES.bind,
    // -z: the KSK flag says nothing, as is so for a CSK.
    words: ({ file, origin, csk }) => ['-q', ...(csk ? ['-z'] : []), '-o', origin, file],
  },
  {
    program: 'ldns-verify-zone',
    // ldns takes the name `\@` inside RDATA for the origin: NSEC records reach it without names in text.
    generic: [...UNKNOWN_TYPES.ldns, 'NSEC'],
    // -ZZ: a ZONEMD that is right, in a zone that is signed.
    words: ({ file, zonemd }) => [...(zonemd ? ['-ZZ'] : []), '-V', '1', file],
  },
  {
    program: 'kzonecheck',
    generic: UNKNOWN_TYPES.knot,
    words: ({ file, origin }) => ['-o', origin, '-d', 'on', '-v', file],
  },
]

/** Of the types that a judge does not know, those that a zone file has. */
export function genericFor(judge: ZoneJudge, zoneText: string): TypeMnemonic[] {
  const words = new Set(zoneText.split(/\s+/))
  return judge.generic.filter(type => words.has(type) || (type === 'NSEC' && words.has('\\@')))
}

/** ldns reads NSAP-PTR as a string, in the form of RFC 3597 too: no zone with one is right for it. */
export function readableByLdns(text: string): string {
  return text.replaceAll(/^\s+NSAP-PTR\s.*\n/gm, '')
}

/** What the judge has against a zone; empty when it accepts it. */
export function judgement(judge: ZoneJudge, zone: JudgedZone): string {
  try {
    execFileSync(toolPath(judge.program)!, judge.words(zone), {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: WAIT_MILLISECONDS,
    })
    return ''
  } catch (error) {
    const { stdout, stderr, signal } = error as { stdout: Buffer; stderr: Buffer; signal: string | null }
    return `${judge.program}: ${signal ?? ''} ${stdout}${stderr}`
  }
}
