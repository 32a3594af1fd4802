// The model: for each class, the mean of its pictures' columns, cut to `digits` digits.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { columns, pictures } from './png.mjs'

const { digits } = JSON.parse(readFileSync('config/train.json', 'utf8'))
const classes = {}
for (const [name, file] of pictures()) {
  const mean = (classes[name] ??= { count: 0, sums: [] })
  mean.count++
  columns(file).forEach((value, x) => (mean.sums[x] = (mean.sums[x] ?? 0) + value))
}
const model = Object.fromEntries(
  Object.entries(classes).map(([name, { count, sums }]) => [
    name,
    sums.map((sum) => Number((sum / count / 255).toFixed(digits))),
  ]),
)
mkdirSync('model', { recursive: true })
writeFileSync('model/model.json', `${JSON.stringify(model)}\n`)
console.log(`trained on ${Object.values(classes).reduce((sum, { count }) => sum + count, 0)} pictures`)
