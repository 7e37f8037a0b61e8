export { type TestCertificates, testCertificates } from "./certificates.ts";
export { type ContractAssert, type ContractFactory, type ContractRunner, resourceContract } from "./contract.ts";
export { leakyErrors, leaksIn, type LeakyError } from "./disclosure.ts";
export { FakeClock } from "@steward/core/testing";
export { TESTING_CODES, type TestingCode } from "./errors.ts";
export { assertNoLeaks, type HandleCounts, type HandleTracker, trackHandles } from "./leaks.ts";
export { Load, type Sample, Watch } from "./load.ts";
export { failure, type Failure, sleep, until } from "./waits.ts";
export { type FaultProxy, type FaultProxyOptions, type FaultProxyStats, startFaultProxy } from "./proxy.ts";
