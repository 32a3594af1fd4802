import { GLOBAL_WORDS, wordTree, type CommandWords, type OptionWords } from './completion-words.ts'

/** A script for fish 3. */
export function fishCompletion(commands: readonly CommandWords[]): string {
  const { first, groups } = wordTree(commands)
  const rows = [
    ...first.map(([word, summary]) => `complete -c cairn -f -n '__cairn_at ""' -a ${word} -d ${quote(summary)}`),
    ...GLOBAL_WORDS.map((option) => optionRow('', option)),
    ...[...groups].flatMap(([group, second]) =>
      second.map(([word, summary]) => `complete -c cairn -f -n '__cairn_at "${group}"' -a ${word} -d ${quote(summary)}`),
    ),
    ...commands.flatMap((command) => [
      ...command.options.map((option) => optionRow(command.name, option)),
      ...operandRows(command),
    ]),
  ]
  return `# Completion of cairn for fish. For every new shell:
#   cairn completion -s fish > ~/.config/fish/completions/cairn.fish

function __cairn_at
    set -l found
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if test "$word" = --cd
            set skip 1
        else if not string match -q -- '-*' $word
            if test -z "$found"
                set found $word
            else if contains -- "$found" ${[...groups.keys()].join(' ')}
                set found "$found $word"
            end
        end
    end
    test "$found" = "$argv[1]"
end

function __cairn_remotes
    cairn remote list 2>/dev/null | string replace -r '\\s.*' ''
end

function __cairn_stages
    cairn stage list --name-only 2>/dev/null
end

${rows.join('\n')}
`
}

function optionRow(command: string, { short, long, summary, value }: OptionWords): string {
  const names = [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`].filter(Boolean).join(' ')
  const action = value === undefined ? '' : ` ${{ remote: "-x -a '(__cairn_remotes)'", file: '-r', other: '-x' }[value]}`
  return `complete -c cairn -n '__cairn_at "${command}"' ${names}${action} -d ${quote(summary)}`
}

function operandRows({ name, operands }: CommandWords): string[] {
  const condition = `-n '__cairn_at "${name}"'`
  if (operands === 'targets') return [`complete -c cairn ${condition} -a '(__cairn_stages)'`]
  if (operands === 'remotes') return [`complete -c cairn -f ${condition} -a '(__cairn_remotes)'`]
  return operands === 'none' ? [`complete -c cairn -f ${condition}`] : []
}

const quote = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`
