// A route handler as Next.js has them, in app/api/features/[...path]/route.js: a function for each method, of standard requests.

import { createEngine } from "featheredge";

/** One engine for the process, made with the first request: a build imports this file too, and needs none. */
let engine;

async function handle(request) {
	engine ??= createEngine({ basePath: "/api/features" });
	return (await engine).fetch(request);
}

export { handle as GET, handle as POST };
