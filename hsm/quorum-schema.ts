/** The keys of node.yaml and quorum.yaml: one row each, with the kind of its value, what goes without it and what it means.
 *  The check of the files (quorum-read.ts) and the tables of docs/hsm.md come from these rows.
 *  I1  What is left out of a policy is forbidden, or has the narrow value: a policy grows by what is written into it. */

import { z } from 'zod'
import {
  type DocumentedKey,
  documentedKeys,
  duration,
  eitherBy,
  field,
  isMapping,
  Mistake,
  optional,
  required,
  text,
  wholeNumber,
  word,
  yesOrNo,
} from '../base/documents.ts'
import { canonicalName, type Name, nameFromText, rdataFromText, TYPE, typeFromText } from '../zones/index.ts'
import { BATCH_MAX } from './message-schema.ts'
import type { ZoneRule } from './node-policy.ts'
import { NODES_MAX } from './quorum-size.ts'
import { isCurveKey } from './transport.ts'

/** What a vault is opened by: one of the three. */
export interface OpenerShape {
  readonly 'key-file'?: string | undefined
  readonly 'passphrase-file'?: string | undefined
  readonly 'passphrase-variable'?: string | undefined
}

export interface PartyShape {
  readonly name: string
  readonly signing: Uint8Array
  readonly sealing: Uint8Array
}

export interface RuleShape {
  readonly zone: Name | 'any'
  readonly roles?: ZoneRule['roles'] | undefined
  readonly types?: ZoneRule['types'] | undefined
  readonly 'validity-max'?: number | undefined
  readonly 'inception-past-max'?: number | undefined
  readonly 'inception-future-max'?: number | undefined
  readonly 'ttl-max'?: number | undefined
  readonly 'records-max'?: number | undefined
  readonly 'messages-per-request-max'?: number | undefined
  readonly 'messages-per-minute-max'?: number | undefined
  readonly dnskeys?: ZoneRule['dnskeys'] | undefined
  readonly 'cds-delete'?: boolean | undefined
  readonly approvals?: ApprovalsShape | undefined
}

export interface ApprovalsShape {
  readonly required: number
  readonly operators: readonly Uint8Array[]
  readonly types?: readonly number[] | undefined
}

export interface PolicyShape {
  readonly keygen?: boolean | undefined
  readonly deal?: boolean | undefined
  readonly reshare?: boolean | undefined
  readonly erase?: boolean | undefined
  readonly 'threshold-min'?: number | undefined
  readonly zones: readonly RuleShape[]
}

export interface NodeShape {
  readonly node: OpenerShape & {
    readonly name: string
    readonly vault: string
    readonly audit?: string | undefined
  }
  readonly coordinators: readonly (PartyShape & { readonly curve: string; readonly listen: string })[]
  readonly dealers?: readonly PartyShape[] | undefined
  readonly nodes: readonly PartyShape[]
  readonly policy: PolicyShape
}

export interface QuorumShape {
  readonly coordinator: OpenerShape & {
    readonly name: string
    readonly vault: string
    readonly state: string
  }
  readonly threshold: number
  readonly nodes: readonly (PartyShape & { readonly curve: string; readonly address: string })[]
}

/** Without `audit`. */
export const AUDIT_DEFAULT = 'audit.log'
const KEY_OCTETS = 32
const KEY_PATTERN = '^[A-Za-z0-9+/]{43}=$'
const ADDRESS_PATTERN = '^tcp://(\\d{1,3}(\\.\\d{1,3}){3}|\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]+|\\*):\\d{1,5}$'
const PORT_MAX = 65_535

function publicKey(kind: string): z.ZodType<Uint8Array> {
  return field({ type: 'string', pattern: KEY_PATTERN }, value => {
    const octets = typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : undefined
    const right = octets?.length === KEY_OCTETS && new RegExp(KEY_PATTERN).test(String(value))
    return right ? octets : new Mistake(`the text of ${kind} in base64`)
  })
}

function curveKey(): z.ZodType<string> {
  return field({ type: 'string', minLength: 40, maxLength: 40 }, value =>
    typeof value === 'string' && isCurveKey(value)
      ? value
      : new Mistake('the text of a CURVE key: 40 digits of Z85'),
  )
}

function address(what: string): z.ZodType<string> {
  return field({ type: 'string', pattern: ADDRESS_PATTERN }, value => {
    const port = Number(String(value).split(':').at(-1))
    const right = typeof value === 'string' && new RegExp(ADDRESS_PATTERN).test(value) && port <= PORT_MAX
    return right ? value : new Mistake(`${what} such as tcp://192.0.2.1:5400`)
  })
}

function zone(): z.ZodType<Name | 'any'> {
  return field({ type: 'string', minLength: 1 }, value => {
    if (value === '*') return 'any'
    try {
      if (typeof value === 'string')
        return canonicalName(nameFromText(value.endsWith('.') ? value : `${value}.`))
    } catch {
      // Said below.
    }
    return new Mistake("a domain name such as example.com, or '*' for any")
  })
}

function type(): z.ZodType<number> {
  return field({ type: 'string' }, value => {
    const number = typeof value === 'string' ? typeFromText(value) : undefined
    return number ?? new Mistake('the name of a type of records, such as MX')
  })
}

function dnskey(): z.ZodType<Uint8Array> {
  return field({ type: 'string' }, value => {
    try {
      if (typeof value === 'string') return rdataFromText(TYPE.DNSKEY, value)
    } catch {
      // Said below.
    }
    return new Mistake('the text of a DNSKEY: FLAGS 3 ALGORITHM KEY')
  })
}

/** A word that stands for all, or a list. */
function wordOrList<W extends string, T>(
  words: z.ZodType<W>,
  list: z.ZodType<readonly T[]>,
): z.ZodType<W | readonly T[]> {
  return eitherBy(
    value => (Array.isArray(value) || isMapping(value) ? 'list' : 'word'),
    { word: words, list },
    words,
  )
}

const vaultKeys = {
  vault: required(text('a path'), 'directory of the vault: what is in it is encrypted'),
  'key-file': optional(
    text('a path'),
    'one of the three must be there',
    'a file of random octets that opens the vault',
  ),
  'passphrase-file': optional(
    text('a path'),
    'one of the three must be there',
    'a file with the passphrase that opens the vault, and nothing else',
  ),
  'passphrase-variable': optional(
    text('the name of a variable'),
    'one of the three must be there',
    'the variable of the environment that has the passphrase',
  ),
}

/** Of the public halves of a party. */
const party = (who: string) => ({
  name: required(text('the name of a party'), `the name of the ${who}`),
  signing: required(publicKey('an Ed25519 key'), `Ed25519 key of the ${who}: what it says is signed with it`),
  sealing: required(
    publicKey('an X25519 key'),
    `X25519 key of the ${who}: what only it may read is sealed to it`,
  ),
})

const approvals = z.strictObject({
  required: required(wholeNumber(1, 100), 'how many of the operators must approve'),
  operators: required(
    z.array(publicKey('an Ed25519 key')).min(1, 'one operator at least'),
    'Ed25519 keys of operators (`conclave hsm approve --generate-operator` makes one)',
  ),
  types: optional(z.array(type()), '[DNSKEY, CDS, CDNSKEY]', 'types of RRsets that need it'),
})

const rule: z.ZodType<RuleShape> = z.strictObject({
  zone: required(zone(), "the zone; `'*'` for those that no other rule names"),
  roles: optional(z.array(word('ksk', 'zsk', 'csk')), '[csk, ksk, zsk]', 'roles of keys that sign'),
  types: optional(
    wordOrList(word('any'), z.array(type())),
    'any',
    'types of RRsets that a ZSK or CSK signs; DNSKEY, CDS and CDNSKEY need not be named',
  ),
  'validity-max': optional(duration(), '31d', 'from now to a signature’s expiration'),
  'inception-past-max': optional(
    duration(),
    '2h',
    'how long ago, by the node’s clock, a signature may begin',
  ),
  'inception-future-max': optional(duration(), '5m', 'how far ahead it may begin'),
  'ttl-max': optional(duration(), '7d', 'greatest TTL of an RRset'),
  'records-max': optional(wholeNumber(1, 65_535), '1000', 'most records of an RRset'),
  'messages-per-request-max': optional(
    wholeNumber(1, BATCH_MAX),
    String(BATCH_MAX),
    'most RRsets of one request; a server asks for up to 512 at once',
  ),
  'messages-per-minute-max': optional(
    wholeNumber(1, 1_000_000_000),
    '1000000',
    'most RRsets signed in a minute for the zone',
  ),
  dnskeys: optional(
    wordOrList(word('any', 'quorum'), z.array(dnskey())),
    'quorum',
    'DNSKEYs that DNSKEY, CDS and CDNSKEY may name: any; those the quorum holds; or these and a list of `FLAGS 3 ALGORITHM KEY`',
  ),
  'cds-delete': optional(
    yesOrNo(),
    'false',
    'CDS and CDNSKEY may ask for the DS to go, so that the zone ends to be signed; with `any` above they always may',
  ),
  approvals: optional(approvals, 'none are needed', 'people who must approve of what is signed'),
})

const policy = z.strictObject({
  keygen: optional(yesOrNo(), 'false', 'a coordinator may have new keys made for the zones below'),
  deal: optional(yesOrNo(), 'false', 'shares of RSA keys are taken from a dealer'),
  reshare: optional(yesOrNo(), 'false', 'shares may be refreshed, and given to other members'),
  erase: optional(yesOrNo(), 'false', 'a coordinator may have keys erased'),
  'threshold-min': optional(
    wholeNumber(2, NODES_MAX),
    'no fewer than before',
    'how many nodes must be needed at least for a key that is made, dealt or shared anew',
  ),
  zones: required(z.array(rule), 'a rule for each zone that is signed for'),
})

export const nodeSchema: z.ZodType<NodeShape> = z.strictObject({
  node: required(
    z.strictObject({
      name: required(text('the name of this node'), 'the name of this node; `nodes` has it too'),
      ...vaultKeys,
      audit: optional(text('a path'), AUDIT_DEFAULT, 'the audit log'),
    }),
    'this node',
  ),
  coordinators: required(
    z.array(
      z.strictObject({
        ...party('coordinator'),
        curve: required(curveKey(), 'CURVE key of the coordinator (Z85): another one gets no connection'),
        listen: required(
          address('an address to listen on'),
          'where this coordinator is listened for; one port each',
        ),
      }),
    ),
    'who may ask this node; their keys and sessions are apart',
  ),
  dealers: optional(z.array(z.strictObject(party('dealer'))), '[]', 'who may deal shares of RSA keys'),
  nodes: required(
    z.array(z.strictObject(party('node'))).max(NODES_MAX),
    'all nodes that may be members of keys, this one too',
  ),
  policy: required(policy, 'what this node signs, whoever asks'),
})

export const quorumSchema: z.ZodType<QuorumShape> = z.strictObject({
  coordinator: required(
    z.strictObject({
      name: required(text('the name of the coordinator'), 'the name by which nodes know it'),
      ...vaultKeys,
      state: required(
        text('a path'),
        'directory for what is remembered: heads of audit logs, what is pending, approvals',
      ),
    }),
    'the coordinator: the process that asks the nodes',
  ),
  threshold: required(
    wholeNumber(2, NODES_MAX),
    'how many nodes suffice for new keys, more than half of their members; so many must show a key for it to be believed',
  ),
  nodes: required(
    z
      .array(
        z.strictObject({
          ...party('node'),
          curve: required(curveKey(), 'CURVE key of the node (Z85)'),
          address: required(
            address('the address of the node'),
            'where the node listens for this coordinator',
          ),
        }),
      )
      .max(NODES_MAX),
    'the nodes',
  ),
})

/** Every key of node.yaml. */
export function nodeFileKeys(): DocumentedKey[] {
  return documentedKeys(nodeSchema)
}

/** Every key of quorum.yaml. */
export function quorumFileKeys(): DocumentedKey[] {
  return documentedKeys(quorumSchema)
}

/** Types of a rule's approvals where it names none. */
export const APPROVED_TYPES: readonly number[] = [TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY]
