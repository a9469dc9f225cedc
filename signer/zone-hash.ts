/** The hash of a zone's digest, given in parts: by OpenSSL on a thread of libuv, beside the one that composes the next part,
 *  or by node:crypto where it is called.
 *  I1  Others have the event loop between parts. */

import { createHash } from 'node:crypto'
import { shaByOpenssl, Turns } from '../base/index.ts'

export interface ZoneHash {
  /** Its octets may be written again when the promise is kept, not before; one part at a time. */
  part(octets: Uint8Array): Promise<void>
  /** The last part, and the digest of all. */
  end(octets: Uint8Array): Uint8Array
}

export type ZoneHashName = 'sha384' | 'sha512'

export function zoneHash(name: ZoneHashName): ZoneHash {
  return shaByOpenssl(name) ?? nodeHash(name)
}

export function nodeHash(name: ZoneHashName): ZoneHash {
  const hash = createHash(name)
  const turns = new Turns(1)
  return {
    part: async octets => {
      hash.update(octets)
      if (turns.due()) await turns.take()
    },
    end: octets => hash.update(octets).digest(),
  }
}
