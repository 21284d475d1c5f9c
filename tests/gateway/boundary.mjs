// All that holds where Featheredge meets its clients, its origin and its stores, by each host that has a gateway: docs/internals/boundary.md.

import { testAccess } from "./access.mjs";
import { testBypass } from "./bypass.mjs";
import { testConnections } from "./connections.mjs";
import { testEncodings } from "./encodings.mjs";
import { testHostile } from "./hostile.mjs";
import { testIssuer } from "./issuer.mjs";
import { testNeighbour } from "./neighbour.mjs";
import { testProxy } from "./proxy.mjs";
import { testWriteReach } from "./write_reach.mjs";
import { testWrites } from "./writes.mjs";

/** @param {import("./callers.mjs").Hosts & { saysContinue: boolean, readsAnswersApart: boolean, knowsUnsent: boolean }} hosts */
export async function testBoundary(hosts) {
	testProxy(hosts);
	testConnections(hosts);
	testHostile(hosts);
	testEncodings(hosts);
	await testAccess(hosts);
	await testIssuer(hosts);
	await testNeighbour(hosts);
	await testWrites(hosts);
	testWriteReach(hosts);
	testBypass(hosts);
}
