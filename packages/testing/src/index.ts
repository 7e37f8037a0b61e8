export { operationsOf } from "./operations.ts";
export { type TestCertificates, testCertificates } from "./certificates.ts";
export { resourceContract } from "./contract/contract.ts";
export type { ContractAssert, ContractFactory, ContractRunner } from "./contract/factory.ts";
export { leakyErrors, leaksIn, type LeakyError } from "./disclosure.ts";
export {
  brokenPromises,
  detect,
  detectAll,
  type Detected,
  FAULTS,
  LEEWAY,
  type OutageSpan,
  PROMISED,
  type Subject,
} from "./detection.ts";
export { machineAddress } from "./elsewhere.ts";
export { type Growth, growthOf, type Held } from "./growth.ts";
export { FakeClock } from "@steward/core/testing";
export { effort, rounds } from "./effort.ts";
export { TESTING_CODES, type TestingCode } from "./errors.ts";
export { assertNoLeaks, type HandleCounts, type HandleTracker, trackHandles } from "./leaks.ts";
export { Load, type Sample, Watch } from "./load.ts";
export { compareMembers, documentedMembers, type MemberComparison } from "./members.ts";
export { Alarm, failure, type Failure, sleep, until } from "./waits.ts";
export { type FaultProxy, type FaultProxyOptions, type FaultProxyStats, startFaultProxy } from "./proxy/proxy.ts";
