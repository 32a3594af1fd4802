/** The part of a stream that a console needs. */
export interface Output {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}
