import type { Picture } from './picture.ts'

/** Where everything of a picture stands, in characters. */
export interface Drawn {
  boxes: Array<{ x: number; y: number; width: number; label: string }>
  lines: Array<{ from: Point; to: Point }>
  width: number
  height: number
}

interface Point {
  x: number
  y: number
}

/** A box, or a point at which a line passes through a layer. */
interface Node {
  label: string | undefined
  width: number
  layer: number
  center: number
  above: Node[]
  below: Node[]
}

const GAP = 4
const BOX_HEIGHT = 3
const SWEEPS = 8

/** Layers from top to bottom: what is made first stands above what is made of it. */
export function layOut(picture: Picture): Drawn {
  const layers = layerNodes(picture)
  for (let sweep = 0; sweep < SWEEPS; sweep++) orderLayers(layers, sweep % 2 === 0)
  for (const layer of layers) pack(layer)
  for (let sweep = 0; sweep < SWEEPS; sweep++) straighten(layers, sweep % 2 === 0)
  shiftToLeftEdge(layers)
  return measure(layers)
}

function layerNodes({ labels, arrows }: Picture): Node[][] {
  const nodes = labels.map((label): Node => ({
    label,
    width: Array.from(label).length + 4,
    layer: 0,
    center: 0,
    above: [],
    below: [],
  }))
  // Labels come with what is made first in front, so one pass settles the longest way to each.
  for (const [from, to] of arrows.toSorted((a, b) => a[0] - b[0])) {
    const [upper, lower] = [nodes[from], nodes[to]]
    if (upper && lower) lower.layer = Math.max(lower.layer, upper.layer + 1)
  }
  pullDownSources(nodes, arrows)
  const layers: Node[][] = []
  for (const node of nodes) (layers[node.layer] ??= []).push(node)
  for (const [from, to] of arrows) {
    const [upper, lower] = [nodes[from], nodes[to]]
    if (upper && lower) connect(upper, lower, layers)
  }
  return layers
}

/** A file that is only read by a late stage stands right above that stage, not at the top. */
function pullDownSources(nodes: readonly Node[], arrows: Picture['arrows']): void {
  const targets = new Set(arrows.map(([, to]) => to))
  nodes.forEach((node, index) => {
    const readers = arrows.filter(([from]) => from === index).map(([, to]) => nodes[to]?.layer ?? 1)
    if (!targets.has(index) && readers.length > 0) node.layer = Math.min(...readers) - 1
  })
}

function connect(upper: Node, lower: Node, layers: Node[][]): void {
  let last = upper
  for (let layer = upper.layer + 1; layer < lower.layer; layer++) {
    const pass: Node = { label: undefined, width: 1, layer, center: 0, above: [last], below: [] }
    last.below.push(pass)
    ;(layers[layer] ??= []).push(pass)
    last = pass
  }
  last.below.push(lower)
  lower.above.push(last)
}

/** Each node goes to the mean place of its neighbours, which leaves few crossings. */
function orderLayers(layers: readonly Node[][], down: boolean): void {
  const place = new Map<Node, number>()
  for (const layer of layers) layer.forEach((node, index) => place.set(node, (index + 0.5) / layer.length))
  for (const layer of down ? layers : layers.toReversed()) {
    const wanted = new Map(
      layer.map((node) => [
        node,
        mean((down ? node.above : node.below).map((other) => place.get(other) ?? 0)) ?? place.get(node) ?? 0,
      ]),
    )
    layer.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0))
    layer.forEach((node, index) => place.set(node, (index + 0.5) / layer.length))
  }
}

function pack(layer: readonly Node[]): void {
  let right = 0
  for (const node of layer) {
    node.center = right + node.width / 2
    right += node.width + GAP
  }
}

function straighten(layers: readonly Node[][], down: boolean): void {
  for (const layer of down ? layers : layers.toReversed()) {
    const wanted = layer.map((node) => mean((down ? node.above : node.below).map((other) => other.center)) ?? node.center)
    placeNear(layer, wanted)
  }
}

interface Block {
  nodes: Node[]
  /** Distance of each node from the block's first. */
  offsets: number[]
  /** Where the first would stand if it had the place to itself: the mean of what its nodes wish. */
  start: number
}

/** The closest places to the wanted ones at which no two boxes touch: neighbours that collide move as one block. */
function placeNear(layer: readonly Node[], wanted: readonly number[]): void {
  const blocks: Block[] = []
  layer.forEach((node, index) => {
    let block: Block = { nodes: [node], offsets: [0], start: wanted[index] ?? node.center }
    for (let before = blocks.at(-1); before; before = blocks.at(-1)) {
      const distance = (before.offsets.at(-1) ?? 0) + spacing(before.nodes.at(-1), block.nodes[0])
      if (before.start + distance <= block.start) break
      blocks.pop()
      block = join(before, block, distance)
    }
    blocks.push(block)
  })
  for (const block of blocks) block.nodes.forEach((node, index) => (node.center = block.start + (block.offsets[index] ?? 0)))
}

function join(left: Block, right: Block, distance: number): Block {
  const total = left.nodes.length + right.nodes.length
  return {
    nodes: [...left.nodes, ...right.nodes],
    offsets: [...left.offsets, ...right.offsets.map((offset) => offset + distance)],
    start: (left.start * left.nodes.length + (right.start - distance) * right.nodes.length) / total,
  }
}

const spacing = (left: Node | undefined, right: Node | undefined): number => ((left?.width ?? 0) + (right?.width ?? 0)) / 2 + GAP

const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length

function shiftToLeftEdge(layers: readonly Node[][]): void {
  const left = Math.min(...layers.flat().map((node) => node.center - node.width / 2))
  for (const node of layers.flat()) node.center -= left
}

function measure(layers: readonly Node[][]): Drawn {
  const drawn: Drawn = { boxes: [], lines: [], width: 0, height: 0 }
  let top = 0
  layers.forEach((layer, index) => {
    const rows = rowsBelow(layer)
    for (const node of layer) {
      const x = Math.round(node.center - node.width / 2)
      if (node.label !== undefined) drawn.boxes.push({ x, y: top, width: node.width, label: node.label })
      else drawn.lines.push({ from: { x: column(node), y: top }, to: { x: column(node), y: top + BOX_HEIGHT - 1 } })
      const [from, to] = [top + BOX_HEIGHT, top + BOX_HEIGHT + rows - 1]
      for (const other of node.below)
        drawn.lines.push({ from: { x: column(node), y: from }, to: { x: straightened(node, other), y: to } })
      drawn.width = Math.max(drawn.width, x + node.width + 1)
    }
    top += BOX_HEIGHT
    if (index < layers.length - 1) top += rows
    drawn.height = top
  })
  return drawn
}

const column = (node: Node): number => Math.round(node.center - node.width / 2) + Math.floor((node.width - 1) / 2)

/** A line that goes aside by a single column, because one box is even and the other odd, is drawn upright. */
const straightened = (from: Node, to: Node): number =>
  Math.abs(column(to) - column(from)) <= 1 && to.label !== undefined ? column(from) : column(to)

/** Room for the lines below a layer: the further they go aside, the more rows they get. */
function rowsBelow(layer: readonly Node[]): number {
  const widest = Math.max(0, ...layer.flatMap((node) => node.below.map((other) => Math.abs(other.center - node.center))))
  return Math.min(8, Math.max(2, Math.ceil(widest / 5)))
}
