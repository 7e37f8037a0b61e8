import { StewardError } from "@steward/core";
import { leaksIn, leakyErrors, until } from "@steward/testing";
import t from "tap";
import { hubFor, nextText, rawClient } from "./setup.ts";

t.test(
  "60 errors of handlers: a caller reads a code and a fixed sentence, and nothing that is for operators",
  async (t) => {
    const causes = leakyErrors();
    const failures: unknown[] = [];
    const hub = await hubFor(t, {
      messagesPerSecond: 0,
      authorize: (room) => {
        throw causes[Number(room)]?.make();
      },
      call: (index) => {
        throw causes[Number(index)]?.make();
      },
    });
    hub.client.on("failure", (error) => failures.push(error));
    const ws = await rawClient(t, hub.url);
    const ask = async (request: object): Promise<string> => {
      const answer = nextText(ws);
      ws.send(JSON.stringify({ id: 1, ...request }));
      return answer;
    };
    t.ok(causes.length >= 60);
    const told: string[] = [];
    for (const index of causes.keys()) told.push(await ask({ call: index }), await ask({ join: String(index) }));
    t.same(told.flatMap(leaksIn), [], "nothing leaks");
    t.equal(failures.length, told.length, "operators hear of each");
    const down = causes.findIndex(({ name }) => name === "RESOURCE_UNAVAILABLE");
    t.same(JSON.parse(await ask({ call: down })), {
      id: 1,
      error: {
        code: "RESOURCE_UNAVAILABLE",
        message: "a part of the service is not available now; please try again",
        retryable: true,
      },
    });
  },
);

t.test("what its author marked as public reaches the caller", async (t) => {
  const hub = await hubFor(t, {
    call: () => {
      throw new StewardError("VIDEO_MISSING", "no row 7 in videos", {
        publicMessage: "there is no such video",
        retryAfterMs: 20,
      });
    },
  });
  const ws = await rawClient(t, hub.url);
  const answer = nextText(ws);
  ws.send('{"id":1,"call":7}');
  const { error } = JSON.parse(await answer) as { error: unknown };
  t.same(error, { code: "VIDEO_MISSING", message: "there is no such video", retryable: false, retryAfterMs: 20 });
  await until(() => hub.client.sockets.size === 1, "the socket is still there");
});
