export { FakeClock } from "./time/fake-clock.ts";
