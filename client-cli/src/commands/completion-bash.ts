import { GLOBAL_WORDS, wordTree, type CommandWords, type OptionWords } from './completion-words.ts'

/** A script for bash 3.2 and later, without the package bash-completion. */
export function bashCompletion(commands: readonly CommandWords[]): string {
  const { first, groups } = wordTree(commands)
  const words = [
    `    '') words='${first.map(([word]) => word).join(' ')} ${flagsOf(GLOBAL_WORDS)}' ;;`,
    ...[...groups].map(([group, second]) => `    '${group}') words='${second.map(([word]) => word).join(' ')}' ;;`),
    ...commands.map(({ name, options, operands }) => `    '${name}') words='${flagsOf(options)}' operands=${operands} ;;`),
  ]
  const valued = commands.map(({ name, options }) => `    '${name}') valued=' ${valuedOf(options)} ' ;;`)
  return `# Completion of cairn for bash. For every new shell, put this line into ~/.bashrc:
#   source <(cairn completion -s bash)

_cairn() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' operands=none valued='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
    --cd) at=$((at + 1)) ;;
    -*) ;;
    *)
      case "$command" in
      '') command=\${COMP_WORDS[at]} ;;
      ${[...groups.keys()].map((group) => `'${group}'`).join(' | ')}) command="$command \${COMP_WORDS[at]}" ;;
      esac
      ;;
    esac
  done
  case "$command" in
${words.join('\n')}
  esac
  case "$command" in
${valued.join('\n')}
  esac
  COMPREPLY=()
  local IFS=$' \\t\\n'
  case "$valued" in *" $previous "*)
    case "$previous" in -r | --remote) COMPREPLY=($(compgen -W "$(_cairn_remotes)" -- "$word")) ;; esac
    return
    ;;
  esac
  if [[ $word == -* || $operands == none ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    return
  fi
  case $operands in
  remotes) COMPREPLY=($(compgen -W "$(_cairn_remotes)" -- "$word")) ;;
  targets)
    COMPREPLY=($(compgen -W "$(cairn stage list --name-only 2>/dev/null)" -- "$word"))
    IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$word"))
    ;;
  esac
}

_cairn_remotes() {
  cairn remote list 2>/dev/null | while read -r name _; do echo "$name"; done
}

complete -o bashdefault -o default -F _cairn cairn
`
}

function flagsOf(options: readonly OptionWords[]): string {
  return options
    .flatMap(({ short, long }) => [short, long])
    .filter(Boolean)
    .join(' ')
}

function valuedOf(options: readonly OptionWords[]): string {
  return flagsOf(options.filter(({ value }) => value !== undefined))
}
