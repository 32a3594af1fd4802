import { GLOBAL_WORDS, wordTree, type CommandWords, type OptionWords } from './completion-words.ts'

/** A script for zsh 5, to be sourced after compinit or kept in a folder of fpath as `_cairn`. */
export function zshCompletion(commands: readonly CommandWords[]): string {
  const { first, groups } = wordTree(commands)
  return `#compdef cairn
# Completion of cairn for zsh. For every new shell, put this line into ~/.zshrc, after compinit:
#   source <(cairn completion -s zsh)

_cairn() {
  local command='' at=2
  local -a found specs
  while ((at < CURRENT)); do
    case $words[at] in
    --cd) ((at += 1)) ;;
    -*) ;;
    *) command="\${command:+$command }$words[at]" ;;
    esac
    ((at += 1))
    case $command in
    '' | ${[...groups.keys()].join(' | ')}) ;;
    *) break ;;
    esac
  done
  case $command in
  '')
    found=(${described(first)})
    specs=(${GLOBAL_WORDS.flatMap(optionSpecs).join(' ')})
    if [[ $words[CURRENT] == -* ]]; then _arguments -S : $specs; else _describe command found; fi
    return
    ;;
${[...groups].map(([group, second]) => `  '${group}') found=(${described(second)}) && _describe command found && return ;;`).join('\n')}
${commands.map((command) => `  '${command.name}') specs=(${specsOf(command)}) ;;`).join('\n')}
  esac
  # What is left is the command's own line.
  words=(cairn "\${(@)words[at,-1]}")
  ((CURRENT = CURRENT - at + 2))
  _arguments -s -S : $specs
}

_cairn_remotes() {
  local -a found
  found=(\${(f)"$(cairn remote list 2>/dev/null)"})
  compadd -- \${found%%[[:space:]]*}
}

_cairn_targets() {
  compadd -- \${(f)"$(cairn stage list --name-only 2>/dev/null)"}
  _files
}

if [[ $funcstack[1] == _cairn ]]; then _cairn "$@"; else compdef _cairn cairn; fi
`
}

function described(words: ReadonlyArray<readonly [string, string]>): string {
  return words.map(([word, summary]) => quote(`${word}:${summary}`)).join(' ')
}

function specsOf({ options, operands }: CommandWords): string {
  const action = { targets: '_cairn_targets', remotes: '_cairn_remotes', files: '_files', none: undefined }[operands]
  return [...options.flatMap(optionSpecs), ...(action === undefined ? [] : [quote(`*:${operands}:${action}`)])].join(' ')
}

function optionSpecs({ short, long, summary, value }: OptionWords): string[] {
  const action = value === undefined ? '' : `:value:${{ remote: '_cairn_remotes', file: '_files', other: '' }[value]}`
  const text = summary.replace(/[[\]\\:]/g, '\\$&')
  return [short, long].filter((name) => name !== undefined).map((name) => quote(`*${name}[${text}]${action}`))
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
