/** Where a PIN comes from: a file or the environment; a prompt is the command line's. Never an argument.
 *  I1  A PIN is a Secret from the file to the channel of the child that logs in. */

import { ConclaveError, type Logger } from '../base/index.ts'
import { readSecretFile } from './file-keys.ts'
import { Secret } from './secret.ts'

/** The variable that is read when nothing else says where the PIN is. */
export const PIN_VARIABLE = 'CONCLAVE_PIN'
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** The first line of a file. A file that others may read is warned of.
 *  @throws ConclaveError PKCS11_PIN_NEEDED */
export async function pinFromFile(path: string, log: Logger): Promise<Secret> {
  let octets: Buffer
  try {
    octets = await readSecretFile(path, log, 'the file with the PIN')
  } catch (cause) {
    const what = `the file with the PIN cannot be read: ${path}`
    throw new ConclaveError('PKCS11_PIN_NEEDED', what, {
      place: { file: path },
      remedy: 'Correct pin-source, or let the user that runs this read the file.',
      cause,
    })
  }
  try {
    return pinOf(octets, path)
  } finally {
    octets.fill(0)
  }
}

function pinOf(octets: Uint8Array, path: string): Secret {
  const feed = octets.indexOf(LINE_FEED)
  let end = feed < 0 ? octets.length : feed
  if (end > 0 && octets[end - 1] === CARRIAGE_RETURN) end--
  // A copy: the slice of a Buffer is a view.
  if (end > 0) return new Secret(new Uint8Array(octets.subarray(0, end)), path)
  throw new ConclaveError('PKCS11_PIN_NEEDED', `the file with the PIN is empty: ${path}`, {
    place: { file: path },
    remedy: 'Write the PIN as its first line.',
  })
}

/** The value of a variable; undefined when it is not set. */
export function pinFromEnvironment(environment: NodeJS.ProcessEnv, variable: string): Secret | undefined {
  const value = environment[variable]
  return value === undefined || value === ''
    ? undefined
    : new Secret(new Uint8Array(Buffer.from(value)), variable)
}
