import type { Answer } from "./client.ts";
import type { ServerCase } from "./world.ts";

const BOUNDARY = "the-boundary";

/** A multipart form with one field and one file. */
function formOf(title: string, file: string): string {
  const part = (head: string, body: string): string =>
    `--${BOUNDARY}\r\ncontent-disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
  return `${part('name="title"', title)}${part('name="clip"; filename="clip.bin"', file)}--${BOUNDARY}--\r\n`;
}

/** Forms, and requests that are sent again. */
export const againCases: readonly ServerCase[] = [
  {
    name: "reads multipart forms, with their files",
    async run(world) {
      const { assert } = world;
      const { from, nature } = world.adapter;
      interface Values {
        readonly title: string;
        readonly clip: { readonly filename: string; readonly buffer?: Uint8Array };
      }
      const needs = { title: from.form("title"), clip: from.file("clip") };
      const answer = ({ title, clip }: Values): string => `${title} ${clip.filename}`;
      const up = await world.up([{ method: "POST", path: "/", needs, answer }]);
      const headers = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };
      const post = async (body: string): Promise<Answer> => up.ask("/", { method: "POST", headers, body });
      const { status, text } = await post(formOf("one", "x"));
      assert.strictEqual(`${status} ${text}`, `${nature?.created ?? 200} one clip.bin`);
      assert.strictEqual((await post(formOf("one", "x").slice(0, -20))).status, 400, "it is cut off");
      assert.strictEqual(
        (await up.ask("/", { method: "POST", body: "{}", headers: { "content-type": "application/json" } })).status,
        415,
      );
    },
  },
  {
    name: "does a request with an idempotency key once: text, bytes, JSON and a Response are answered again, of a stream it says that it was not kept",
    async run(world) {
      const { assert } = world;
      const { adapter } = world;
      const options = { idempotency: { store: adapter.idempotency() } };
      let done = 0;
      const results: Readonly<Record<string, () => unknown>> = {
        text: () => "text",
        bytes: () => Buffer.from("bytes"),
        json: async () => ({ a: 1 }),
        response: () => Response.json({ a: 1 }, { status: 201, headers: { "x-own": "1" } }),
        nothing: () => undefined,
        refused: () => {
          throw new adapter.HttpError(402, "no");
        },
        stream: () =>
          adapter.stream(
            (async function* () {
              yield "one";
              await new Promise((resolve) => setTimeout(resolve, 5));
              yield "two";
            })(),
          ),
      };
      const up = await world.up(
        Object.entries(results).map(([name, result]) => {
          const answer = (): unknown => (done++, result());
          return { method: "POST", path: `/${name}`, needs: {}, answer, options } as const;
        }),
      );
      for (const name of Object.keys(results)) {
        const post = (): Promise<Answer> =>
          up.ask(`/${name}`, { method: "POST", headers: { "idempotency-key": name } });
        const seen = ({ status, headers, text }: Answer): string =>
          [status, headers["content-type"] ?? "", headers["x-own"] ?? "", text].join(" | ");
        const [first, again] = [await post(), await post()];
        if (name === "stream") assert.strictEqual(again.status, 409, "a stream is not kept");
        else if (name === "refused")
          assert.strictEqual(`${again.status} ${again.headers["idempotency-replayed"]}`, "402 true");
        else assert.strictEqual(seen(again), seen(first));
        if (name === "response") assert.strictEqual(first.status, 201);
      }
      assert.strictEqual(done, Object.keys(results).length, "each was done once");
    },
  },
];
