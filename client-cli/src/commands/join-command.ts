/** A command's words as dvc records them: one word as it is, several joined by blanks with those that hold blanks in quotes. */
export function joinCommand(words: readonly string[]): string {
  if (words.length === 1) return words[0] ?? ''
  return words.map(quoteWord).join(' ')
}

function quoteWord(word: string): string {
  if (word === '') return '""'
  return /\s/.test(word) && !word.includes('"') ? `"${word}"` : word
}
