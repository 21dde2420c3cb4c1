//! Verbs before the run begins: they are refused, because there is nothing to change yet.

use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::operator::Orders;
use crate::ops::{Operator, Refusal, Reply, Verb};

/// The API's end of the thread, which refuses verbs until the run begins.
#[derive(Clone, Default)]
pub(super) struct LateOrders(Arc<OnceLock<Orders>>);

impl LateOrders {
    /// Accepts verbs from now on.
    pub fn begin(&self, orders: Orders) {
        let _ = self.0.set(orders);
    }
}

impl Operator for LateOrders {
    fn carry_out(&self, verb: Verb) -> BoxFuture<'static, Result<Reply, Refusal>> {
        match self.0.get() {
            Some(orders) => orders.carry_out(verb),
            None => ready(Err(Refusal::Unavailable(
                "The run is still starting; try again once /readyz says that it is ready.".to_owned(),
            )))
            .boxed(),
        }
    }
}
