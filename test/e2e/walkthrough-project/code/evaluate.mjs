// How many pictures lie nearest to the mean of their own class.
import { readFileSync, writeFileSync } from 'node:fs'
import { columns, pictures } from './png.mjs'

const model = Object.entries(JSON.parse(readFileSync('model/model.json', 'utf8')))
let right = 0
let all = 0
let loss = 0
for (const [name, file] of pictures()) {
  const values = columns(file)
  const distances = model.map(([of, mean]) => [mean.reduce((sum, value, x) => sum + (value - values[x] / 255) ** 2, 0), of])
  distances.sort(([a], [b]) => a - b)
  if (distances[0][1] === name) right++
  loss += distances[0][0]
  all++
}
writeFileSync(
  'model/metrics.json',
  `${JSON.stringify({ acc: Number((right / all).toFixed(4)), loss: Number((loss / all).toFixed(4)) })}\n`,
)
