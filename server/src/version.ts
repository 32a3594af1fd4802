declare const CAIRN_VERSION: string | undefined

/** Written in by the build; a server run from its source calls itself so. */
export const VERSION: string = typeof CAIRN_VERSION === 'string' ? CAIRN_VERSION : '0.0.0-source'
