import t from "tap";
import { SECRET_PARAMETERS, urlMask } from "../src/index.ts";

t.test("secrets of a query are masked in any spelling, and nothing else is touched", (t) => {
  const masked = urlMask(SECRET_PARAMETERS);
  t.equal(masked("/a?token=x&b=1"), "/a?token=***&b=1");
  t.equal(masked("/a?ToKeN=x"), "/a?ToKeN=***");
  t.equal(masked("/a?%74oken=x"), "/a?%74oken=***");
  t.equal(masked("/token"), "/token");
  t.equal(masked("/a?tokens=x"), "/a?tokens=x");
  t.equal(urlMask(["mine"])("/a?mine=1&token=x"), "/a?mine=***&token=x");
  t.end();
});
