// One of several processes that run the same: says where its dashboard is, and is told where the others are.
import { container, serveManagement } from "@steward/container";
import { optional, resource } from "@steward/core";
import { dashboard } from "../../src/index.ts";

const [, , version = ""] = process.argv;
let peers: readonly string[] = [];
process.on("message", (urls) => (peers = urls as readonly string[])); // what the test sends
process.on("disconnect", () => process.exit());

const board = dashboard({ token: "0123456789abcdef-replicas", peers: () => peers });
const store = resource("store", { start: () => ({}) });
// Of three replicas the one that is set up in another way is to be seen.
const own = resource("own", { enabled: () => version === "b", start: () => ({}) });
const app = resource("app", { needs: { store, own: optional(own) }, start: () => ({}) });
const running = await container([app], { name: "shop", version }).start();
const management = await serveManagement(running, { routes: { "/steward/": board } });
const url = `${management.url}/steward/`;
process.send?.({ url, link: board.link(url) });
