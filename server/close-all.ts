/** Closes everything, the last first, whatever one of them says; the first fault is thrown when all is closed. */
export async function closeAll(opened: readonly (() => Promise<unknown>)[]): Promise<void> {
  const faults: unknown[] = []
  for (const close of [...opened].reverse()) await close().catch(fault => faults.push(fault))
  if (faults.length > 0) throw faults[0]
}
