/** Signatures of one name that serve again (signing-plan I2). */

import type { NodeRRset } from '../zones/index.ts'
import { rrsetOfType } from './previous.ts'
import { findInPack } from './signature-pack.ts'
import { madeBy, type Signer, sameRRset } from './signing-plan.ts'

/** Signatures of a name as they were: in the previous version's node, or in a pack from disk. */
export class OldSignatures {
  readonly #node: Uint8Array | undefined
  readonly #load: () => Uint8Array | undefined
  #pack: Uint8Array | undefined
  #loaded = false

  constructor(node: Uint8Array | undefined, load: () => Uint8Array | undefined) {
    this.#node = node
    this.#load = load
  }

  find(rrset: NodeRRset, signer: Signer): Uint8Array | undefined {
    if (!signer.unique) return undefined
    const old = this.#node === undefined || !signer.reusable ? undefined : rrsetOfType(this.#node, rrset.type)
    if (old !== undefined && sameRRset(old, rrset)) {
      const found = old.signatures.find(rrsig => madeBy(rrsig, signer))
      // A copy: the view may end with the cursor's next move.
      if (found !== undefined) return found.slice()
    }
    if (!this.#loaded) {
      this.#loaded = true
      this.#pack = this.#load()
    }
    if (this.#pack === undefined) return undefined
    return findInPack(this.#pack, rrset, signer.fingerprint, signer.algorithm, signer.keyTag)
  }
}
