// As map-json.mjs, over lru-cache: the npm registry's cache of this kind, bounded by entries as ours is. It looks at the rows' age
// itself, which costs less than lru-cache's own `ttl`.

import { LRUCache } from "lru-cache";
import { MapJson } from "./map-json.mjs";

export class LruJson extends MapJson {
	static title = "lru-cache + JSON";

	constructor() {
		super(new LRUCache({ max: 10_000 }));
	}
}
