// What an admitted request is granted: the cache partition that serves it, and the credentials that the
// origin receives.

/**
 * @typedef {object} Grant
 * @property {string} partition the cache partition of the request; empty for the one that all callers share
 * @property {boolean} isOperator
 * @property {"caller" | "deployment" | "none"} credentials what the origin receives: the caller's credentials, or else the deployment's;
 *   always the deployment's; or neither
 * @property {[string, string][]} [tracing] headers of the request's trace, for the origin
 * @property {string} [authorization] the caller's credentials, where the origin authorizes every request by them
 */

/** The grant of a caller without credentials. @type {Readonly<Grant>} */
export const ANONYMOUS = Object.freeze({ partition: "", isOperator: false, credentials: "caller" });

/** The grant of an operator, whose own credentials are for Featheredge alone. @type {Readonly<Grant>} */
export const OPERATOR = Object.freeze({ partition: "", isOperator: true, credentials: "deployment" });
