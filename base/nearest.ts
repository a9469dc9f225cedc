/** The known word that somebody most likely meant: edit distance with transpositions (Damerau 1964, restricted form). */

/** So many edits in a word of this length are still the same word: one in three letters, at least two. */
const EDITS_MIN = 2
const LETTERS_PER_EDIT = 3
/** Longer words are nobody's slip of the finger. */
const LETTERS_MAX = 64

/** So many first letters are the word itself, cut short or spun out. */
const BEGINNING_MIN = 4

/** Undefined when none is near. Case, hyphens and underscores do not count. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const plain = plainOf(word)
  if (plain.length === 0 || plain.length > LETTERS_MAX) return undefined
  const words = [...known].filter(one => one.length <= LETTERS_MAX)
  return (
    only(words.filter(one => isBeginning(plain, plainOf(one)))) ??
    fewestEdits(plain, words) ??
    only(words.filter(one => isBeginning(plainOf(one), plain)))
  )
}

function only(words: readonly string[]): string | undefined {
  return words.length === 1 ? words[0] : undefined
}

function fewestEdits(plain: string, words: readonly string[]): string | undefined {
  const bound = Math.max(EDITS_MIN, Math.floor(plain.length / LETTERS_PER_EDIT))
  let found: string | undefined
  // A word of two letters is not two edits away from everything.
  let best = Math.min(bound, plain.length - 1) + 1
  for (const one of words) {
    const edits = editsBetween(plain, plainOf(one))
    if (edits < best) [found, best] = [one, edits]
  }
  return found
}

function isBeginning(beginning: string, word: string): boolean {
  return beginning.length >= BEGINNING_MIN && word.startsWith(beginning)
}

function plainOf(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, '')
}

function editsBetween(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let edits = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (row > 1 && column > 1 && swapped) edits = Math.min(edits, before[column - 2]! + 1)
      current.push(edits)
    }
    before = last
    last = current
  }
  return last[b.length]!
}
