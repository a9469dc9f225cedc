/** PKCS #11 URIs (RFC 7512): which token, which keys on it, which library, and where the PIN is.
 *
 *    pkcs11:token=dnssec;serial=59ea7dba95515246;id=%01%02?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin
 *
 *  I1  `pin-value` is refused wherever it stands: a URI ends up on command lines, in logs and in configuration files.
 *  I2  Printing what was parsed gives a URI that parses to the same; a printed URI never holds a PIN.
 *  Left out: vendor attributes, and `|command` in a path (both are refused, so that nothing is silently not obeyed). */

import { ConclaveError } from '../base/index.ts'

export interface Pkcs11Uri {
  readonly token?: string
  readonly manufacturer?: string
  readonly model?: string
  readonly serial?: string
  readonly slotId?: number
  readonly slotDescription?: string
  readonly slotManufacturer?: string
  readonly libraryDescription?: string
  readonly libraryManufacturer?: string
  readonly libraryVersion?: string
  /** CKA_LABEL. */
  readonly object?: string
  /** CKA_ID. */
  readonly id?: Uint8Array
  /** Class of the object; keys are meant whatever it says, so only `private` and `public` are taken. */
  readonly type?: 'private' | 'public'
  readonly modulePath?: string
  readonly moduleName?: string
  /** A path, or a `file:` URI. */
  readonly pinSource?: string
}

type Field = keyof Pkcs11Uri
type Column = readonly [attribute: string, field: Field]

// RFC 7512 §2.3: path attributes, in the order they are printed.
const PATH: readonly Column[] = [
  ['token', 'token'],
  ['manufacturer', 'manufacturer'],
  ['model', 'model'],
  ['serial', 'serial'],
  ['slot-id', 'slotId'],
  ['slot-description', 'slotDescription'],
  ['slot-manufacturer', 'slotManufacturer'],
  ['library-description', 'libraryDescription'],
  ['library-manufacturer', 'libraryManufacturer'],
  ['library-version', 'libraryVersion'],
  ['id', 'id'],
  ['object', 'object'],
  ['type', 'type'],
]
// RFC 7512 §2.4: query attributes.
const QUERY: readonly Column[] = [
  ['module-path', 'modulePath'],
  ['module-name', 'moduleName'],
  ['pin-source', 'pinSource'],
]
const SCHEME = 'pkcs11:'
const SLOT_ID_MAX = 2 ** 53

function fault(what: string, remedy: string): ConclaveError {
  return new ConclaveError('PKCS11_URI', what, { remedy })
}

/** @throws ConclaveError PKCS11_URI */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!text.toLowerCase().startsWith(SCHEME)) {
    throw fault('a PKCS #11 URI starts with pkcs11:', 'Write for example pkcs11:token=dnssec (RFC 7512).')
  }
  const rest = text.slice(SCHEME.length)
  const mark = rest.indexOf('?')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? '' : rest.slice(mark + 1)
  const uri: { -readonly [F in Field]?: string | number | Uint8Array } = {}
  for (const word of path.split(';')) readAttribute(word, PATH, uri)
  for (const word of query.split('&')) readAttribute(word, QUERY, uri)
  return uri as Pkcs11Uri
}

function readAttribute(
  word: string,
  columns: readonly Column[],
  uri: { [F in Field]?: string | number | Uint8Array },
): void {
  if (word === '') return
  const equals = word.indexOf('=')
  const attribute = equals < 0 ? word : word.slice(0, equals)
  // I1. Some programs write it into the path, RFC 7512 §2.4 into the query.
  if (attribute === 'pin-value') {
    const remedy = 'Put the PIN into a file and write pin-source=file:/path, or set CONCLAVE_PIN.'
    throw fault('a PIN does not belong into a URI (pin-value)', remedy)
  }
  const column = columns.find(([name]) => name === attribute)
  if (equals < 0 || column === undefined) {
    const names = columns.map(([name]) => name).join(', ')
    throw fault(`${JSON.stringify(attribute)} is no attribute of a PKCS #11 URI here`, `Known are ${names}.`)
  }
  const field = column[1]
  // RFC 7512 §2.3: an attribute must not appear more than once.
  if (uri[field] !== undefined) throw fault(`${attribute} is there twice`, 'Give it once.')
  uri[field] = attributeValue(field, attribute, decodePercent(word.slice(equals + 1), attribute))
}

function attributeValue(field: Field, attribute: string, octets: Uint8Array): string | number | Uint8Array {
  if (field === 'id') return octets
  const text = Buffer.from(octets).toString('utf8')
  if (field === 'type' && text !== 'private' && text !== 'public') {
    throw fault(`an object of type ${JSON.stringify(text)}`, 'Keys are of type private or public.')
  }
  if (field !== 'slotId') return text
  if (!/^\d+$/.test(text) || Number(text) >= SLOT_ID_MAX) {
    throw fault(`${attribute}=${text} is no number of a slot`, 'Give a decimal number.')
  }
  return Number(text)
}

/** RFC 3986 §2.1. */
function decodePercent(text: string, attribute: string): Uint8Array {
  const wrong = text.match(/%(?![0-9a-fA-F]{2})/)
  if (wrong !== null) throw fault(`a % in ${attribute} that no two hexadecimal digits follow`, 'Write %25.')
  const octets: number[] = []
  for (let at = 0; at < text.length; ) {
    if (text[at] === '%') {
      octets.push(Number.parseInt(text.slice(at + 1, at + 3), 16))
      at += 3
      continue
    }
    const character = String.fromCodePoint(text.codePointAt(at)!)
    octets.push(...Buffer.from(character))
    at += character.length
  }
  return Uint8Array.from(octets)
}

export function printPkcs11Uri(uri: Pkcs11Uri): string {
  const path = PATH.flatMap(column => printed(uri, column, ''))
  const query = QUERY.flatMap(column => printed(uri, column, '/'))
  return `${SCHEME}${path.join(';')}${query.length === 0 ? '' : '?'}${query.join('&')}`
}

/** RFC 7512 §2.3: unreserved characters stay, with `:` and others that need no escape; ids are escaped throughout. */
function printed(uri: Pkcs11Uri, [attribute, field]: Column, alsoPlain: string): string[] {
  const value = uri[field]
  if (value === undefined) return []
  const octets = value instanceof Uint8Array ? value : Buffer.from(String(value))
  const plain = value instanceof Uint8Array ? '' : `-._~:@${alsoPlain}`
  let text = ''
  for (const octet of octets) {
    const character = String.fromCharCode(octet)
    const stays = plain !== '' && octet < 0x80 && (/[A-Za-z0-9]/.test(character) || plain.includes(character))
    text += stays ? character : `%${octet.toString(16).padStart(2, '0').toUpperCase()}`
  }
  return [`${attribute}=${text}`]
}

/** The path in `file:/path`, `file:///path` or a plain path.
 *  @throws ConclaveError PKCS11_URI */
export function pinFileOf(pinSource: string): string {
  // RFC 7512 §2.4: `|command` would run a program; nobody expects that of a nameserver.
  if (pinSource.startsWith('|')) throw fault('a command as pin-source', 'Name a file that has the PIN.')
  if (!pinSource.startsWith('file:')) return pinSource
  const path = pinSource.slice('file:'.length).replace(/^\/\/(localhost)?(?=\/)/, '')
  if (/^\/(?!\/)/.test(path)) return path
  throw fault(`pin-source=${pinSource} is no path of this machine`, 'Write pin-source=file:/path.')
}
