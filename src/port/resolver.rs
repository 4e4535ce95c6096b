//! The application's resolver.

use std::future::Future;
use std::pin::Pin;

use crate::model::{Answer, Conflict};

/// An answer that is awaited. It holds all that it needs: it may outlive the term of the leader that asked.
pub type Asking = Pin<Box<dyn Future<Output = Answer>>>;

/// Decides conflicts in the application's name (R26). It may take its time, fail, or never answer; it is asked outside of
/// transactions and may call whatever it likes meanwhile (P20, P26).
pub trait Resolver {
    /// Asks what becomes of a conflict.
    fn ask(&self, conflict: &Conflict) -> Asking;
}

/// No resolver: a person is asked instead.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn ask(&self, _: &Conflict) -> Asking {
        Box::pin(std::future::ready(Answer::Person))
    }
}
