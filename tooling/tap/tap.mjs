export * from "tap";
export { default } from "tap";
