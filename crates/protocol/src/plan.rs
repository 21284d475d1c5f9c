//! How requests of one shape are served: which views, keyed by which columns, and under which names the values go out.
//!
//! Knows neither the configuration nor the registry, by which plans are made elsewhere. Its invariant: a plan that is found
//! again is of a call with the same features, columns and naming.

use core::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::feature_list_cache::FeatureList;
use crate::request::ParsedRequest;
use model::request::{Keys, ViewQuery};
use model::request_error::RequestError;
use model::row::ALLOCATION;
use model::shape::RequestShape;
use model::short_copy::is_same;

/// One feature that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The number of its view among the plan's.
    pub view: usize,
    /// The number of its column among the view's.
    pub column: usize,
    /// The reference that the origin is asked by: `view:feature`.
    pub reference: Box<str>,
    /// The name under which the value goes out.
    pub name: Box<str>,
    /// How often the request names it: the value goes out once, and counts as often.
    pub times: u64,
}

/// How requests of one shape are served.
#[derive(Debug)]
pub struct Plan {
    /// The views, as the engine is asked for them.
    pub views: Rc<[ViewQuery]>,
    /// For each view, the numbers of the request's columns that key it, in the order that they stand in its keys.
    pub key_columns: Vec<Vec<usize>>,
    /// What goes out, in the request's order; nothing for a feature service, whose members the origin names.
    pub outputs: Vec<Output>,
    /// The names of the outputs as the answer lists them, each a JSON string with a comma behind it.
    pub names_text: Vec<u8>,
    /// The names of the request's entity columns.
    pub columns: Vec<Box<str>>,
    /// The feature service that is asked for, where one is.
    pub service: Option<Box<str>>,
    /// Whether the key columns are known for each view, so that a join key can be told from request data.
    pub is_attributed: bool,
    /// Whether names go out with their view.
    pub full_feature_names: bool,
    /// What those who learn from requests know it by.
    pub shape: RequestShape,
    /// The numbers under which its views are told of to the aggregator, once they are.
    pub told: OnceCell<Box<[u8]>>,
    /// How many requests wait that are served by it.
    pub waiting: Cell<u32>,
    /// The memory that it takes, in bytes, once that was asked for.
    pub size: OnceCell<usize>,
}

impl Plan {
    /// The memory that it takes, in bytes.
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

    /// Writes the key of each place of a request, view by view; one may be `limit` bytes long.
    ///
    /// # Errors
    /// A key that is longer.
    #[inline(never)]
    pub fn write_keys(
        &self,
        request: &ParsedRequest<'_>,
        limit: usize,
        scratch: &mut String,
        keys: &mut Keys,
    ) -> Result<(), RequestError> {
        let (call, body) = request.parts();
        for (view, columns) in self.views.iter().zip(&self.key_columns) {
            for row in 0..call.rows {
                let length = keys.push(view, |key| {
                    for &column in columns {
                        if let Some(value) = call.value(column, row) {
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

/// How to go on with a request.
#[derive(Clone, Debug)]
pub enum Planned {
    /// As this plan says.
    Serve(Rc<Plan>),
    /// The origin must judge: it comes back with an error mostly, or with something that is not ours to keep.
    Forward,
}

impl Planned {
    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Planned::Serve(plan) => plan.size(),
            Planned::Forward => 0,
        }
    }
}

/// Which protocol's naming holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `feature`, or `view__feature` with full names.
    Feast,
    /// As the request has them.
    AsAsked,
}

/// The plans of the calls whose lists of features are remembered, found without reading the features again.
#[derive(Debug)]
pub struct RecentPlans {
    plans: Vec<Recent>,
    /// What they take with their plans and lists, which others may have too, and the most that they may take.
    bytes: usize,
    max_bytes: usize,
}

/// The plan of calls for a list of features, keyed by columns of these names. It holds the list, so that no other comes to lie at its
/// address.
#[derive(Debug)]
struct Recent {
    list: Rc<FeatureList>,
    naming: Naming,
    full_feature_names: bool,
    columns: Vec<Box<[u8]>>,
    planned: Planned,
    size: usize,
}

impl Recent {
    fn is_of(&self, request: &ParsedRequest<'_>, naming: Naming) -> bool {
        let (call, body) = request.parts();
        call.list.as_ref().is_some_and(|list| Rc::ptr_eq(list, &self.list))
            && self.naming == naming
            && self.full_feature_names == call.full_feature_names
            && self.columns.len() == call.columns.len()
            && self.columns.iter().zip(&call.columns).all(|(name, column)| is_same(name, call.name(column, body)))
    }
}

/// How many plans are found without their whole signature.
const MAX_RECENT: usize = 8;

impl RecentPlans {
    /// None yet, and at most `max_bytes` of them.
    #[must_use]
    pub fn new(max_bytes: usize) -> RecentPlans {
        RecentPlans { plans: Vec::new(), bytes: 0, max_bytes }
    }

    /// The most memory that they may take, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The memory that they take with their plans and lists, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The plan for a request.
    #[must_use]
    #[inline(never)]
    pub fn find(&self, request: &ParsedRequest<'_>, naming: Naming) -> Option<Planned> {
        self.plans.iter().find(|recent| recent.is_of(request, naming)).map(|recent| recent.planned.clone())
    }

    /// Remembers the plan for a request, and forgets the oldest where there are too many; one that alone is too much is not remembered.
    #[cold]
    pub fn remember(&mut self, request: &ParsedRequest<'_>, naming: Naming, planned: Planned) {
        let (call, body) = request.parts();
        let Some(list) = &call.list else { return };
        let columns: Vec<Box<[u8]>> = call.columns.iter().map(|column| call.name(column, body).into()).collect();
        let names = columns.iter().map(|name| size_of::<Box<[u8]>>() + ALLOCATION + name.len());
        let size = size_of::<Recent>() + ALLOCATION + names.sum::<usize>() + list.size() + planned.size();
        if size > self.max_bytes {
            return;
        }
        while self.plans.len() >= MAX_RECENT || self.bytes + size > self.max_bytes {
            self.bytes -= self.plans.remove(0).size;
        }
        self.bytes += size;
        let (list, full_feature_names) = (Rc::clone(list), call.full_feature_names);
        self.plans.push(Recent { list, naming, full_feature_names, columns, planned, size });
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.plans.clear();
        self.bytes = 0;
    }
}
