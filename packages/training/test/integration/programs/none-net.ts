/** No network. */
export const net = 1;
