/**
 * Names of the annotations of our own prefix that the provider of local mode reads; their meaning stands with it.
 *
 * They stand in the core because the node agent must know them too: it warns of what begins with our prefix and is
 * not known.
 */
export const localAnnotation = {
  addresses: 'sluice.dev/addresses',
  pool: 'sluice.dev/address-pool',
  sharing: 'sluice.dev/sharing-key',
  move: 'sluice.dev/allow-move',
} as const;
