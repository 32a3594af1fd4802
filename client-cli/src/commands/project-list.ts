import type { Command } from '../command.ts'
import { formatJson } from '../report/json.ts'
import { formatBytes } from '../report/progress.ts'
import { columns, SERVER_OPTION, withServer } from './administration.ts'

export const command: Command = {
  name: 'project list',
  summary: 'Print the projects that the token reaches.',
  options: [{ flags: '--json', summary: 'Print it for programs.' }, SERVER_OPTION],
  examples: ['cairn project list'],
  async run(context, _, options) {
    const projects = await withServer(context, options, (server) => server.listProjects(context.signal))
    const rows = projects.map((project) => [
      project.slug,
      String(project.objects),
      formatBytes(project.bytes),
      project.damaged > 0 ? `${project.damaged} damaged` : 'sound',
    ])
    const text = options['json'] === true ? formatJson({ projects }) : columns([['NAME', 'OBJECTS', 'SIZE', 'STATE'], ...rows])
    context.report({ type: 'output', text })
  },
}
