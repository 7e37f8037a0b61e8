export { resourceContract } from "./contract.js";
export { FakeClock } from "./clock.js";
export { TESTING_CODES } from "./errors.js";
export { assertNoLeaks, trackHandles } from "./leaks.js";
export { startFaultProxy } from "./proxy.js";
//# sourceMappingURL=index.js.map