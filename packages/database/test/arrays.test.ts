import t from "tap";
import { parseArray, serializeArray } from "../src/connections/arrays.ts";

t.test("arrays survive the way to the server and back", (t) => {
  const cases: readonly (readonly unknown[])[] = [
    [],
    ["a", "b"],
    ['q"uo\\te', "", "NULL", "null", " , {}"],
    [null, "x"],
    [
      ["a", "b"],
      ["c", null],
    ],
  ];
  for (const values of cases) {
    const text = String(serializeArray(values, undefined, ","));
    // The server writes nulls in capitals, and quotes only what needs it.
    t.same(parseArray(text.slice(1).replaceAll(/(?<=[,{]|^)null(?=[,}])/g, "NULL"), undefined, ","), values, text);
  }
  t.same(parseArray("1,NULL,{2,3}}", Number, ","), [1, null, [2, 3]]);
  t.same(parseArray("(1,1),(0,0);(2,2),(1,1)}", undefined, ";"), ["(1,1),(0,0)", "(2,2),(1,1)"]);
  t.equal(serializeArray("{1,2}", undefined, ","), "{1,2}");
  t.equal(
    serializeArray([{ type: 23, value: 5 }], (x) => `<${String(x)}>`, ","),
    '{"<5>"}',
  );
  t.throws(() => serializeArray([undefined], undefined, ","), { code: "UNDEFINED_VALUE" });
  t.end();
});
