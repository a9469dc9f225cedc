/** What goes through the socket of a coordinator's process (quorum-door.ts, quorum-remote.ts): CBOR in base64 in the JSON of
 *  base/control.ts. Both ends are one user's, and of one release.
 *  I1  What is no value of the kind that is wanted is refused, not half used. */

import { decode, encode } from 'cborg'
import type { z } from 'zod'
import { ConclaveError } from '../base/index.ts'

/** A batch of messages, far below what base/control.ts must hold in memory. */
export const WIRE_OCTETS_MAX: number = 32 << 20

export function pack(value: unknown): Record<string, unknown> {
  return { cbor: Buffer.from(encode(value)).toString('base64') }
}

/** @throws ConclaveError CONTROL_REQUEST (I1) */
export function unpack<T>(schema: z.ZodType<T>, packed: Readonly<Record<string, unknown>>): T {
  const parsed = schema.safeParse(unpackAny(packed))
  if (parsed.success) return parsed.data
  throw new ConclaveError('CONTROL_REQUEST', 'the request is not one of this release', {
    remedy: 'Run the same release everywhere on this machine.',
  })
}

export function unpackAny(packed: unknown): unknown {
  const { cbor } = (packed ?? {}) as { cbor?: unknown }
  try {
    return typeof cbor === 'string' ? decode(Buffer.from(cbor, 'base64')) : undefined
  } catch {
    return undefined
  }
}
