/** The keys of a configuration: one row each, with the kind of its value, what goes without it and what it means. The
 *  check of a file (base/shape-check.ts), the JSON Schema for editors and the tables of docs/configuration.md (config-doc.ts)
 *  all come from these rows (base/shape.ts). */
import { z } from 'zod'
import {
  duration,
  eitherBy,
  isMapping,
  optional,
  required,
  text,
  wholeNumber,
  word,
  yesOrNo,
} from '../base/documents.ts'
import {
  algorithm,
  domainName,
  dsConfirmation,
  listenAddress,
  nsec3Salt,
  objectId,
  prefix,
  serverAddress,
} from './config-fields.ts'
import type { ConfigurationShape, PolicyShape, TemplateShape, ZoneShape } from './config-shape.ts'
import { TSIG_ALGORITHMS } from './tsig-keyring.ts'

const names = (what: string): z.ZodType<readonly string[]> => z.array(text(`the name of ${what}`))

const nsec3 = z.strictObject({
  iterations: optional(wholeNumber(0, 50), '0', 'additional hash rounds; RFC 9276 §3.1 asks for 0'),
  salt: optional(nsec3Salt(), '-', 'pairs of hexadecimal digits, or `-`; RFC 9276 §3.1 asks for none'),
})

const parent = z.strictObject({
  'ds-confirmation': optional(
    dsConfirmation(),
    'observe',
    'how it is known that the parent has a new DS: `observe` asks its servers, `operator` waits for `conclave keys ds-seen`, a duration waits that long',
  ),
  servers: optional(
    z.array(serverAddress()),
    'found through the resolver',
    'addresses of the parent’s servers',
  ),
  resolver: optional(
    z.array(serverAddress()),
    'none',
    'resolvers that may be asked for the parent’s servers',
  ),
  'ds-ttl': optional(duration(), '1d', 'TTL of the DS, until the parent was seen with one'),
  'propagation-delay': optional(
    duration(),
    '1h',
    'from a DS being at one server of the parent until the slowest has it',
  ),
})

const policyKeys = {
  sign: optional(yesOrNo(), 'true', '`false` serves zones as they are, signed ones too'),
  algorithm: optional(
    algorithm(),
    'ecdsap256sha256',
    'DNSSEC algorithm of keys; a change rolls to it (RFC 6781 §4.1.4)',
  ),
  keys: optional(word('csk', 'ksk-zsk'), 'csk', 'one key for all, or a KSK and a ZSK'),
  'rsa-bits': optional(wholeNumber(2048, 4096), '2048', 'modulus of new RSA keys'),
  'ksk-lifetime': optional(
    duration('unlimited'),
    'unlimited',
    'how long a KSK or CSK signs before a new one takes over, or up to a tenth less, so that zones do not roll together',
  ),
  'zsk-lifetime': optional(duration('unlimited'), '90d', 'the same for a ZSK'),
  denial: optional(
    word('nsec', 'nsec3', 'opt-out'),
    'nsec',
    'proofs of what does not exist; `opt-out` is NSEC3 without unsigned delegations',
  ),
  nsec3: optional(nsec3, '', 'parameters of NSEC3'),
  'signature-validity': optional(duration(), '14d', 'from a signature’s making until its end'),
  refresh: optional(
    duration(),
    'a third of the validity',
    'signatures with less than this left are made anew',
  ),
  jitter: optional(
    duration(),
    'a seventh of the validity',
    'ends are spread over so much, so that not all fall due at once',
  ),
  'inception-offset': optional(duration(), '1h', 'signatures begin so long ago: clocks of validators differ'),
  'dnskey-ttl': optional(duration(), '1h', 'TTL of DNSKEY, CDS and CDNSKEY'),
  'zone-ttl-max': optional(
    duration('none'),
    'none',
    'greater TTLs of the zone are lowered to this; it bounds how long rolls take',
  ),
  propagation: optional(
    word('observe', 'time'),
    'time',
    'how a version is known to be at all servers of the zone: they are asked, or a time is waited for',
  ),
  secondaries: optional(
    z.array(serverAddress()),
    'the addresses of the zone’s NS',
    'servers that are asked whether they have a version',
  ),
  'propagation-delay': optional(
    duration(),
    '5m',
    'from a version being served here until the slowest secondary has it',
  ),
  'publish-safety': optional(
    duration(),
    '1h',
    'waited beyond what TTLs ask for before something new is relied on',
  ),
  'retire-safety': optional(duration(), '1h', 'the same before something old goes'),
  'purge-after': optional(
    duration('never'),
    '90d',
    'a private key is destroyed so long after nothing of it is in any cache; not in the first day after a start',
  ),
  parent: optional(parent, '', 'what is known of the parent, and how it is known that it has changed the DS'),
  cds: optional(
    word('always', 'rollover', 'never'),
    'always',
    'when CDS and CDNSKEY are in the zone (RFC 7344 §4)',
  ),
  serial: optional(
    word('increment', 'unixtime', 'dateserial', 'keep'),
    'increment; `keep` where nothing is or was signed',
    'serial of what is served',
  ),
  zonemd: optional(word('sha384', 'sha512', 'none'), 'sha384', 'digest of the whole zone (RFC 8976)'),
  gate: optional(
    word('full', 'keys'),
    'full',
    'before publishing, verify every new signature, or samples of each key',
  ),
  keystore: optional(
    keystoreReference(),
    'default',
    'the key store of new keys: a name, or `{ksk: NAME, zsk: NAME}`',
  ),
  'replace-keys': optional(
    yesOrNo(),
    'false',
    'sign anew what others have signed; their signatures are dropped',
  ),
  'foreign-keys': optional(
    word('refuse', 'include'),
    'refuse',
    'DNSKEY, CDS and CDNSKEY of others in the zone: refused, or published beside ours (RFC 8901 §2.2)',
  ),
}

/** A name, or one for each role: told apart by what was found, so that faults speak of that alone. */
function keystoreReference(): z.ZodType<NonNullable<PolicyShape['keystore']>> {
  const one = text('the name of a key store, or {ksk: NAME, zsk: NAME}')
  const each = z.strictObject({
    ksk: required(text('the name of a key store'), 'key store of KSKs'),
    zsk: required(text('the name of a key store'), 'key store of ZSKs'),
  })
  return eitherBy(value => (isMapping(value) ? 'each' : 'one'), { one, each }, one)
}

const templateKeys = {
  policy: optional(text('the name of a policy'), 'default', 'how the zones are signed'),
  transfer: optional(
    names('an ACL'),
    '[loopback]',
    'ACLs whose clients may transfer the zones; `loopback` and `any` are there already',
  ),
}

const template: z.ZodType<TemplateShape> = z.strictObject({ ...templateKeys, ...policyKeys })

export const zoneSchema: z.ZodType<ZoneShape> = z.strictObject({
  file: optional(text('a path'), 'one of both must be there', 'a zone file'),
  directory: optional(
    text('a path'),
    'one of both must be there',
    'a directory; every `*.zone` file in it is a zone, also those that come later',
  ),
  name: optional(
    domainName(),
    'the owner of the SOA',
    'the zone, where the file does not say it; not with `directory`',
  ),
  template: optional(
    text('the name of a template'),
    'default, if there is one',
    'what several zones have in common',
  ),
  ...templateKeys,
  ...policyKeys,
})

const tsig = z.strictObject({
  algorithm: optional(word(...TSIG_ALGORITHMS), 'hmac-sha256', 'HMAC of the key (RFC 8945 §6)'),
  secret: optional(text('the secret in base64'), 'one of both must be there', 'the secret in base64'),
  'secret-file': optional(
    text('a path'),
    'one of both must be there',
    'a file with the secret in base64 and nothing else',
  ),
})

const acl = z.strictObject({
  addresses: optional(z.array(prefix()), 'any address', 'addresses, prefixes, `loopback` or `any`'),
  keys: optional(names('a TSIG key'), 'none needed', 'TSIG keys; with `addresses` too, both must match'),
})

const tokenKey = z.strictObject({
  label: optional(text('a label'), 'any; one of both must be there', 'CKA_LABEL of the pair'),
  id: optional(objectId(), 'any; one of both must be there', 'CKA_ID of the pair, in hexadecimal digits'),
  zone: required(domainName(), 'the zone that the key signs'),
  role: required(word('csk', 'ksk', 'zsk'), 'what it signs there'),
  algorithm: optional(algorithm(), 'what the key tells; rsasha256 for RSA', 'DNSSEC algorithm of the key'),
})

const keystores = {
  file: z.strictObject({
    type: required(word('file'), '`file`'),
    directory: optional(text('a path'), '`keys` in the state directory', 'where the key files are'),
  }),
  pkcs11: z.strictObject({
    type: required(word('pkcs11'), '`pkcs11`'),
    uri: required(text('a PKCS#11 URI (RFC 7512)'), 'token, module and more, as a PKCS#11 URI (RFC 7512)'),
    'pin-file': optional(text('a path'), 'none', 'a file with the PIN and nothing else'),
    'pin-environment': optional(
      text('the name of a variable'),
      'none',
      'variable of the environment that has the PIN',
    ),
    keys: optional(
      z.array(tokenKey),
      'none',
      'keys of the token that other programs made, and what they are for',
    ),
  }),
  quorum: z.strictObject({
    type: required(word('quorum'), '`quorum`'),
    file: required(text('a path'), 'quorum.yaml of a distributed HSM (docs/hsm.md)'),
  }),
}

/** Whatever the type is, it is none of these. */
const unknownStore = z.looseObject({ type: word(...Object.keys(keystores)) })

const keystore = eitherBy(value => (isMapping(value) ? String(value['type']) : ''), keystores, unknownStore)

const server = z.strictObject({
  state: optional(text('a path'), '.conclave beside this file', 'state directory: keys, signatures, serials'),
  workers: optional(wholeNumber(1, 64), 'the lesser of 2 and the cores', 'threads that answer UDP'),
  udp: optional(word('batch', 'dgram'), 'batch where it works', 'system calls in batches, or node:dgram'),
  user: optional(
    text('the name of a user'),
    'whoever starts it',
    'run as this user once the addresses are bound',
  ),
})

const log = z.strictObject({
  level: optional(
    word('debug', 'info', 'warn', 'error'),
    'info; `warn` on a terminal',
    'the least important lines that are written',
  ),
  format: optional(word('auto', 'json', 'text'), 'auto', '`auto`: text on a terminal, else JSON'),
})

/** Names in the mappings below are chosen by whoever writes the file. */
const NAME = z.string()

export const configurationSchema: z.ZodType<ConfigurationShape> = z.strictObject({
  server: optional(server, '', 'the process'),
  listen: optional(
    z.array(listenAddress()),
    '[127.0.0.1@5300]',
    'addresses to answer on, UDP and TCP: `ADDRESS@PORT`',
  ),
  tsig: optional(z.record(NAME, tsig), '', 'TSIG keys by name'),
  acl: optional(z.record(NAME, acl), '', 'who may do something: clients by address and key'),
  keystores: optional(
    z.record(NAME, keystore),
    '',
    'where keys are; `default` is files in the state directory unless it is said here',
  ),
  policies: optional(
    z.record(NAME, z.strictObject(policyKeys)),
    '',
    'how zones are signed; zones without a policy have the one named `default`',
  ),
  templates: optional(
    z.record(NAME, template),
    '',
    'what several zones have in common; zones without a template have the one named `default`',
  ),
  zones: optional(z.array(zoneSchema), '[]', 'what is served'),
  log: optional(log, '', 'what is logged, and how'),
})
