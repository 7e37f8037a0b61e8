import t from "tap";
import { addressKey } from "../src/limits/address.ts";

t.test("an address counts as what one customer has", (t) => {
  const of = (ip: string): string => addressKey({ ip, headers: {}, query: {}, params: {} } as never);
  t.equal(of("192.0.2.7"), "192.0.2.7");
  t.equal(of("::ffff:192.0.2.7"), "192.0.2.7");
  t.equal(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  t.equal(of("2001:0db8:0001:0002::9"), "2001:db8:1:2::/64");
  t.equal(of("fe80::1%eth0"), "fe80:0:0:0::/64");
  t.equal(of("::1"), "0:0:0:0::/64");
  t.end();
});
