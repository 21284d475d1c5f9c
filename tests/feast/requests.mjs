// Requests whose answers through Featheredge must be those of Feast, and bodies that neither accepts. The views are those of `feast init` and
// of project/extra_definitions.py.

const DRIVERS = [1005, 1001, 1002, 1003, 1004];
const PAIRS = { driver_id: [1001, 1002, 1001, 1002], customer_id: ["c1", "c1", "zoë", "nobody"] };
const ADDENDS = { val_to_add: [1000, 1001], val_to_add_2: [2000, 2002] };
const TWO = { driver_id: [1001, 1002] };

const stats = (...features) => features.map((feature) => `driver_hourly_stats:${feature}`);
const everyType = (...features) => features.map((feature) => `every_type:${feature}`);

/**
 * A request as JSON or as text.
 *
 * @typedef {{ name: string, body: object | string, isPassedOn?: boolean }} Case
 *   `isPassedOn`: Feast must judge each time, so the answer is never served from a cache
 */

/** @type {Case[]} */
export const answered = [
	{ name: "one entity", body: { features: stats("conv_rate", "acc_rate"), entities: { driver_id: [1001] } } },
	{ name: "part of the features again", body: { features: stats("acc_rate"), entities: { driver_id: [1001] } } },
	{
		name: "one more feature of the same entity",
		body: { features: stats("acc_rate", "avg_daily_trips"), entities: { driver_id: [1001] } },
	},
	{
		name: "spaces, and the fields the other way round",
		body: '{ "entities" : {"driver_id":[ 1001 ,1002 ]},\n\t"features":["driver_hourly_stats:avg_daily_trips"] }',
	},
	{
		name: "a batch with an entity twice",
		body: { features: stats("avg_daily_trips", "conv_rate"), entities: { driver_id: [...DRIVERS, 1001] } },
	},
	{
		name: "entities that nobody knows",
		body: '{"features":["driver_hourly_stats:conv_rate"],"entities":{"driver_id":[1001,9999,9007199254740993,-5]}}',
	},
	{
		name: "maps, JSON and structs",
		body: {
			features: stats("driver_metadata", "driver_config", "driver_profile"),
			entities: { driver_id: [1001, 9999] },
		},
	},
	{ name: "full names", body: { features: stats("conv_rate", "acc_rate"), entities: TWO, full_feature_names: true } },
	{
		name: "numbers to the last digit, in every type",
		body: {
			features: everyType("an_int32", "an_int64", "a_float32", "a_float64", "a_bool", "a_time"),
			entities: { driver_id: [1001, 1002, 1003, -5, 7] },
		},
	},
	{
		name: "texts, bytes and lists, empty ones and nulls",
		body: {
			features: everyType("a_string", "some_bytes", "int64s", "float32s", "float64s", "strings", "bools"),
			entities: { driver_id: [1001, 1002, 1003, -5, 7] },
		},
	},
	{
		name: "text keys with escapes and without",
		body: String.raw`{"features":["customer_profile:full_name","customer_profile:tier"],"entities":{"customer_id":["c1","c\u0032","zo\u00eb","zoë","quote\"\\slash","line\nbreak","a:b,c=d","\/x","\ud83d\ude95","\u0000"]}}`,
	},
	{
		name: "a number that a text key takes as text",
		body: { features: ["customer_profile:tier"], entities: { customer_id: [1001] } },
	},
	{
		name: "the same number as text",
		body: { features: ["customer_profile:tier"], entities: { customer_id: ["1001"] } },
	},
	{
		name: "texts and floats that a number key takes as numbers",
		body: '{"features":["driver_hourly_stats:avg_daily_trips"],"entities":{"driver_id":["1001",1002.0,1e3,true,1003]}}',
	},
	{
		name: "a composite key",
		body: { features: ["driver_customer_affinity:affinity", "driver_customer_affinity:rides"], entities: PAIRS },
	},
	{
		name: "a composite key with a number that no float holds, beside its neighbour",
		body: '{"features":["driver_customer_affinity:rides"],"entities":{"driver_id":[9007199254740993,9007199254740992],"customer_id":["c1","c1"]}}',
	},
	{
		name: "a composite key with its columns the other way round",
		body: {
			features: ["driver_customer_affinity:affinity"],
			entities: { customer_id: PAIRS.customer_id, driver_id: PAIRS.driver_id },
		},
	},
	{
		name: "a composite key of which a column is missing",
		body: { features: ["driver_customer_affinity:affinity"], entities: TWO },
	},
	{
		name: "three views of different keys",
		body: {
			features: [...stats("conv_rate"), "driver_customer_affinity:rides", "customer_profile:full_name"],
			entities: PAIRS,
		},
	},
	{
		name: "three views of different keys, full names",
		body: {
			features: ["customer_profile:vip", ...stats("conv_rate"), "driver_customer_affinity:rides"],
			entities: PAIRS,
			full_feature_names: true,
		},
	},
	{
		name: "features of two views in turns",
		body: {
			features: [
				"driver_hourly_stats:conv_rate",
				"every_type:a_bool",
				"driver_hourly_stats:acc_rate",
				"every_type:an_int32",
			],
			entities: TWO,
		},
	},
	{
		name: "one feature name of two views, full names",
		body: { features: [...stats("conv_rate"), ...everyType("conv_rate")], entities: TWO, full_feature_names: true },
	},
	{ name: "a join key that no view needs", body: { features: stats("conv_rate"), entities: PAIRS } },
	{
		name: "columns that the project does not know",
		body: { features: stats("conv_rate"), entities: { ...TWO, unknown: [null, { a: 1 }] } },
	},
	{
		name: "an entity's name in place of its join key",
		body: { features: stats("conv_rate"), entities: { driver: [1001, 1002] } },
	},
	{
		name: "an entity's name before its join key",
		body: { features: stats("conv_rate"), entities: { driver: [1001], driver_id: [1002] } },
	},
	{
		name: "an entity's name behind its join key",
		body: { features: stats("conv_rate"), entities: { driver_id: [1002], driver: [1001] } },
	},
	{
		name: "a view without entities",
		body: { features: ["global_rates:surge", "global_rates:currency"], entities: { row: [1, 2] } },
	},
	{
		name: "a view without entities beside another",
		body: { features: ["global_rates:surge", ...stats("conv_rate")], entities: TWO },
	},
	{
		name: "on-demand features",
		body: {
			features: [
				...stats("acc_rate"),
				"transformed_conv_rate:conv_rate_plus_val1",
				"transformed_conv_rate:conv_rate_plus_val2",
			],
			entities: { ...TWO, ...ADDENDS },
		},
	},
	{
		name: "on-demand features of the same entities with other request data",
		body: {
			features: ["transformed_conv_rate:conv_rate_plus_val1"],
			entities: { ...TWO, val_to_add: [1, 1], val_to_add_2: [2000, 2002] },
		},
	},
	{
		name: "on-demand features, full names",
		body: {
			features: ["transformed_conv_rate:conv_rate_plus_val1", ...stats("conv_rate")],
			entities: { ...TWO, ...ADDENDS },
			full_feature_names: true,
		},
	},
	{
		name: "on-demand features of an entity that nobody knows",
		body: {
			features: ["transformed_conv_rate:conv_rate_plus_val1", ...stats("conv_rate")],
			entities: { driver_id: [9999, 1001], ...ADDENDS },
		},
	},
	{
		name: "on-demand features in Python mode",
		body: {
			features: ["trip_fare:label", "trip_fare:fare"],
			entities: {
				city: ["Oslo", "Zürich"],
				driver_id: [1001, 1],
				distance_km: [1.5, 2],
				customer_id: ["c1", "nobody"],
			},
		},
	},
	{
		name: "on-demand features in Python mode, full names",
		body: {
			features: ["trip_fare:label", "customer_profile:tier"],
			entities: { city: ["Oslo"], driver_id: [1001], distance_km: [1.5], customer_id: ["c1"] },
			full_feature_names: true,
		},
		// Feast leaves their columns out.
		isPassedOn: true,
	},
	{
		name: "two on-demand views and a view",
		body: {
			features: ["transformed_conv_rate:conv_rate_plus_val1", "trip_fare:fare", "customer_profile:full_name"],
			entities: {
				city: ["Oslo"],
				val_to_add: [1],
				customer_id: ["c1"],
				val_to_add_2: [2],
				driver_id: [1001],
				distance_km: [10],
			},
		},
	},
	{ name: "a feature service", body: { feature_service: "driver_activity_v1", entities: { ...TWO, ...ADDENDS } } },
	{
		name: "a feature service, full names",
		body: { feature_service: "driver_activity_v2", entities: { ...TWO, ...ADDENDS }, full_feature_names: true },
	},
	{ name: "a feature service of several views", body: { feature_service: "trip_v1", entities: PAIRS } },
	{
		name: "a feature service with renamed views and join keys",
		body: {
			feature_service: "renamed_v1",
			entities: { first_driver_id: [1001, 1002], second_driver_id: [1003, 1001] },
			full_feature_names: true,
		},
	},
	{
		name: "a feature service of one feature name twice, full names",
		body: { feature_service: "collision_v1", entities: TWO, full_feature_names: true },
	},
	{
		name: "a feature service beside features: the service wins",
		body: { features: stats("acc_rate"), feature_service: "driver_activity_v1", entities: { ...TWO, ...ADDENDS } },
	},
	{
		name: "a null for the feature service",
		body: { features: stats("acc_rate"), feature_service: null, entities: TWO },
	},
	{
		name: "an empty feature service",
		body: { features: stats("acc_rate"), feature_service: "", entities: TWO },
	},
	{
		name: "a key longer than `limits.key_bytes`",
		body: { features: stats("acc_rate"), entities: { driver_id: [`${" ".repeat(5_000)}1001`] } },
		isPassedOn: true,
	},
	{
		name: "a body longer than `limits.body_bytes`",
		body: { features: stats("acc_rate"), entities: { ...TWO, unknown: Array(2).fill("x".repeat(600_000)) } },
		isPassedOn: true,
	},
	{
		name: "a view's version",
		body: { features: ["versioned_stats@v1:trips", "versioned_stats@v1:score"], entities: TWO },
	},
	...["@v1", "@V01", "@latest", "@"].map((version) => ({
		name: `a view's version as ${version}, full names`,
		body: { features: [`versioned_stats${version}:trips`], entities: TWO, full_feature_names: true },
	})),
	{
		name: "a view and its version, full names",
		body: { features: ["versioned_stats:trips", "versioned_stats@v1:trips"], entities: TWO, full_feature_names: true },
	},
	{
		name: "the versions of the views that answered",
		body: {
			features: ["versioned_stats:trips", ...stats("conv_rate")],
			entities: TWO,
			include_feature_view_version_metadata: true,
		},
		isPassedOn: true,
	},
	{
		name: "a boolean in other words",
		body: { features: stats("conv_rate"), entities: TWO, full_feature_names: "yes" },
		isPassedOn: true,
	},
	{
		name: "a field that Feast does not know",
		body: { features: stats("conv_rate"), entities: TWO, more: 1 },
		isPassedOn: true,
	},
];

/** Requests that Feast itself refuses, each time. @type {Case[]} */
export const refusedByFeast = [
	{ name: "a view that does not exist", body: { features: ["nope:x"], entities: TWO } },
	{
		name: "a known view and one that does not exist",
		body: { features: [...stats("conv_rate"), "nope:x"], entities: TWO },
	},
	{ name: "a feature that does not exist", body: { features: stats("nope"), entities: TWO } },
	{
		name: "a join key asked for as a feature",
		body: { features: ["driver_customer_affinity:driver_id"], entities: PAIRS },
	},
	{ name: "a reference without a view", body: { features: ["conv_rate"], entities: TWO } },
	{ name: "a reference of nothing", body: { features: [""], entities: TWO } },
	{ name: "a reference with two colons", body: { features: ["driver_hourly_stats:conv_rate:x"], entities: TWO } },
	{ name: "a version that does not exist", body: { features: ["versioned_stats@v9:trips"], entities: TWO } },
	{ name: "a version that is none", body: { features: ["versioned_stats@1:trips"], entities: TWO } },
	{ name: "a feature twice", body: { features: stats("conv_rate", "conv_rate"), entities: TWO } },
	{
		name: "a feature twice, full names",
		body: { features: stats("conv_rate", "conv_rate"), entities: TWO, full_feature_names: true },
	},
	{
		name: "one feature name of two views",
		body: { features: [...stats("conv_rate"), ...everyType("conv_rate")], entities: TWO },
	},
	{ name: "a feature service of one feature name twice", body: { feature_service: "collision_v1", entities: TWO } },
	{ name: "a feature service that does not exist", body: { feature_service: "nope", entities: TWO } },
	{ name: "no features", body: { features: [], entities: TWO } },
	{ name: "neither features nor a service", body: { entities: TWO } },
	{ name: "no features, and an empty feature service", body: { features: [], feature_service: "", entities: TWO } },
	{
		name: "brackets 10,000 deep",
		body: `{"features":["a:b"],"entities":{"d":[${"[".repeat(10_000)}${"]".repeat(10_000)}]}}`,
	},
	{ name: "no columns", body: { features: stats("conv_rate"), entities: {} } },
	{ name: "no rows", body: { features: stats("conv_rate"), entities: { driver_id: [] } } },
	{ name: "a view none of whose keys is given", body: { features: ["customer_profile:tier"], entities: TWO } },
	{ name: "a null for a key", body: { features: stats("conv_rate"), entities: { driver_id: [1001, null] } } },
	{ name: "a text that is no number", body: { features: stats("conv_rate"), entities: { driver_id: ["abc"] } } },
	{
		name: "an integer beyond 64 bits",
		body: '{"features":["driver_hourly_stats:conv_rate"],"entities":{"driver_id":[9223372036854775808]}}',
	},
	{
		name: "on-demand features without their request data",
		body: { features: ["transformed_conv_rate:conv_rate_plus_val1"], entities: { ...TWO, val_to_add: [1, 2] } },
	},
];

/** Bodies that are not as the contract has them: Feast and Featheredge refuse each with 422. */
export const malformed = [
	{ name: "nothing", body: "" },
	{ name: "no JSON", body: "hello" },
	{ name: "JSON that ends early", body: '{"features":["driver_hourly_stats:conv_rate"],"entities":' },
	{ name: "a string that ends early", body: '{"features":["driver' },
	{ name: "more behind the JSON", body: '{"entities":{}} x' },
	{ name: "a comma too many", body: '{"entities":{},}' },
	{ name: "a control character in a string", body: '{"features":["a\nb"],"entities":{"driver_id":[1001]}}' },
	{ name: "a number with a leading zero", body: '{"features":["a:b"],"entities":{"driver_id":[01]}}' },
	...["null", "[]", '"x"', "1"].map((body) => ({ name: `${body} in place of an object`, body })),
	{ name: "no entities", body: { features: stats("conv_rate") } },
	...[null, [{ driver_id: 1001 }], "x"].map((entities) => ({
		name: `${JSON.stringify(entities)} for entities`,
		body: { features: stats("conv_rate"), entities },
	})),
	...[1001, null, "x", { a: 1 }].map((column) => ({
		name: `${JSON.stringify(column)} for a column`,
		body: { features: stats("conv_rate"), entities: { driver_id: column } },
	})),
	...["a:b", null, { a: 1 }].map((features) => ({
		name: `${JSON.stringify(features)} for features`,
		body: { features, entities: TWO },
	})),
	...[1, null, ["x"]].map((reference) => ({
		name: `${JSON.stringify(reference)} for a reference`,
		body: { features: ["a:b", reference], entities: TWO },
	})),
	...[1, ["x"]].map((service) => ({
		name: `${JSON.stringify(service)} for a feature service`,
		body: { feature_service: service, entities: TWO },
	})),
];

/** What Feast does not refuse with 422, or not at all, and Featheredge does: see each reason. */
export const refusedByFeatheredge = [
	// Feast answers 500, which its own client sends three times more.
	{
		name: "columns of different lengths",
		body: { features: stats("conv_rate"), entities: { driver_id: [1001, 1002], unknown: ["x"] } },
	},
	// Parsers differ on which of the two counts.
	{
		name: "a field twice",
		body: '{"features":["a:b"],"features":["driver_hourly_stats:conv_rate"],"entities":{"driver_id":[1001]}}',
	},
	{
		name: "a column twice",
		body: '{"features":["driver_hourly_stats:conv_rate"],"entities":{"driver_id":[1001],"driver_id":[1002]}}',
	},
	{
		name: "bytes that are no UTF-8",
		body: Buffer.from('{"features":["\xff"],"entities":{"driver_id":[1]}}', "latin1"),
	},
];
