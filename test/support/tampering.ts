/** Faults put into signed zones on purpose, so that a judge which accepts ours is known to judge. Lines are those of a
 *  zone printed one record a line. */

/** The zone with one octet changed in the signature over an RRset. @throws when there is no such signature */
export function withBrokenSignature(text: string, owner: string, type: string): string {
  let found = false
  const lines = text.split('\n').map(line => {
    const words = line.split(/\s+/)
    const at = words.indexOf('RRSIG')
    if (words[0]!.toLowerCase() !== owner || at < 0 || words[at + 1] !== type || at > 3) return line
    found = true
    const signatureAt = line.lastIndexOf(words[at + 9]!)
    const letter = line[signatureAt + 10] === 'A' ? 'B' : 'A'
    return line.slice(0, signatureAt + 10) + letter + line.slice(signatureAt + 11)
  })
  if (!found) throw new Error(`no signature over ${owner} ${type}`)
  return lines.join('\n')
}

/** The zone without some lines. @throws when none goes */
export function without(text: string, pattern: RegExp): string {
  const lines = text.split('\n')
  const left = lines.filter(line => !pattern.test(line))
  if (left.length === lines.length) throw new Error(`no line matches ${pattern}`)
  return left.join('\n')
}
