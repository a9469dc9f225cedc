/** Annotating a content tree that becomes the version itself, because its zone is served as it is (build-source.ts): what
 *  planner.ts does for a zone that is signed, in one walk, in place, and nothing is made for a name.
 *
 *    content:   a  (b)  x.b  c ─┬ ns.c         (b): empty, put in after x.b was met
 *                               c: DELEGATION, ns.c: OCCLUDED
 *
 *  I1  Flags, cutLabels and empty non-terminals are what NamesPlanner plans for the same content.
 *  I2  All RRsets are content, and the tree is the draft's own, so that nobody else sees a node change.
 *  I3  Nodes are put into the tree between two stretches of the walk, at names that are behind it. */

import { Turns } from '../base/index.ts'
import {
  KEY_OCTETS_MAX,
  NODE_APEX,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  NODE_WILDCARD_CHILD,
  type TreeCursor,
  type TreeDraft,
} from '../zones/index.ts'
import { scratchOctets } from '../zones/scratch.ts'
import { occludes } from './content.ts'
import { labelsOfKey } from './ranges.ts'

/** Visits every node that has content, in canonical order: key[0..keyOctets), the node from `start` in `octets`. */
export type VisitNode = (key: Uint8Array, keyOctets: number, octets: Uint8Array, start: number) => void

/** Names between writes of the nodes that are made behind the walk. */
const NAMES_A_STRETCH = 1024

/** Done with a small tree when it returns; with others, it lets others have the event loop now and then.
 *  @throws ConclaveError STORE_FULL */
export function adoptTree(
  tree: TreeDraft,
  visit: VisitNode,
  namesAStretch: number = NAMES_A_STRETCH,
): Promise<void> | undefined {
  const adoption = new Adoption(tree, visit)
  return adoption.walk(namesAStretch) ? adoptRest(adoption, namesAStretch) : undefined
}

async function adoptRest(adoption: Adoption, namesAStretch: number): Promise<void> {
  const turns = new Turns(1)
  while (adoption.walk(namesAStretch)) if (turns.due()) await turns.take()
}

class Adoption {
  readonly #tree: TreeDraft
  readonly #cursor: TreeCursor
  readonly #visit: VisitNode
  /** The last name walked over; −1: none yet. */
  readonly #last = scratchOctets(KEY_OCTETS_MAX)
  #lastOctets = -1
  /** Octets of the last name's key that are the zone cut or DNAME it is at or below; −1: none. */
  #occluderOctets = -1
  #occluderLabels = 0
  readonly #empty: { readonly key: Uint8Array; readonly node: Uint8Array }[] = []
  readonly #wildcardParents: Uint8Array[] = []

  constructor(tree: TreeDraft, visit: VisitNode) {
    this.#tree = tree
    this.#cursor = tree.cursor()
    this.#visit = visit
  }

  /** Goes on for so many names; false at the end of the zone. */
  walk(names: number): boolean {
    const cursor = this.#cursor
    const { root } = this.#tree
    let more =
      this.#lastOctets < 0
        ? cursor.seekFirst(root)
        : cursor.find(root, this.#last, 0, this.#lastOctets) && cursor.next()
    for (let left = names; more && left > 0; left--) {
      this.#name(cursor.loadKey())
      more = cursor.next()
    }
    this.#putBehind()
    return more
  }

  #name(keyOctets: number): void {
    const { key, bytes, valueStart } = this.#cursor
    this.#visit(key, keyOctets, bytes, valueStart)
    const common = this.#commonOctets(key, keyOctets)
    if (common < this.#occluderOctets) this.#occluderOctets = -1
    const occluded = this.#occluderOctets >= 0 && keyOctets > 0
    this.#newLabels(key, keyOctets, common)
    const flags = occluded ? NODE_OCCLUDED : occludes(bytes, valueStart, keyOctets === 0)
    if (flags !== 0) {
      bytes[valueStart] = bytes[valueStart]! | flags
      bytes[valueStart + 1] = occluded ? this.#occluderLabels : 0
    }
    if (keyOctets === 0) bytes[valueStart] = bytes[valueStart]! | NODE_APEX
    if (flags !== 0 && !occluded) {
      this.#occluderOctets = keyOctets
      this.#occluderLabels = labelsOfKey(key, keyOctets)
    }
    this.#lastOctets = keyOctets
  }

  /** Octets that the key shares with the last one in whole labels. */
  #commonOctets(key: Uint8Array, keyOctets: number): number {
    const shorter = Math.min(keyOctets, this.#lastOctets)
    let common = 0
    for (let at = 0; at < shorter && key[at] === this.#last[at]; at++) if (key[at] === 0) common = at + 1
    return common
  }

  /** Names on the way from what the last one shares with this: RFC 4592 §2.2.2, they exist because a descendant does;
   *  §2.1.1, those that have a child `*`. This is the last one from now on. */
  #newLabels(key: Uint8Array, keyOctets: number, common: number): void {
    const last = this.#last
    let start = common
    for (let at = common; at < keyOctets; at++) {
      last[at] = key[at]!
      if (key[at] !== 0) continue
      const occluded = this.#occluderOctets >= 0 && start > this.#occluderOctets
      if (!occluded && key[start] === 0x2a && at === start + 1)
        this.#wildcardParents.push(key.slice(0, start))
      start = at + 1
      if (start < keyOctets) this.#addEmpty(key.slice(0, start))
    }
  }

  #addEmpty(key: Uint8Array): void {
    const occluded = this.#occluderOctets >= 0
    const node = occluded
      ? Uint8Array.of(NODE_EMPTY_NON_TERMINAL | NODE_OCCLUDED, this.#occluderLabels, 0)
      : Uint8Array.of(NODE_EMPTY_NON_TERMINAL, 0, 0)
    this.#empty.push({ key, node })
  }

  /** I3. */
  #putBehind(): void {
    if (this.#empty.length === 0 && this.#wildcardParents.length === 0) return
    for (const { key, node } of this.#empty) this.#tree.put(key, node)
    for (const parent of this.#wildcardParents) {
      const node = this.#tree.get(parent)!
      node[0] = node[0]! | NODE_WILDCARD_CHILD
    }
    this.#empty.length = this.#wildcardParents.length = 0
  }
}
