import { CairnError } from '@cairn/protocol/error'
import { jsonText } from './json-value.ts'

/** What a page shows of one plot. */
export type PagePart =
  | { kind: 'vega'; name: string; spec: unknown }
  /** `src` is relative to the page. */
  | { kind: 'image'; name: string; images: ReadonlyArray<{ rev: string; src: string }> }

/** Vega-Lite and what draws it, from where dvc's pages take them too. */
const SCRIPTS = `<script src="https://cdn.jsdelivr.net/npm/vega@5"></script>
    <script src="https://cdn.jsdelivr.net/npm/vega-lite@5"></script>
    <script src="https://cdn.jsdelivr.net/npm/vega-embed@6"></script>
    <script>
      function drawPlot(id, spec) {
        if (window.vegaEmbed) return vegaEmbed('#' + id, spec)
        document.getElementById(id).textContent =
          'To draw this plot the page loads Vega from cdn.jsdelivr.net, which cannot be reached.'
      }
    </script>`

const PAGE = `<!DOCTYPE html>
<html lang="en">
  <head>
    {refresh_tag}
    <meta charset="utf-8">
    <title>DVC Plot</title>
    {scripts}
    <style>
      figure { display: inline-block; margin: 8px; text-align: center }
      .images { border: 1px solid; overflow-x: auto; white-space: nowrap }
    </style>
  </head>
  <body>
    {plot_divs}
  </body>
</html>
`

/**
 * The page with all plots. A person's own template has `{plot_divs}` where they go, and may have `{scripts}`.
 * @throws CairnError COMMAND_FAILED when the template has no place for the plots
 */
export function plotPage(parts: readonly PagePart[], template: string = PAGE): string {
  if (!template.includes('{plot_divs}')) throw new CairnError('COMMAND_FAILED', `HTML template has to contain '{plot_divs}'.`)
  const ordered = [
    ...parts.filter((part) => part.kind === 'vega'),
    ...parts.filter((part) => part.kind === 'image').toSorted(byPlace),
  ]
  const places = new Map([
    ['scripts', parts.some((part) => part.kind === 'vega') ? SCRIPTS : ''],
    ['plot_divs', ordered.map(partHtml).join('\n    ')],
    ['refresh_tag', ''],
  ])
  return template.replace(/\{(scripts|plot_divs|refresh_tag)\}/g, (_all, place: string) => places.get(place) ?? '')
}

/** Images of one folder together, those that are numbered in the order of their numbers. */
function byPlace(a: PagePart, b: PagePart): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true })
}

function partHtml(part: PagePart, at: number): string {
  const id = `plot${at}`
  if (part.kind === 'vega') {
    // Text of a plot must not end the script.
    const spec = jsonText(part.spec).replaceAll('<', '\\u003c')
    return `<div id="${id}"></div>\n    <script>drawPlot('${id}', ${spec})</script>`
  }
  const figures = part.images.map(
    ({ rev, src }) => `<figure><figcaption>${escaped(rev)}</figcaption><img src="${escaped(src)}" alt=""></figure>`,
  )
  return `<div id="${id}" class="images"><p>${escaped(part.name)}</p>${figures.join('')}</div>`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => ESCAPES[char] ?? char)
