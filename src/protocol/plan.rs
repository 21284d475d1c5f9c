//! How requests of one shape are served: which views, keyed by which columns, and under which names the values go out.
//!
//! Knows neither the configuration nor the registry, by which plans are made elsewhere. Its invariant: a plan that is found
//! again is of a call with the same features, columns and naming.

use core::cell::OnceCell;
use std::rc::Rc;

use crate::call::Call;
use crate::lists::List;
use model::block::is_same;
use model::refusal::Refusal;
use model::request::{Keys, ViewAsk};
use model::shape::Shape;

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
    pub views: Rc<[ViewAsk]>,
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
    pub shape: Shape,
    /// The numbers under which its views are told of to whoever watches, once they are.
    pub told: OnceCell<Box<[u8]>>,
}

impl Plan {
    /// Writes the key of each place of `call`, view by view; one may be `limit` bytes long.
    ///
    /// # Errors
    /// A key that is longer.
    #[inline(never)]
    pub fn write_keys(
        &self,
        call: &Call,
        body: &[u8],
        limit: usize,
        scratch: &mut String,
        keys: &mut Keys,
    ) -> Result<(), Refusal> {
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
                    return Err(Refusal::Limit { limit: "key_bytes", allowed: limit, found: length });
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

/// Which protocol's naming holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `feature`, or `view__feature` with full names.
    Feast,
    /// As the request has them.
    AsAsked,
}

/// The plans of the calls whose lists of features are remembered, found without reading the features again.
#[derive(Debug, Default)]
pub struct RecentPlans {
    plans: Vec<Recent>,
}

/// The plan of calls for a list of features, keyed by columns of these names. It holds the list, so that no other comes to lie at its
/// address.
#[derive(Debug)]
struct Recent {
    list: Rc<List>,
    naming: Naming,
    full_feature_names: bool,
    columns: Vec<Box<[u8]>>,
    planned: Planned,
}

impl Recent {
    fn is_of(&self, call: &Call, body: &[u8], naming: Naming) -> bool {
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
    /// The plan for `call`, which stands in `body`.
    #[must_use]
    #[inline(never)]
    pub fn find(&self, call: &Call, body: &[u8], naming: Naming) -> Option<Planned> {
        self.plans.iter().find(|recent| recent.is_of(call, body, naming)).map(|recent| recent.planned.clone())
    }

    /// Remembers the plan for `call`, and forgets the oldest where there are too many.
    #[cold]
    pub fn remember(&mut self, call: &Call, body: &[u8], naming: Naming, planned: Planned) {
        let Some(list) = &call.list else { return };
        if self.plans.len() >= MAX_RECENT {
            self.plans.remove(0);
        }
        self.plans.push(Recent {
            list: Rc::clone(list),
            naming,
            full_feature_names: call.full_feature_names,
            columns: call.columns.iter().map(|column| call.name(column, body).into()).collect(),
            planned,
        });
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.plans.clear();
    }
}
