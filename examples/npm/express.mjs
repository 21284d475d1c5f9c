// Featheredge below a path of an Express application, and features in one of its routes.

import { getRequestListener } from "@hono/node-server";
import express from "express";
import { createEngine } from "featheredge";

const engine = await createEngine();
const app = express();

// Express takes the path that it mounts at off the URL.
app.use("/features", getRequestListener(engine.fetch));

app.get("/score/:user", async (request, response) => {
	const { user } = request.params;
	const { features } = await engine.serve({ entity_ids: [user], feature_names: ["score"] });
	response.json(features[user]);
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () =>
	console.log(`ready on http://127.0.0.1:${server.address().port}`),
);
process.once("SIGTERM", () => server.close(() => engine.close()));
