/** A plan as a picture (SVG 1.1, self-contained, no script): for each key a bar a record, in the colour of its state, over time.
 *  I1  The picture is a function of the plan alone. */

import { algorithmOf } from './algorithms.ts'
import type { Plan, PlanEvent, PlanKey, PlanSpan } from './roll-plan.ts'
import { recordName } from './roll-words.ts'
import type { KeyRecord } from './timeline.ts'

const WIDTH = 1200
const LEFT = 290
const RIGHT = 36
const TOP = 96
const BAR = 11
const GAP = 3
const KEY_GAP = 16
const FOOT = 30
/** Keys beyond so many are not drawn, and that is said: nobody reads more. */
const KEYS_DRAWN_MAX = 120
const RECORDS: readonly KeyRecord[] = ['dnskey', 'keySignature', 'zoneSignature', 'ds']
/** Told apart without colours too: by lightness, and hatching. */
const FILLS = { rumoured: '#9ec5e8', omnipresent: '#1f5f99', unretentive: 'url(#hatch)' } as const
const STATE_TEXT = {
  rumoured: 'shown, not everywhere yet',
  omnipresent: 'everywhere',
  unretentive: 'taken back, still in caches',
} as const
const DAY = 86_400

export function planPicture(plan: Plan, title: string): string {
  const keys = plan.keys.filter(({ spans }) => spans.length > 0)
  const drawn = keys.slice(0, KEYS_DRAWN_MAX)
  const x = scaleOf(plan)
  const rows: string[] = []
  let y = TOP
  for (const key of drawn) {
    rows.push(keyRows(key, y, x))
    y += heightOf(key) + KEY_GAP
  }
  const height = y + FOOT
  const left = keys.length - drawn.length
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#f6e3c8"/><rect width="2.4" height="6" fill="#b8651b"/></pattern></defs>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(16, 28, title, 'font-size="17" font-weight="bold" fill="#1a1a1a"'),
    legend(),
    axis(plan, x, y),
    ...plan.events.filter(isMark).map(event => mark(event, x, y)),
    ...rows,
    left > 0 ? text(16, height - 10, `and ${left} more keys`, 'fill="#444444"') : '',
    '</svg>',
    '',
  ].join('\n')
}

type Scale = (unix: number) => number

function scaleOf({ fromUnix, untilUnix }: Plan): Scale {
  const width = WIDTH - LEFT - RIGHT
  const span = Math.max(1, untilUnix - fromUnix)
  return unix => LEFT + (width * Math.min(Math.max(unix - fromUnix, 0), span)) / span
}

function recordsOf({ spans }: PlanKey): KeyRecord[] {
  return RECORDS.filter(record => spans.some(span => span.record === record))
}

function heightOf(key: PlanKey): number {
  return Math.max(2, recordsOf(key).length) * (BAR + GAP)
}

function keyRows(key: PlanKey, y: number, x: Scale): string {
  const about = algorithmOf(key.algorithm).mnemonic
  const lines = [
    text(16, y + BAR, key.name, 'font-weight="bold" fill="#1a1a1a"'),
    text(16, y + BAR + BAR + GAP, about, 'font-size="10" fill="#555555"'),
  ]
  recordsOf(key).forEach((record, at) => {
    const top = y + at * (BAR + GAP)
    lines.push(
      text(LEFT - 8, top + BAR - 1, recordName(record), 'font-size="10" text-anchor="end" fill="#444444"'),
    )
    lines.push(
      `<rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${BAR}" fill="#f2f2f2"/>`,
    )
    lines.push(...key.spans.filter(span => span.record === record).map(span => bar(span, top, x)))
  })
  return lines.join('\n')
}

function bar({ state, fromUnix, toUnix }: PlanSpan, top: number, x: Scale): string {
  const from = x(fromUnix)
  // What lasts an hour is seen in a picture of years too.
  const width = Math.max(1.5, x(toUnix) - from)
  const times = `${dateOf(fromUnix)} to ${dateOf(toUnix)}`
  return `<rect x="${round(from)}" y="${top}" width="${round(width)}" height="${BAR}" fill="${FILLS[state]}"><title>${state}, ${times}</title></rect>`
}

function legend(): string {
  const states = Object.keys(FILLS) as (keyof typeof FILLS)[]
  const boxes = states.map((state, at) => {
    const left = LEFT + LEGEND_PLACES[at]!
    const box = `<rect x="${left}" y="42" width="22" height="${BAR}" fill="${FILLS[state]}"/>`
    return box + text(left + 28, 52, `${state}: ${STATE_TEXT[state]}`, 'font-size="11" fill="#333333"')
  })
  const lines = [MARK_ZONE, MARK_PARENT].map(({ colour, what }, at) => {
    const left = LEFT + LEGEND_PLACES[3 + at]!
    const line = `<line x1="${left}" y1="40" x2="${left}" y2="55" stroke="${colour}" stroke-dasharray="2 3"/>`
    return line + text(left + 7, 52, what, 'font-size="11" fill="#333333"')
  })
  return [...boxes, ...lines].join('\n')
}

const LEGEND_PLACES = [0, 245, 425, 680, 785] as const
const MARK_ZONE = { colour: '#1f5f99', what: 'zone changes' } as const
const MARK_PARENT = { colour: '#b8651b', what: 'parent is seen' } as const

/** Steps of the axis, of which the first that gives no more than so many is taken. */
const STEPS_DAYS = [1 / 24, 1 / 4, 1, 2, 7, 14, 30, 61, 91, 182, 365, 730] as const
const STEPS_MAX = 14

function axis(plan: Plan, x: Scale, bottom: number): string {
  const days = (plan.untilUnix - plan.fromUnix) / DAY
  const step = (STEPS_DAYS.find(one => days / one <= STEPS_MAX) ?? days / STEPS_MAX) * DAY
  const lines: string[] = []
  for (let unix = plan.fromUnix; unix <= plan.untilUnix; unix += step) {
    const at = round(x(unix))
    lines.push(`<line x1="${at}" y1="${TOP - 10}" x2="${at}" y2="${bottom}" stroke="#d8d8d8"/>`)
    const label = dateOf(unix).slice(step < DAY ? 5 : 0, step < DAY ? 16 : 10)
    lines.push(text(at, TOP - 16, label, 'font-size="10" text-anchor="middle" fill="#444444"'))
  }
  return lines.join('\n')
}

function isMark({ kind }: PlanEvent): boolean {
  return kind === 'publish' || kind === 'ds-seen' || kind === 'confirm-ds' || kind === 'unsign'
}

/** A line where what the zone or its parent shows changes. */
function mark({ atUnix, kind, reason }: PlanEvent, x: Scale, bottom: number): string {
  const at = round(x(atUnix))
  const { colour } = kind === 'publish' || kind === 'unsign' ? MARK_ZONE : MARK_PARENT
  const title = `<title>${dateOf(atUnix)} ${escaped(reason)}</title>`
  return `<line x1="${at}" y1="${TOP - 6}" x2="${at}" y2="${bottom}" stroke="${colour}" stroke-width="0.8" stroke-dasharray="2 3">${title}</line>`
}

function text(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(words)}</text>`
}

function dateOf(unix: number): string {
  return new Date(unix * 1000).toISOString().slice(0, 16).replace('T', ' ')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(words: string): string {
  return words.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
