/** Keys on a PKCS #11 token for a command: `--pkcs11 URI`. The PIN comes from pin-source, the environment, or a prompt. */
import { ConclaveError, type Logger, silentLogger } from '../base/index.ts'
import {
  PIN_VARIABLE,
  Pkcs11KeyStore,
  type Pkcs11Options,
  parsePkcs11Uri,
  Secret,
  type TokenFacts,
} from '../signer/index.ts'
import { wordOf } from './options.ts'
import type { Output } from './output.ts'

/** Logs in and reads the keys; the caller closes the store.
 *  @throws ConclaveError */
export function openToken(uri: string, output: Output): Promise<Pkcs11KeyStore> {
  const { pinSource } = wordOf(() => parsePkcs11Uri(uri))
  const options: Pkcs11Options = { uri, log: warnings(output) }
  const elsewhere = pinSource !== undefined || (process.env[PIN_VARIABLE] ?? '') !== ''
  if (elsewhere || process.stdin.isTTY !== true) return Pkcs11KeyStore.open(options)
  return Pkcs11KeyStore.open({ ...options, pin: promptPin })
}

/** Warnings beside what a command prints. */
export function warnings(output: Output): Logger {
  return {
    ...silentLogger,
    warn: (message, { node, why, file, what, remedy } = {}) => {
      const words = [message, node, why ?? file ?? what].filter(word => word !== undefined)
      output.note(`warning: ${words.join(': ')}${remedy === undefined ? '' : ` (${remedy})`}`)
    },
  }
}

const PIN_OCTETS_MAX = 256
const CONTROL_C = 0x03
const CONTROL_D = 0x04
const BACKSPACE = 0x08
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const CONTROL_U = 0x15
const DELETE = 0x7f

/** Asks on the terminal; what is typed is not shown. */
function promptPin({ label }: TokenFacts): Promise<Secret> {
  const { stdin, stderr } = process
  const typed = new Uint8Array(PIN_OCTETS_MAX)
  let length = 0
  // First, so that nothing typed after the question is shown.
  stdin.setRawMode(true)
  stderr.write(`PIN of the token ${JSON.stringify(label)}: `)
  return new Promise((resolve, reject) => {
    const end = (given: boolean): void => {
      stdin.off('data', take)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
      if (given && length > 0) resolve(new Secret(typed.slice(0, length)))
      else
        reject(new ConclaveError('PKCS11_PIN_NEEDED', 'no PIN was given', { remedy: 'Type it, then Enter.' }))
      typed.fill(0)
    }
    const take = (octets: Buffer): void => {
      for (const octet of octets) {
        if (octet === LINE_FEED || octet === CARRIAGE_RETURN) return end(true)
        if (octet === CONTROL_C || octet === CONTROL_D) return end(false)
        if (octet === CONTROL_U) length = 0
        else if (octet === DELETE || octet === BACKSPACE) length = Math.max(0, length - 1)
        else if (length < PIN_OCTETS_MAX) typed[length++] = octet
      }
      octets.fill(0)
    }
    stdin.on('data', take)
  })
}
