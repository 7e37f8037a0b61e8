// node --import <this file>?<checkout>: every `@steward/<name>` comes from that checkout, through the exports of its package.
import { register } from "node:module";

register(new URL("./checkout-hook.js", import.meta.url), { data: decodeURI(new URL(import.meta.url).search.slice(1)) });
