/** Long work that others need not wait for: a generator that yields now and then, run at once or in turns with whatever
 *  else the event loop has to do.
 *  I1  Between two yields lies at most a few milliseconds of work. */

export type Steps<T> = Generator<undefined, T, undefined>

/** Runs to the end. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Runs to the end, letting others have the event loop at every yield; without one it has ended when this returns. */
export function inTurns<T>(steps: Steps<T>): T | Promise<T> {
  const { done, value } = steps.next()
  return done === true ? value : goOn(steps)
}

async function goOn<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    await new Promise(resolve => setImmediate(resolve))
    const { done, value } = steps.next()
    if (done === true) return value
  }
}
