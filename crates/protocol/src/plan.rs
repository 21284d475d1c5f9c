//! Plans: for requests of one shape, the views to read, their key columns, and the names of the values in the response.
//!
//! Knows neither the configuration nor the registry, from which plans are made elsewhere. Invariant: a plan that is found for a
//! request was made for the same features, columns and naming.

use core::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::feature_list_cache::FeatureList;
use crate::parsed_request::ParsedRequest;
use model::request::{Keys, ViewQuery};
use model::request_error::RequestError;
use model::row::ALLOCATION;
use model::shape::RequestShape;
use model::short_copy::is_same;

/// One feature of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The number of its view among the plan's.
    pub view: usize,
    /// The number of its column among the view's.
    pub column: usize,
    /// The reference by which it is requested from the origin: `view:feature`.
    pub reference: Box<str>,
    /// Its name in the response.
    pub name: Box<str>,
    /// How often the request names it: the value is written once, and counts as often.
    pub times: u64,
}

/// How requests of one shape are served.
#[derive(Debug)]
pub struct Plan {
    /// The views of the query.
    pub views: Rc<[ViewQuery]>,
    /// For each view, the numbers of the request's columns that key it, in the order of its keys.
    pub key_columns: Vec<Vec<usize>>,
    /// The features of the response, in the request's order; none for a feature service, whose members the origin names.
    pub outputs: Vec<Output>,
    /// The names of the outputs as the response lists them, each a JSON string with a comma after it.
    pub names_text: Vec<u8>,
    /// The names of the request's entity columns.
    pub columns: Vec<Box<str>>,
    /// The requested feature service, where there is one.
    pub service: Option<Box<str>>,
    /// Whether the key columns of each view are known, so that join keys are distinguished from request data.
    pub has_known_keys: bool,
    /// Whether names are returned with their view.
    pub full_feature_names: bool,
    /// The request shape by which the prefetch model knows it.
    pub shape: RequestShape,
    /// The numbers of its views in telemetry, once they are assigned.
    pub view_numbers: OnceCell<Box<[u8]>>,
    /// How many pending requests use it.
    pub pending: Cell<u32>,
    /// Its memory, in bytes, once it was measured.
    pub size: OnceCell<usize>,
}

impl Plan {
    /// Its memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        *self.size.get_or_init(|| self.measure())
    }

    #[inline(never)]
    fn measure(&self) -> usize {
        let text = |text: &str| size_of::<Box<str>>() + ALLOCATION + text.len();
        let outputs = self
            .outputs
            .iter()
            .map(|output| size_of::<Output>() + 2 * ALLOCATION + output.reference.len() + output.name.len());
        let keys = self.key_columns.iter().map(|keys| size_of::<Vec<usize>>() + ALLOCATION + size_of_val(&**keys));
        let RequestShape { features, key_views, .. } = &self.shape;
        size_of::<Plan>()
            + 8 * ALLOCATION
            + self.views.iter().map(ViewQuery::size).sum::<usize>()
            + keys.sum::<usize>()
            + outputs.sum::<usize>()
            + self.names_text.capacity()
            + self.columns.iter().map(|name| text(name)).sum::<usize>()
            + self.service.as_deref().map_or(0, text)
            + size_of_val(&**features)
            + size_of_val(&**key_views)
            + self.views.len()
    }

    /// Writes the key of each lookup of a request, view by view.
    ///
    /// # Errors
    /// A key that is longer than `limit` bytes.
    #[inline(never)]
    pub fn write_keys(
        &self,
        request: &ParsedRequest<'_>,
        limit: usize,
        scratch: &mut String,
        keys: &mut Keys,
    ) -> Result<(), RequestError> {
        let (fields, body) = request.parts();
        for (view, columns) in self.views.iter().zip(&self.key_columns) {
            for row in 0..fields.rows {
                let length = keys.push(view, |key| {
                    for &column in columns {
                        if let Some(value) = fields.value(column, row) {
                            value.encode(body, key, scratch);
                        }
                    }
                });
                if length > limit {
                    return Err(RequestError::LimitExceeded { limit: "key_bytes", allowed: limit, found: length });
                }
            }
        }
        Ok(())
    }
}

/// How a request is served.
#[derive(Clone, Debug)]
pub enum PlanOutcome {
    /// By this plan.
    Serve(Rc<Plan>),
    /// By the origin, which mostly rejects it, or whose response cannot be cached.
    Passthrough,
}

impl PlanOutcome {
    /// Its memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            PlanOutcome::Serve(plan) => plan.size(),
            PlanOutcome::Passthrough => 0,
        }
    }
}

/// Which names features have in the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureNaming {
    /// `feature`, or `view__feature` with full names.
    Feast,
    /// As in the request.
    AsRequested,
}

/// The plans of requests with cached feature lists, found without parsing the features again.
#[derive(Debug)]
pub struct RecentPlans {
    plans: Vec<Recent>,
    /// Their memory with plans and lists, which may be shared, and its bound.
    bytes: usize,
    max_bytes: usize,
}

/// The plan of requests for a list of features, keyed by columns of these names. It references the list, so that no other gets its
/// address.
#[derive(Debug)]
struct Recent {
    list: Rc<FeatureList>,
    naming: FeatureNaming,
    full_feature_names: bool,
    columns: Vec<Box<[u8]>>,
    outcome: PlanOutcome,
    size: usize,
}

impl Recent {
    fn is_of(&self, request: &ParsedRequest<'_>, naming: FeatureNaming) -> bool {
        let (fields, body) = request.parts();
        fields.list.as_ref().is_some_and(|list| Rc::ptr_eq(list, &self.list))
            && self.naming == naming
            && self.full_feature_names == fields.full_feature_names
            && self.columns.len() == fields.columns.len()
            && self.columns.iter().zip(&fields.columns).all(|(name, column)| is_same(name, fields.name(column, body)))
    }
}

/// The most plans that are found without their whole signature.
const MAX_RECENT: usize = 8;

impl RecentPlans {
    /// No plans yet, of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> RecentPlans {
        RecentPlans { plans: Vec::new(), bytes: 0, max_bytes }
    }

    /// The bound of their memory, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Their memory with plans and lists, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The plan for a request.
    #[must_use]
    #[inline(never)]
    pub fn find(&self, request: &ParsedRequest<'_>, naming: FeatureNaming) -> Option<PlanOutcome> {
        self.plans.iter().find(|recent| recent.is_of(request, naming)).map(|recent| recent.outcome.clone())
    }

    /// Remembers the plan for a request, and removes the oldest where there are too many. A plan larger than the bound is not remembered.
    #[cold]
    pub fn remember(&mut self, request: &ParsedRequest<'_>, naming: FeatureNaming, outcome: PlanOutcome) {
        let (fields, body) = request.parts();
        let Some(list) = &fields.list else { return };
        let columns: Vec<Box<[u8]>> = fields.columns.iter().map(|column| fields.name(column, body).into()).collect();
        let names = columns.iter().map(|name| size_of::<Box<[u8]>>() + ALLOCATION + name.len());
        let size = size_of::<Recent>() + ALLOCATION + names.sum::<usize>() + list.size() + outcome.size();
        if size > self.max_bytes {
            return;
        }
        while self.plans.len() >= MAX_RECENT || self.bytes + size > self.max_bytes {
            self.bytes -= self.plans.remove(0).size;
        }
        self.bytes += size;
        let (list, full_feature_names) = (Rc::clone(list), fields.full_feature_names);
        self.plans.push(Recent { list, naming, full_feature_names, columns, outcome, size });
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.plans.clear();
        self.bytes = 0;
    }
}
