// What every host's entry exports beside its own `createEngine`.

export { STATUSES } from "./columns.js";
export { start } from "./engine.js";
export {
	ClosedError,
	ConfigError,
	FaultError,
	FeatheredgeError,
	OriginError,
	OverloadedError,
	RequestError,
	ResponseError,
} from "./errors.js";
export { feastOrigin, httpOrigin } from "./origins.js";
