/** RDATA of records that are built in code: text and names in, wire form out. */

import { ConclaveError } from '../base/index.ts'
import { type Name, rootName } from './name.ts'
import { parseRdata, RDATA_SCRATCH_OCTETS } from './rdata-parse.ts'
import { TextTokens } from './rdata-tokens.ts'
import { typeFromText, typeToText } from './types.ts'

const scratch = new Uint8Array(RDATA_SCRATCH_OCTETS)

/** Wire form of RDATA in presentation form: `rdataFromText('MX', '10 mail.example.')`. Relative names end at the
 *  origin, the root by default.
 *  @throws ConclaveError RDATA_SYNTAX */
export function rdataFromText(type: number | string, text: string, origin: Name = rootName): Uint8Array {
  const number = typeof type === 'number' ? type : typeFromText(type)
  if (number === undefined) {
    throw new ConclaveError(
      'RDATA_SYNTAX',
      `found type ${JSON.stringify(type)}; expected a mnemonic or TYPEnnn`,
    )
  }
  const tokens = new TextTokens(text)
  try {
    return scratch.slice(0, parseRdata(number, tokens, origin, scratch, 0))
  } catch (cause) {
    if (!(cause instanceof ConclaveError)) throw cause
    throw new ConclaveError(cause.code, `${typeToText(number)}: ${cause.message}`, {
      place: cause.place,
      cause,
    })
  }
}
