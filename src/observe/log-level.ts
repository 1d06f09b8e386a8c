/** How much a log tells: the levels, apart from what writes it, because the table of flags names them. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
