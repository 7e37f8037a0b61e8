/** Sets what a need is handed, whatever its key: `__proto__` too is a key of the user's. */
export function setNeed(needs: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") needs[key] = value;
  else Object.defineProperty(needs, key, { value, configurable: true, enumerable: true, writable: true });
}
