/** One round trip; a rejection means that the remote is not well. */
export async function probe(ask: (text: string) => Promise<string>): Promise<void> {
  await ask("ping");
}
