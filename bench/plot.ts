/** Line charts as SVG 1.1: self-contained, no script, readable without colours (each series has marks of its own).
 *  I1  The picture is a function of its data alone. */

export type Scale = 'linear' | 'log'

export interface Axis {
  readonly label: string
  readonly scale: Scale
}

export interface Series {
  readonly name: string
  /** From left to right; on a logarithmic axis greater than nothing. Not empty. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Chart {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

const WIDTH = 720
const HEIGHT = 400
const LEFT = 76
const RIGHT = 40
const TOP = 66
const BOTTOM = 54
const COLOURS = ['#1f5f99', '#b8651b', '#4c8c4a', '#7a4f9a']
const DASHES = ['', '7 4', '2 3', '9 3 2 3']
const TICKS_ABOUT = 6

export function chart(drawn: Chart): string {
  const x = axisOf(
    drawn.x.scale,
    drawn.series.flatMap(one => one.points.map(([value]) => value)),
    LEFT,
    WIDTH - RIGHT,
  )
  const y = axisOf(
    drawn.y.scale,
    drawn.series.flatMap(one => one.points.map(([, value]) => value)),
    HEIGHT - BOTTOM,
    TOP,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escaped(drawn.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    label(16, 24, drawn.title, 'font-size="15" font-weight="bold"'),
    ...drawn.series.map((one, at) => legendOf(one, at)),
    ...x.ticks.map(value => verticalLine(x.at(value), value)),
    ...y.ticks.map(value => horizontalLine(y.at(value), value)),
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, drawn.x.label, 'text-anchor="middle"'),
    `<text transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle" fill="#1a1a1a">${escaped(drawn.y.label)}</text>`,
    ...drawn.series.map((one, at) => lineOf(one, at, x, y)),
    '</svg>',
    '',
  ].join('\n')
}

interface DrawnAxis {
  readonly ticks: readonly number[]
  at(value: number): number
}

function axisOf(scale: Scale, values: readonly number[], from: number, to: number): DrawnAxis {
  const ticks = scale === 'log' ? logTicks(values) : linearTicks(values)
  const place = scale === 'log' ? Math.log10 : (value: number): number => value
  const [least, most] = [place(ticks[0]!), place(ticks.at(-1)!)]
  return { ticks, at: value => from + ((to - from) * (place(value) - least)) / (most - least) }
}

/** Powers of ten around all values. */
function logTicks(values: readonly number[]): number[] {
  const least = Math.floor(Math.log10(Math.min(...values)))
  const most = Math.max(least + 1, Math.ceil(Math.log10(Math.max(...values))))
  return Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index))
}

/** From nothing on, in steps of 1, 2 or 5 times a power of ten. */
function linearTicks(values: readonly number[]): number[] {
  const most = Math.max(...values) || 1
  const rough = most / TICKS_ABOUT
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10)
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => index * step)
}

function verticalLine(x: number, value: number): string {
  const line = `<path d="M${fixed(x)} ${TOP}V${HEIGHT - BOTTOM}" stroke="#dddddd"/>`
  return line + label(x, HEIGHT - BOTTOM + 18, tickText(value), 'text-anchor="middle" font-size="11"')
}

function horizontalLine(y: number, value: number): string {
  const line = `<path d="M${LEFT} ${fixed(y)}H${WIDTH - RIGHT}" stroke="#dddddd"/>`
  return line + label(LEFT - 8, y + 4, tickText(value), 'text-anchor="end" font-size="11"')
}

function tickText(value: number): string {
  if (value >= 1000) return value.toLocaleString('en')
  return String(Number(value.toPrecision(6)))
}

function legendOf({ name }: Series, at: number): string {
  const left = LEFT + at * 150
  return `<path d="M${left} 45H${left + 28}" ${strokeOf(at)}/>${label(left + 34, 49, name, '')}`
}

function lineOf({ points }: Series, at: number, x: DrawnAxis, y: DrawnAxis): string {
  const placed = points.map(([one, other]) => `${fixed(x.at(one))} ${fixed(y.at(other))}`)
  const line = `<path d="M${placed.join('L')}" fill="none" ${strokeOf(at)}/>`
  const marks = points.map(([one, other]) => markOf(x.at(one), y.at(other), at))
  return [line, ...(points.length > 40 ? [] : marks)].join('')
}

function markOf(x: number, y: number, at: number): string {
  const fill = `fill="${COLOURS[at % COLOURS.length]}"`
  if (at % 2 === 0) return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="3.2" ${fill}/>`
  return `<rect x="${fixed(x - 3)}" y="${fixed(y - 3)}" width="6" height="6" ${fill}/>`
}

function strokeOf(at: number): string {
  const dash = DASHES[at % DASHES.length]
  const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  return `stroke="${COLOURS[at % COLOURS.length]}" stroke-width="2"${dashed}`
}

function label(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" fill="#1a1a1a" ${attributes}>${escaped(words)}</text>`
}

function fixed(value: number): string {
  return value.toFixed(1)
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
