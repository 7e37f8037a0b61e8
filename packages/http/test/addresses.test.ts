import t from "tap";
import { AddressRules, leadsInside } from "../src/connections/addresses.ts";

const refused = (address: string, exceptions: readonly string[] = []): boolean =>
  new AddressRules("http", exceptions).refusal("host", address) !== undefined;

t.test("addresses that are not on the public internet are refused", async (t) => {
  for (const address of [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
  ])
    t.ok(refused(address), address);
  for (const address of ["::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"])
    t.ok(refused(address), address);
});

t.test("a private IPv4 address stays private inside an IPv6 one", async (t) => {
  for (const address of [
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "::ffff:0:10.0.0.1",
  ])
    t.ok(refused(address), address);
});

t.test("public addresses pass", async (t) => {
  for (const address of [
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::",
  ])
    t.notOk(refused(address), address);
});

t.test("exceptions let single addresses and networks through", async (t) => {
  t.notOk(refused("10.1.2.3", ["10.1.0.0/16"]));
  t.ok(refused("10.2.2.3", ["10.1.0.0/16"]));
  t.notOk(refused("127.0.0.1", ["127.0.0.1"]));
  t.notOk(refused("::1", ["::1"]));
});

t.test("a URL that names an address inside is known, in every spelling", async (t) => {
  for (const host of ["10.0.0.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:10.0.0.1]", "localhost", "169.254.169.254"])
    t.equal(leadsInside(`http://${host}/x`), true, host);
  for (const url of ["https://example.com", "http://93.184.216.34/", "nonsense"]) t.equal(leadsInside(url), false, url);
});
