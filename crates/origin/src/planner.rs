//! Makes the plan of a request: its views, their key columns, and the names of the values in the response.
//!
//! A plan depends on the request shape alone: the features and the names of the entity columns. So it is made once and serves all
//! requests of the shape. The key columns of a view come from the configuration or the origin's registry. Where a view of a
//! request is unknown to both, all its views are treated as one, keyed by the whole entity row: always correct, if less shared.
//! Knows neither tiers nor values.

use core::cell::{Cell, OnceCell};
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroUsize;
use std::rc::Rc;

use config::SortedMap;
use foldhash::fast::FixedState;
use lru::LruCache;

use model::key::{FeatureSource, KeySpace, NameStyle, Namespace};
use model::request::{Columns, Lifetimes, ViewQuery, WriteDependencies};
use model::row::ALLOCATION;
use model::shape::{MAX_SHAPE_FEATURES, RequestShape, fingerprint, short_fingerprint};
use model::short_copy::is_same;
use model::sort::sorted;
use model::time::Timestamp;
use protocol::feature_list_cache;
use protocol::feature_request;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::{FeatureNaming, Output, Plan, PlanOutcome, RecentPlans};

/// The most plans. Each has a few kilobytes; services use tens of request shapes, not thousands.
const MAX_PLANS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// One part of so many of the memory for plans is for those that are found without their whole signature.
const RECENT_PART: usize = 4;

/// The metadata of a view or feature service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewMetadata {
    /// The columns that key its rows; request data of an on-demand view belongs to them.
    pub key_columns: Vec<String>,
    /// How long its values may be used.
    pub lifetimes: Lifetimes,
    /// The views that it is computed from; empty for a stored view. `None` where that is unknown.
    pub sources: Option<Vec<String>>,
    /// The push source or stream that feeds it, where known.
    pub stream_source: Option<String>,
}

impl ViewMetadata {
    /// Its memory, in bytes.
    fn size(&self) -> usize {
        let names = self.key_columns.iter().chain(self.sources.iter().flatten()).chain(&self.stream_source);
        size_of::<(String, ViewMetadata)>()
            + names.map(|name| size_of::<String>() + ALLOCATION + name.len()).sum::<usize>()
    }
}

/// A view in the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredView {
    /// The columns that key its rows.
    pub key_columns: Vec<String>,
    /// The views that an on-demand view reads.
    pub sources: Vec<String>,
    /// The push source or stream that feeds it beside its batch source.
    pub stream_source: Option<String>,
}

/// How a write to one view affects another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEffect {
    /// It changes the rows of the same keys.
    SameRows,
    /// It may change any row.
    AllRows,
}

/// The configuration of a project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The namespace of the rows.
    pub namespace: Namespace,
    /// The configured views.
    pub views: SortedMap<ViewMetadata>,
    /// The configured feature services.
    pub services: SortedMap<ViewMetadata>,
    /// The lifetimes of all others.
    pub lifetimes: Lifetimes,
    /// The views that push sources feed, where configured.
    pub push_sources: SortedMap<Vec<String>>,
    /// The TTL of a feature service's members, in milliseconds.
    pub membership_ttl: u64,
    /// The view of names without a colon, in the native API.
    pub default_view: String,
    /// The TTL of the registry's metadata, in milliseconds; `None` where there is no registry.
    pub registry_ttl: Option<u64>,
    /// The most memory of plans, with their signatures and feature lists, in bytes.
    pub plan_bytes: usize,
    /// Makes row hashes unpredictable from outside.
    pub seed: u64,
}

/// A plan, and the signature of its requests.
#[derive(Debug)]
struct CachedPlan {
    signature: Box<[u8]>,
    outcome: PlanOutcome,
    size: usize,
}

/// Makes plans, and caches them.
#[derive(Debug)]
pub struct Planner {
    project: Project,
    /// The registry's metadata of views, once it was fetched.
    registered: Option<SortedMap<ViewMetadata>>,
    /// When the registry is fetched next.
    registry_due_at: Timestamp,
    plans: LruCache<u64, CachedPlan, FixedState>,
    /// The memory of the plans, and how many were evicted.
    bytes: usize,
    evicted: u64,
    /// The memory of the registry's metadata.
    registered_bytes: usize,
    signature: Vec<u8>,
    /// The plans of requests with cached feature lists.
    recent: RecentPlans,
}

/// The overhead of a plan in the cache, in bytes.
const PLAN_OVERHEAD: usize = 96;

/// The longest signature whose memory is reused for the next, in bytes.
const MAX_SPARE_SIGNATURE: usize = 64 << 10;

/// After how long a failed fetch of the registry is retried, in milliseconds.
const RETRY_MILLIS: u64 = 30_000;

impl Planner {
    /// A planner for `project`.
    #[must_use]
    pub fn new(project: Project) -> Planner {
        Planner {
            recent: RecentPlans::new(project.plan_bytes / RECENT_PART),
            project,
            registered: None,
            registry_due_at: Timestamp(0),
            plans: LruCache::with_hasher(MAX_PLANS, FixedState::default()),
            bytes: 0,
            evicted: 0,
            registered_bytes: 0,
            signature: Vec::new(),
        }
    }

    /// Whether the registry must be fetched now. The caller is expected to fetch it, so later callers get `false` for a while.
    pub fn should_fetch_registry(&mut self, now: Timestamp) -> bool {
        let is_due = self.project.registry_ttl.is_some() && now >= self.registry_due_at;
        if is_due {
            self.registry_due_at = now.plus(RETRY_MILLIS);
        }
        is_due
    }

    /// Moves the next fetch of the registry back by so many milliseconds: a clock that was ahead set it.
    pub fn set_clock_back(&mut self, millis: u64) {
        self.registry_due_at = self.registry_due_at.minus(millis);
    }

    /// Whether the registry was fetched.
    #[must_use]
    pub fn has_registry(&self) -> bool {
        self.registered.is_some()
    }

    /// Applies the registry's metadata, fetched at `now`. Where it changed, all plans are dropped.
    pub fn apply_registry(&mut self, views: SortedMap<RegisteredView>, now: Timestamp) {
        let lifetimes =
            |view: &str| self.project.views.get(view).map_or(self.project.lifetimes, |metadata| metadata.lifetimes);
        let metadata = |(view, entry): (String, RegisteredView)| {
            let RegisteredView { key_columns, sources, stream_source } = entry;
            let metadata =
                ViewMetadata { key_columns, lifetimes: lifetimes(&view), sources: Some(sources), stream_source };
            (view, metadata)
        };
        let mut registered = SortedMap::default();
        registered.extend(views.into_iter().map(metadata));
        if self.registered.as_ref() != Some(&registered) {
            self.registered_bytes = registered.iter().map(|(name, metadata)| name.len() + metadata.size()).sum();
            self.registered = Some(registered);
            self.plans.clear();
            self.bytes = 0;
            self.recent.clear();
        }
        self.registry_due_at = now.plus(self.project.registry_ttl.unwrap_or(RETRY_MILLIS));
    }

    /// The memory of plans and of the registry's metadata, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.recent.bytes() + self.registered_bytes
    }

    /// How many plans were evicted since the start, or were too large to cache.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The project's configuration.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The plan for a request of `caller`, whose rows are isolated; all callers share rows where it is empty.
    pub fn plan(&mut self, request: &ParsedRequest<'_>, caller: &str, naming: FeatureNaming) -> PlanOutcome {
        let fields = &request.fields;
        if fields.list.is_none() || fields.service.is_some() || !caller.is_empty() {
            return self.plan_by_signature(request, caller, naming);
        }
        if let Some(outcome) = self.recent.find(request, naming) {
            return outcome;
        }
        let outcome = self.plan_by_signature(request, caller, naming);
        self.recent.remember(request, naming, outcome.clone());
        outcome
    }

    fn plan_by_signature(&mut self, request: &ParsedRequest<'_>, caller: &str, naming: FeatureNaming) -> PlanOutcome {
        let (fields, body) = request.parts();
        self.signature.clear();
        self.signature.push(u8::from(naming == FeatureNaming::Feast) << 1 | u8::from(fields.full_feature_names));
        let features = fields.features.filter(|_| fields.service.is_none());
        let requested = fields.service.iter().chain(features.iter()).map(|span| span.bytes(body));
        for part in requested.chain(fields.columns.iter().map(|column| fields.name(column, body))) {
            self.signature.extend_from_slice(part);
            // JSON text has no NUL, so the parts are separated.
            self.signature.push(0);
        }
        if !caller.is_empty() {
            // A caller's name may have any bytes. Its length, after it, tells where it begins.
            self.signature.extend_from_slice(caller.as_bytes());
            self.signature.extend_from_slice(&(caller.len() as u64).to_le_bytes());
        }
        let mut hasher = FixedState::with_seed(self.project.seed).build_hasher();
        hasher.write(&self.signature);
        let hash = hasher.finish();
        if let Some(known) = self.plans.get(&hash)
            && is_same(&known.signature, &self.signature)
        {
            return known.outcome.clone();
        }
        self.project.namespace = self.project.namespace.of_caller(caller);
        let outcome = self.make(request, caller, naming);
        self.insert_plan(hash, outcome.clone());
        outcome
    }

    /// Caches the plan of the current signature, and evicts the least recently used. A plan larger than the bound is not cached.
    fn insert_plan(&mut self, hash: u64, outcome: PlanOutcome) {
        let size = size_of::<CachedPlan>() + PLAN_OVERHEAD + self.signature.len() + outcome.size();
        let others = self.recent.max_bytes() + feature_list_cache::MAX_BYTES + self.registered_bytes;
        let room = self.project.plan_bytes.saturating_sub(others);
        if let Some(known) = self.plans.pop(&hash) {
            self.bytes -= known.size;
        }
        if size > room {
            self.evicted += 1;
        } else {
            while self.bytes + size > room || self.plans.len() >= MAX_PLANS.get() {
                let Some((_, known)) = self.plans.pop_lru() else { break };
                self.bytes -= known.size;
                self.evicted += 1;
            }
            self.bytes += size;
            self.plans.put(hash, CachedPlan { signature: self.signature.as_slice().into(), outcome, size });
        }
        if self.signature.capacity() > MAX_SPARE_SIGNATURE {
            self.signature = Vec::new();
        }
    }

    fn make(&self, request: &ParsedRequest<'_>, caller: &str, naming: FeatureNaming) -> PlanOutcome {
        let (fields, body) = request.parts();
        let mut scratch = String::new();
        let columns: Vec<Box<str>> = fields.columns.iter().map(|column| fields.plain_name(column, body)).collect();
        if has_duplicates(columns.iter().map(|name| &**name)) {
            return PlanOutcome::Passthrough;
        }
        let mut plan = match (fields.service, fields.features) {
            (Some(service), _) => {
                self.service_plan(service.string(body, &mut scratch), columns, fields.full_feature_names)
            }
            (None, Some(features)) => {
                let mut references = Vec::with_capacity(fields.feature_count);
                feature_request::for_each_string(features, body, |reference| references.push(reference.to_owned()));
                self.feature_plan(&references, columns, naming, fields.full_feature_names)
            }
            (None, None) => None,
        };
        // Requests isolated per caller neither train nor use prefetch.
        if let Some(plan) = plan.as_mut().filter(|_| caller.is_empty()) {
            plan.shape = shape(plan, &self.signature);
        }
        plan.map_or(PlanOutcome::Passthrough, |plan| PlanOutcome::Serve(Rc::new(plan)))
    }

    /// `None` where the origin must decide.
    #[inline(never)]
    fn service_plan(&self, service: &str, columns: Vec<Box<str>>, full_feature_names: bool) -> Option<Plan> {
        let known = self.project.services.get(service).filter(|metadata| is_keyed_by(&[metadata], &columns));
        let mut lifetimes = known.map_or(self.project.lifetimes, |metadata| metadata.lifetimes);
        // The rows of a service define its members, so its rows are fresh no longer than its members.
        lifetimes.ttl = lifetimes.ttl.min(self.project.membership_ttl);
        let key_columns = key_columns(known.map(|metadata| metadata.key_columns.as_slice()), &columns)?;
        let space = space(
            &self.project.namespace,
            FeatureSource::Service(service),
            full_feature_names.into(),
            &key_columns,
            &columns,
        );
        let query = ViewQuery::new(space, Columns::All, lifetimes, self.project.seed);
        Some(Plan {
            views: Rc::new([query]),
            key_columns: vec![key_columns],
            outputs: Vec::new(),
            names_text: Vec::new(),
            columns,
            service: Some(service.into()),
            has_known_keys: false,
            full_feature_names,
            shape: RequestShape::default(),
            view_numbers: OnceCell::new(),
            pending: Cell::new(0),
            size: OnceCell::new(),
        })
    }

    /// `None` where the origin must decide.
    fn feature_plan(
        &self,
        requested: &[String],
        columns: Vec<Box<str>>,
        naming: FeatureNaming,
        full_names: bool,
    ) -> Option<Plan> {
        let references: Vec<(String, String)> =
            requested.iter().map(|reference| self.split(reference, naming)).collect::<Option<_>>()?;
        let views = distinct(references.iter().map(|(view, _)| view.as_str()));
        let metadata: Option<Vec<&ViewMetadata>> = views.iter().map(|view| self.metadata(view)).collect();
        let metadata = metadata.filter(|metadata| is_keyed_by(metadata, &columns));
        let has_known_keys = metadata.is_some();
        // Where a view is unknown, all views are one group, keyed by the whole entity row; its columns are full references.
        let groups = if has_known_keys || views.len() == 1 { views.len() } else { 1 };
        let group_of = |view: &str| if groups == 1 { Some(0) } else { views.iter().position(|known| *known == view) };
        let mut names: Vec<Vec<Box<str>>> = vec![Vec::new(); groups];
        let mut outputs = Vec::with_capacity(references.len());
        let mut columns_of: hashbrown::HashMap<(&str, &str), usize, FixedState> = hashbrown::HashMap::default();
        for (requested, (view, feature)) in requested.iter().zip(&references) {
            let group = group_of(view)?;
            let names = names.get_mut(group)?;
            let column = *columns_of.entry((view, feature)).or_insert_with(|| {
                names.push(if groups == views.len() {
                    feature.as_str().into()
                } else {
                    format!("{view}:{feature}").into()
                });
                names.len() - 1
            });
            let name = match naming {
                FeatureNaming::Feast if full_names => format!("{view}__{feature}"),
                FeatureNaming::Feast => feature.clone(),
                FeatureNaming::AsRequested => requested.clone(),
            };
            outputs.push(Output {
                view: group,
                column,
                reference: format!("{view}:{feature}").into(),
                name: name.into(),
                times: 1,
            });
        }
        if naming == FeatureNaming::AsRequested {
            join_duplicates(&mut outputs);
        }
        // The native API has no short names, so the origin is asked for full names only where short ones would collide.
        let full_names = match naming {
            FeatureNaming::Feast => full_names,
            FeatureNaming::AsRequested => has_duplicates(columns_of.keys().map(|(_, feature)| *feature)),
        };
        // Two features of one name, or a repeated feature: Feast rejects some of these, so it decides. A repeated feature of the native
        // API was merged into one output before.
        if references.is_empty() || has_duplicates(outputs.iter().map(|output| &*output.name)) {
            return None;
        }
        let mut queries = Vec::with_capacity(groups);
        let mut keys = Vec::with_capacity(groups);
        for (group, names) in names.into_iter().enumerate() {
            let metadata = metadata.as_ref().and_then(|metadata| metadata.get(group));
            let key_columns = key_columns(metadata.map(|metadata| metadata.key_columns.as_slice()), &columns)?;
            let subject = match views.get(group) {
                Some(view) if groups == views.len() => FeatureSource::View(view),
                _ => FeatureSource::Views(&views),
            };
            let space = space(&self.project.namespace, subject, full_names.into(), &key_columns, &columns);
            let lifetimes = match metadata {
                Some(metadata) => metadata.lifetimes,
                None => self.strictest(&views),
            };
            let query = ViewQuery::new(space, Columns::Named(names.into()), lifetimes, self.project.seed);
            queries.push(match views.get(group) {
                Some(view) if has_known_keys => {
                    // A write identifies rows by the view's own keys, and a version of the view may be configured with others.
                    let written = self.key_columns(unversioned(view)).unwrap_or_default();
                    let is_by_row = metadata.is_some_and(|metadata| has_same_columns(&metadata.key_columns, written));
                    query.with_write_dependencies(WriteDependencies::Views {
                        views: [unversioned(view).into()].into(),
                        is_by_row,
                    })
                }
                // The sources or the keys of one of these views are unknown.
                _ => query,
            });
            keys.push(key_columns);
        }
        let mut names_text = Vec::new();
        for output in &outputs {
            json::write_string(&mut names_text, &output.name);
            names_text.push(b',');
        }
        Some(Plan {
            views: queries.into(),
            key_columns: keys,
            names_text,
            outputs,
            columns,
            service: None,
            has_known_keys,
            full_feature_names: full_names,
            shape: RequestShape::default(),
            view_numbers: OnceCell::new(),
            pending: Cell::new(0),
            size: OnceCell::new(),
        })
    }

    /// Passes all requests of a plan's shape through to the origin from now on: its response did not fit the plan.
    pub fn always_pass_through(&mut self, plan: &Rc<Plan>) {
        self.recent.clear();
        for (_, known) in self.plans.iter_mut() {
            if matches!(&known.outcome, PlanOutcome::Serve(known) if Rc::ptr_eq(known, plan)) {
                known.outcome = PlanOutcome::Passthrough;
            }
        }
    }

    /// The first cached plan whose shape's fingerprint `matches`.
    pub fn find_by_shape(&self, mut matches: impl FnMut(u32) -> bool) -> Option<&Rc<Plan>> {
        let mut plans = self.plans.iter().filter_map(|(_, known)| match &known.outcome {
            PlanOutcome::Serve(plan) => Some(plan),
            PlanOutcome::Passthrough => None,
        });
        plans.find(|plan| matches(plan.shape.name))
    }

    /// The view and the feature of a reference; `None` where it is no reference.
    fn split(&self, reference: &str, naming: FeatureNaming) -> Option<(String, String)> {
        let (view, feature) = match (reference.split_once(':'), naming) {
            (Some(parts), _) => parts,
            (None, FeatureNaming::AsRequested) => (self.project.default_view.as_str(), reference),
            (None, FeatureNaming::Feast) => return None,
        };
        let is_plain = !view.is_empty() && !feature.is_empty() && !feature.contains(':');
        is_plain.then(|| (canonical(view), feature.to_owned()))
    }

    /// The metadata of a view. A version has its view's metadata unless it has its own.
    fn metadata(&self, view: &str) -> Option<&ViewMetadata> {
        let configured = [view, unversioned(view)].into_iter().filter_map(|view| self.project.views.get(view));
        let registered = self.registered.as_ref().and_then(|registered| registered.get(unversioned(view)));
        configured.chain(registered).find(|metadata| !metadata.key_columns.is_empty())
    }

    /// The views that a push source feeds, as far as known.
    #[must_use]
    pub fn fed_by(&self, source: &str) -> Vec<&str> {
        if let Some(views) = self.project.push_sources.get(source) {
            return views.iter().map(|view| unversioned(view)).collect();
        }
        let is_fed = |metadata: &ViewMetadata| metadata.stream_source.as_deref() == Some(source);
        self.registered
            .iter()
            .flat_map(SortedMap::iter)
            .filter(|(_, metadata)| is_fed(metadata))
            .map(|(view, _)| view)
            .collect()
    }

    /// The key columns of a view, where known.
    #[must_use]
    pub fn key_columns(&self, view: &str) -> Option<&[String]> {
        self.metadata(view).map(|metadata| metadata.key_columns.as_slice())
    }

    /// The known views that may be computed from `view`, and how a write to it affects them.
    ///
    /// A view of unknown sources is assumed to depend on every view whose key it contains.
    #[must_use]
    pub fn affected_by(&self, view: &str) -> Vec<(&str, WriteEffect)> {
        let written = self.key_columns(view);
        let names = self
            .project
            .views
            .iter()
            .map(|(view, _)| view)
            .chain(self.registered.iter().flat_map(SortedMap::iter).map(|(view, _)| view));
        let mut affected = Vec::new();
        for name in names.map(unversioned).filter(|name| *name != view) {
            let Some(metadata) = self.metadata(name).filter(|_| !affected.iter().any(|(known, _)| *known == name))
            else {
                continue;
            };
            let registered = self.registered.as_ref().and_then(|registered| registered.get(name)?.sources.as_ref());
            let (keys, sources) = (&metadata.key_columns, metadata.sources.as_ref().or(registered));
            let is_made_of_it = match (sources, written) {
                (Some(sources), _) => sources.iter().any(|source| unversioned(source) == view),
                (None, Some(written)) => has_all(keys, written),
                (None, None) => true,
            };
            if is_made_of_it {
                let is_by_row = written.is_some_and(|written| has_same_columns(keys, written));
                affected.push((name, if is_by_row { WriteEffect::SameRows } else { WriteEffect::AllRows }));
            }
        }
        affected
    }

    /// The shortest lifetimes of a group of views.
    fn strictest(&self, views: &[&str]) -> Lifetimes {
        let lifetimes = views
            .iter()
            .map(|view| self.project.views.get(view).map_or(self.project.lifetimes, |metadata| metadata.lifetimes));
        lifetimes.reduce(Lifetimes::strictest).unwrap_or(self.project.lifetimes)
    }
}

/// The request shape of a plan. Its `key_views` are the first views whose keys together contain all columns.
#[cold]
#[inline(never)]
fn shape(plan: &Plan, signature: &[u8]) -> RequestShape {
    let mut features = Vec::new();
    for name in plan.service.iter().chain(plan.outputs.iter().map(|output| &output.reference)).take(MAX_SHAPE_FEATURES)
    {
        features.push(short_fingerprint(fingerprint(name.as_bytes(), 0)));
    }
    let mut columns = 0;
    for column in &plan.columns {
        columns = fingerprint(column.as_bytes(), columns);
    }
    let mut key_views = Vec::new();
    let mut covered: Vec<usize> = Vec::new();
    for (view, columns) in plan.key_columns.iter().enumerate() {
        let before = covered.len();
        for &column in columns {
            if !covered.contains(&column) {
                covered.push(column);
            }
        }
        if covered.len() > before {
            key_views.push(view);
        }
    }
    RequestShape {
        name: short_fingerprint(fingerprint(signature, 0)),
        columns: short_fingerprint(columns),
        features,
        key_views,
    }
}

/// Whether the columns of a request are exactly the key columns of these views.
///
/// Where a column is missing or additional, the origin has its own rules of what it answers and which columns it echoes. Then the
/// whole entity row is the key, which is always correct.
fn is_keyed_by(metadata: &[&ViewMetadata], columns: &[Box<str>]) -> bool {
    let keys = || metadata.iter().flat_map(|metadata| &metadata.key_columns);
    keys().all(|key| columns.iter().any(|column| **column == **key))
        && columns.iter().all(|column| keys().any(|key| **column == **key))
}

/// Whether `keys` has all the columns `of` a view.
fn has_all(keys: &[String], of: &[String]) -> bool {
    of.iter().all(|column| keys.contains(column))
}

/// Whether two views have the same key columns, so that a key of one is a key of the other.
fn has_same_columns(one: &[String], other: &[String]) -> bool {
    has_all(one, other) && has_all(other, one)
}

/// A view as Feast names it in its responses: `view@` and `view@latest` are `view`, `view@V01` is `view@v1`.
fn canonical(view: &str) -> String {
    let Some((name, version)) = view.split_once('@') else { return view.to_owned() };
    if version.is_empty() || version.eq_ignore_ascii_case("latest") {
        return name.to_owned();
    }
    match version.strip_prefix(['v', 'V']) {
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = number.trim_start_matches('0');
            format!("{name}@v{}", if number.is_empty() { "0" } else { number })
        }
        _ => view.to_owned(),
    }
}

/// A view's name without a version.
fn unversioned(view: &str) -> &str {
    view.split_once('@').map_or(view, |(view, _)| view)
}

/// The numbers of a view's key columns, ordered by name; where they are unknown, all columns in their own order. `None` where one is
/// missing.
///
/// The order of columns matters to Feast: join keys are echoed in it, and of an entity's name and its join key the last counts.
fn key_columns(known: Option<&[String]>, columns: &[Box<str>]) -> Option<Vec<usize>> {
    let Some(names) = known else { return Some((0..columns.len()).collect()) };
    let numbers: Vec<usize> =
        names.iter().map(|name| columns.iter().position(|column| **column == **name)).collect::<Option<_>>()?;
    let by_name = sorted(numbers.into_iter().map(|number| (columns.get(number), number)));
    let mut numbers: Vec<usize> = by_name.into_iter().map(|(_, number)| number).collect();
    numbers.dedup();
    Some(numbers)
}

fn space(
    namespace: &Namespace,
    subject: FeatureSource<'_>,
    form: NameStyle,
    key_columns: &[usize],
    columns: &[Box<str>],
) -> Rc<KeySpace> {
    let names: Vec<&str> = key_columns.iter().filter_map(|&number| columns.get(number)).map(|name| &**name).collect();
    Rc::new(KeySpace::new(namespace, subject, form, &names))
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = hashbrown::HashSet::with_hasher(FixedState::default());
    names.filter(|name| seen.insert(*name)).collect()
}

/// Merges outputs of one name into the first of them.
fn join_duplicates(outputs: &mut Vec<Output>) {
    let mut firsts: hashbrown::HashMap<Box<str>, usize, FixedState> = hashbrown::HashMap::default();
    let mut joined: Vec<Output> = Vec::with_capacity(outputs.len());
    for output in outputs.drain(..) {
        let first = *firsts.entry(output.name.clone()).or_insert(joined.len());
        match joined.get_mut(first) {
            Some(known) => known.times += 1,
            None => joined.push(output),
        }
    }
    *outputs = joined;
}

fn has_duplicates<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = hashbrown::HashSet::with_hasher(FixedState::default());
    names.into_iter().any(|name| !seen.insert(name))
}
