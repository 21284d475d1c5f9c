//! What a set of features means: which views, keyed by which columns, and under which names the values go out.
//!
//! A plan depends on the shape of a request alone, its features and the names of its entity columns, so one plan serves
//! all requests of a shape and is made once. Which columns key a view comes from the configuration or the origin's
//! registry. Where these do not know all views of a request, the views are treated as one, keyed by the whole entity row:
//! always right, if less shared.

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

/// How many shapes are remembered. Each is a few kilobytes; services ask in tens of shapes, not in thousands.
const MAX_PLANS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// The part of the memory for plans that those may take which are found without their whole signature.
const RECENT_PART: usize = 4;

/// What is known of a view or feature service beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewFacts {
    /// The columns that key its rows; request data of an on-demand view belongs to them.
    pub key_columns: Vec<String>,
    /// How long its values may be used.
    pub lifetimes: Lifetimes,
    /// The views that it is computed from; none for one that is stored. `None` where that is not known.
    pub sources: Option<Vec<String>>,
    /// The push source or stream that feeds it, where one is known.
    pub stream_source: Option<String>,
}

impl ViewFacts {
    /// The memory that it takes, in bytes.
    fn size(&self) -> usize {
        let names = self.key_columns.iter().chain(self.sources.iter().flatten()).chain(&self.stream_source);
        size_of::<(String, ViewFacts)>()
            + names.map(|name| size_of::<String>() + ALLOCATION + name.len()).sum::<usize>()
    }
}

/// What the registry says of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The columns that key its rows.
    pub key_columns: Vec<String>,
    /// The views that an on-demand view reads.
    pub sources: Vec<String>,
    /// The source that feeds it beside its batches: a push source, or a stream.
    pub stream_source: Option<String>,
}

/// What a write to one view makes of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The rows of the same keys are changed.
    SameRows,
    /// Any of its rows may be.
    AllRows,
}

/// What is known of the project, from the configuration and the registry.
#[derive(Clone, Debug)]
pub struct Project {
    /// Whose rows they are.
    pub namespace: Namespace,
    /// The views whose key columns are known.
    pub views: SortedMap<ViewFacts>,
    /// The feature services whose key columns are known.
    pub services: SortedMap<ViewFacts>,
    /// For all others.
    pub lifetimes: Lifetimes,
    /// The views that push sources feed, as far as they are configured.
    pub push_sources: SortedMap<Vec<String>>,
    /// For feature services: how long their members count as known, in milliseconds.
    pub membership_ttl: u64,
    /// The view that names without a colon belong to, in the native protocol.
    pub default_view: String,
    /// How long the registry's word about a view counts, in milliseconds; `None` where there is no registry to ask.
    pub registry_ttl: Option<u64>,
    /// The most memory that plans take, with their signatures and the lists by which they are found, in bytes.
    pub plan_bytes: usize,
    /// Makes row hashes hard to foresee from outside.
    pub seed: u64,
}

/// A plan, and what it is the plan of.
#[derive(Debug)]
struct Known {
    signature: Box<[u8]>,
    outcome: PlanOutcome,
    size: usize,
}

/// The plans in use.
#[derive(Debug)]
pub struct Planner {
    project: Project,
    /// What the registry said of the views, once it said something.
    learned: Option<SortedMap<ViewFacts>>,
    /// When the registry is to be asked.
    learn_at: Timestamp,
    plans: LruCache<u64, Known, FixedState>,
    /// What they take, and how many had to make room.
    bytes: usize,
    evicted: u64,
    /// What the registry's word takes.
    learned_bytes: usize,
    signature: Vec<u8>,
    /// Those of the calls whose lists of features are remembered.
    recent: RecentPlans,
}

/// What a plan takes in the table beside itself, in bytes.
const PLAN_OVERHEAD: usize = 96;

/// The longest signature whose memory is kept for the next, in bytes.
const MAX_SPARE_SIGNATURE: usize = 64 << 10;

/// How soon the registry is asked again where it said nothing, in milliseconds.
const RETRY_MILLIS: u64 = 30_000;

impl Planner {
    /// A planner for `project`.
    #[must_use]
    pub fn new(project: Project) -> Planner {
        Planner {
            recent: RecentPlans::new(project.plan_bytes / RECENT_PART),
            project,
            learned: None,
            learn_at: Timestamp(0),
            plans: LruCache::with_hasher(MAX_PLANS, FixedState::default()),
            bytes: 0,
            evicted: 0,
            learned_bytes: 0,
            signature: Vec::new(),
        }
    }

    /// Whether the registry is to be asked now. Whoever asks this is taken to ask the registry, so that not all do at once.
    pub fn must_learn(&mut self, now: Timestamp) -> bool {
        let is_due = self.project.registry_ttl.is_some() && now >= self.learn_at;
        if is_due {
            self.learn_at = now.plus(RETRY_MILLIS);
        }
        is_due
    }

    /// Puts the next fields to the registry back by so many milliseconds: the clock that it was set by was ahead.
    pub fn set_back(&mut self, millis: u64) {
        self.learn_at = self.learn_at.minus(millis);
    }

    /// Whether the registry has told anything yet.
    #[must_use]
    pub fn has_learned(&self) -> bool {
        self.learned.is_some()
    }

    /// Learns from the registry, at `now`, which columns key each view, and forgets the plans that were made without.
    pub fn learn(&mut self, views: SortedMap<Registered>, now: Timestamp) {
        let lifetimes =
            |view: &str| self.project.views.get(view).map_or(self.project.lifetimes, |facts| facts.lifetimes);
        let facts = |(view, entry): (String, Registered)| {
            let Registered { key_columns, sources, stream_source } = entry;
            let facts = ViewFacts { key_columns, lifetimes: lifetimes(&view), sources: Some(sources), stream_source };
            (view, facts)
        };
        let mut learned = SortedMap::default();
        learned.extend(views.into_iter().map(facts));
        if self.learned.as_ref() != Some(&learned) {
            self.learned_bytes = learned.iter().map(|(name, facts)| name.len() + facts.size()).sum();
            self.learned = Some(learned);
            self.plans.clear();
            self.bytes = 0;
            self.recent.clear();
        }
        self.learn_at = now.plus(self.project.registry_ttl.unwrap_or(RETRY_MILLIS));
    }

    /// The memory that plans take and what the registry said, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.recent.bytes() + self.learned_bytes
    }

    /// How many plans had to make room since the start, or were larger than all the room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What is known of the project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The plan for a request of `caller`, whose rows are its own; all callers share theirs where it is empty.
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
        let asked = fields.service.iter().chain(features.iter()).map(|span| span.bytes(body));
        for part in asked.chain(fields.columns.iter().map(|column| fields.name(column, body))) {
            self.signature.extend_from_slice(part);
            // No JSON text has a NUL in it, so the parts keep apart.
            self.signature.push(0);
        }
        if !caller.is_empty() {
            // Whatever bytes a caller's name has, its length says where it begins: two NULs stand nowhere before it.
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
        self.keep(hash, outcome.clone());
        outcome
    }

    /// Keeps a plan of what the signature says; those that were not used for longest make room. One that is larger than all the room is
    /// not kept.
    fn keep(&mut self, hash: u64, outcome: PlanOutcome) {
        let size = size_of::<Known>() + PLAN_OVERHEAD + self.signature.len() + outcome.size();
        let others = self.recent.max_bytes() + feature_list_cache::MAX_BYTES + self.learned_bytes;
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
            self.plans.put(hash, Known { signature: self.signature.as_slice().into(), outcome, size });
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
        // What is one caller's alone is nothing to learn from, nor to fetch for others.
        if let Some(plan) = plan.as_mut().filter(|_| caller.is_empty()) {
            plan.shape = shape(plan, &self.signature);
        }
        plan.map_or(PlanOutcome::Passthrough, |plan| PlanOutcome::Serve(Rc::new(plan)))
    }

    /// `None` where the origin must judge.
    #[inline(never)]
    fn service_plan(&self, service: &str, columns: Vec<Box<str>>, full_feature_names: bool) -> Option<Plan> {
        let known = self.project.services.get(service).filter(|facts| is_keyed_by(&[facts], &columns));
        let mut lifetimes = known.map_or(self.project.lifetimes, |facts| facts.lifetimes);
        // The rows of a service carry its members, so knowing the members and having fresh rows is one thing.
        lifetimes.ttl = lifetimes.ttl.min(self.project.membership_ttl);
        let key_columns = key_columns(known.map(|facts| facts.key_columns.as_slice()), &columns)?;
        let space = space(
            &self.project.namespace,
            FeatureSource::Service(service),
            full_feature_names.into(),
            &key_columns,
            &columns,
        );
        let ask = ViewQuery::new(space, Columns::All, lifetimes, self.project.seed);
        Some(Plan {
            views: Rc::new([ask]),
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

    /// `None` where the origin must judge.
    fn feature_plan(
        &self,
        asked: &[String],
        columns: Vec<Box<str>>,
        naming: FeatureNaming,
        full_names: bool,
    ) -> Option<Plan> {
        let references: Vec<(String, String)> =
            asked.iter().map(|reference| self.split(reference, naming)).collect::<Option<_>>()?;
        let views = distinct(references.iter().map(|(view, _)| view.as_str()));
        let facts: Option<Vec<&ViewFacts>> = views.iter().map(|view| self.facts(view)).collect();
        let facts = facts.filter(|facts| is_keyed_by(facts, &columns));
        let has_known_keys = facts.is_some();
        // Views that are not all known are one group, keyed by the whole entity row; its columns are full references.
        let groups = if has_known_keys || views.len() == 1 { views.len() } else { 1 };
        let group_of = |view: &str| if groups == 1 { Some(0) } else { views.iter().position(|known| *known == view) };
        let mut names: Vec<Vec<Box<str>>> = vec![Vec::new(); groups];
        let mut outputs = Vec::with_capacity(references.len());
        let mut columns_of: hashbrown::HashMap<(&str, &str), usize, FixedState> = hashbrown::HashMap::default();
        for (asked, (view, feature)) in asked.iter().zip(&references) {
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
                FeatureNaming::AsRequested => asked.clone(),
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
        // The native protocol has no short names to collide, so the origin is asked for full ones just where they would.
        let full_names = match naming {
            FeatureNaming::Feast => full_names,
            FeatureNaming::AsRequested => has_duplicates(columns_of.keys().map(|(_, feature)| *feature)),
        };
        // Two features under one name, or one asked for twice: Feast refuses some of these, and it is not ours to say which. What is named
        // twice in the native protocol has become one output before.
        if references.is_empty() || has_duplicates(outputs.iter().map(|output| &*output.name)) {
            return None;
        }
        let mut asks = Vec::with_capacity(groups);
        let mut keys = Vec::with_capacity(groups);
        for (group, names) in names.into_iter().enumerate() {
            let facts = facts.as_ref().and_then(|facts| facts.get(group));
            let key_columns = key_columns(facts.map(|facts| facts.key_columns.as_slice()), &columns)?;
            let subject = match views.get(group) {
                Some(view) if groups == views.len() => FeatureSource::View(view),
                _ => FeatureSource::Views(&views),
            };
            let space = space(&self.project.namespace, subject, full_names.into(), &key_columns, &columns);
            let lifetimes = match facts {
                Some(facts) => facts.lifetimes,
                None => self.strictest(&views),
            };
            let ask = ViewQuery::new(space, Columns::Named(names.into()), lifetimes, self.project.seed);
            asks.push(match views.get(group) {
                Some(view) if has_known_keys => {
                    // A write names rows by the keys of the view itself, and a version of it may be configured to have others.
                    let written = self.key_columns(unversioned(view)).unwrap_or_default();
                    let is_by_row = facts.is_some_and(|facts| has_same_columns(&facts.key_columns, written));
                    ask.with_write_dependencies(WriteDependencies::Views {
                        views: [unversioned(view).into()].into(),
                        is_by_row,
                    })
                }
                // Of what one of these is made is not known, or not how its rows are keyed.
                _ => ask,
            });
            keys.push(key_columns);
        }
        let mut names_text = Vec::new();
        for output in &outputs {
            json::write_string(&mut names_text, &output.name);
            names_text.push(b',');
        }
        Some(Plan {
            views: asks.into(),
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

    /// Leaves requests of a plan's shape to the origin from now on: its answer was not as the plan says.
    pub fn leave_to_origin(&mut self, plan: &Rc<Plan>) {
        self.recent.clear();
        for (_, known) in self.plans.iter_mut() {
            if matches!(&known.outcome, PlanOutcome::Serve(known) if Rc::ptr_eq(known, plan)) {
                known.outcome = PlanOutcome::Passthrough;
            }
        }
    }

    /// The plan of a shape that is in use, by whether its name is meant.
    pub fn shaped(&self, mut is_meant: impl FnMut(u32) -> bool) -> Option<&Rc<Plan>> {
        let mut plans = self.plans.iter().filter_map(|(_, known)| match &known.outcome {
            PlanOutcome::Serve(plan) => Some(plan),
            PlanOutcome::Passthrough => None,
        });
        plans.find(|plan| is_meant(plan.shape.name))
    }

    /// A reference's view and feature; `None` where it is no reference.
    fn split(&self, reference: &str, naming: FeatureNaming) -> Option<(String, String)> {
        let (view, feature) = match (reference.split_once(':'), naming) {
            (Some(parts), _) => parts,
            (None, FeatureNaming::AsRequested) => (self.project.default_view.as_str(), reference),
            (None, FeatureNaming::Feast) => return None,
        };
        let is_plain = !view.is_empty() && !feature.is_empty() && !feature.contains(':');
        is_plain.then(|| (canonical(view), feature.to_owned()))
    }

    /// What is known of a view; a version in the reference shares its view's facts unless it has its own.
    fn facts(&self, view: &str) -> Option<&ViewFacts> {
        let configured = [view, unversioned(view)].into_iter().filter_map(|view| self.project.views.get(view));
        let learned = self.learned.as_ref().and_then(|learned| learned.get(unversioned(view)));
        configured.chain(learned).find(|facts| !facts.key_columns.is_empty())
    }

    /// The views that a push source feeds, as far as is known.
    #[must_use]
    pub fn fed_by(&self, source: &str) -> Vec<&str> {
        if let Some(views) = self.project.push_sources.get(source) {
            return views.iter().map(|view| unversioned(view)).collect();
        }
        let is_fed = |facts: &ViewFacts| facts.stream_source.as_deref() == Some(source);
        self.learned.iter().flat_map(SortedMap::iter).filter(|(_, facts)| is_fed(facts)).map(|(view, _)| view).collect()
    }

    /// The columns that key a view, where they are known.
    #[must_use]
    pub fn key_columns(&self, view: &str) -> Option<&[String]> {
        self.facts(view).map(|facts| facts.key_columns.as_slice())
    }

    /// The other views, of those that are known, that may be computed from `view`, and how far a write to it reaches there.
    ///
    /// A view of which nobody said what it is made of is taken to be made of every view whose key it contains.
    #[must_use]
    pub fn made_of(&self, view: &str) -> Vec<(&str, Reach)> {
        let written = self.key_columns(view);
        let names = self
            .project
            .views
            .iter()
            .map(|(view, _)| view)
            .chain(self.learned.iter().flat_map(SortedMap::iter).map(|(view, _)| view));
        let mut reached = Vec::new();
        for name in names.map(unversioned).filter(|name| *name != view) {
            let Some(facts) = self.facts(name).filter(|_| !reached.iter().any(|(known, _)| *known == name)) else {
                continue;
            };
            let told = self.learned.as_ref().and_then(|learned| learned.get(name)?.sources.as_ref());
            let (keys, sources) = (&facts.key_columns, facts.sources.as_ref().or(told));
            let is_made_of_it = match (sources, written) {
                (Some(sources), _) => sources.iter().any(|source| unversioned(source) == view),
                (None, Some(written)) => has_all(keys, written),
                (None, None) => true,
            };
            if is_made_of_it {
                let is_by_row = written.is_some_and(|written| has_same_columns(keys, written));
                reached.push((name, if is_by_row { Reach::SameRows } else { Reach::AllRows }));
            }
        }
        reached
    }

    /// The shortest lifetimes of a group of views.
    fn strictest(&self, views: &[&str]) -> Lifetimes {
        let lifetimes = views
            .iter()
            .map(|view| self.project.views.get(view).map_or(self.project.lifetimes, |facts| facts.lifetimes));
        lifetimes.reduce(Lifetimes::strictest).unwrap_or(self.project.lifetimes)
    }
}

/// What those who learn know a plan by. The key_views are the views whose keys together have all columns, the first ones first.
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
    let mut carried: Vec<usize> = Vec::new();
    for (view, columns) in plan.key_columns.iter().enumerate() {
        let before = carried.len();
        for &column in columns {
            if !carried.contains(&column) {
                carried.push(column);
            }
        }
        if carried.len() > before {
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

/// Whether the columns of a request are just those that key these views.
///
/// Where one is missing, or one is there that keys none of them, the origin has its own rules of what it answers and which
/// columns it echoes; the whole entity row as the key is right whatever they are.
fn is_keyed_by(facts: &[&ViewFacts], columns: &[Box<str>]) -> bool {
    let keys = || facts.iter().flat_map(|facts| &facts.key_columns);
    keys().all(|key| columns.iter().any(|column| **column == **key))
        && columns.iter().all(|column| keys().any(|key| **column == **key))
}

/// Whether `keys` has all the columns `of` a view.
fn has_all(keys: &[String], of: &[String]) -> bool {
    of.iter().all(|column| keys.contains(column))
}

/// Whether two views are keyed by the same columns, so that a key of the one is a key of the other.
fn has_same_columns(one: &[String], other: &[String]) -> bool {
    has_all(one, other) && has_all(other, one)
}

/// A view as Feast names it in its answers: `view@` and `view@latest` are `view`, `view@V01` is `view@v1`.
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

/// A view's name without the version that a reference may give.
fn unversioned(view: &str) -> &str {
    view.split_once('@').map_or(view, |(view, _)| view)
}

/// The numbers of the columns that key a view: those named, ordered by name, or all as they stand. `None` where a named
/// one is not there.
///
/// The order of all columns has a meaning to Feast: join keys are echoed in it, and of an entity's name and its join key
/// the last counts.
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

/// Makes outputs of one name the first of them.
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
