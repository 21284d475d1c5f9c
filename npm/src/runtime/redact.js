// What a caller is told in place of the origin's own words about a request, where the configuration says `pseudonymize_keys`: they may quote ids and
// values, and errors end in logs.

/** An answer's body and its type, as the core takes them. */
export const redacted = () => ({
	contentType: "application/json",
	body: new TextEncoder().encode('"the words of the origin are withheld: `pseudonymize_keys` is set"'),
});
