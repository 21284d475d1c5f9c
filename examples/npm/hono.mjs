// Featheredge below a path of a Hono application, and features in one of its routes.

import { serve } from "@hono/node-server";
import { createEngine } from "featheredge";
import { Hono } from "hono";

const engine = await createEngine({ basePath: "/features" });
const app = new Hono();

// The whole HTTP API: POST /features/v1/features, POST /features/get-online-features, …
app.all("/features/*", (context) => engine.fetch(context.req.raw));

app.get("/score/:user", async (context) => {
	const user = context.req.param("user");
	const { features } = await engine.serve({ entity_ids: [user], feature_names: ["score"] });
	return context.json(features[user]);
});

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) =>
	console.log(`ready on http://127.0.0.1:${port}`),
);
process.once("SIGTERM", () => server.close(() => engine.close()));
