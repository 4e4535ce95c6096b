//! What we need from the world. What happens to us is not here: that is a `Signal`.

mod clock;
mod fetch;
mod host;
mod leadership;
mod remote;
mod resolver;
mod rng;
mod store;

pub use clock::Clock;
pub use fetch::{Fetch, FetchError, HttpRequest, HttpResponse, Method, Timeouts};
pub use host::Host;
pub use leadership::Leadership;
pub use remote::Remote;
pub use resolver::{Asking, NoResolver, Resolver};
pub use rng::Rng;
pub use store::{RawStore, Store};
