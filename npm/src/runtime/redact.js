// What callers receive in place of the origin's error texts, where `pseudonymize_keys` is set: these may
// quote ids and values, and errors end in logs.

/** The body of a redacted response, and its type. */
export const redacted = () => ({
	contentType: "application/json",
	body: new TextEncoder().encode('"the origin\'s error is redacted: `pseudonymize_keys` is set"'),
});
