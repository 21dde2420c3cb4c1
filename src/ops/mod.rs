//! Operating a run: the service manager that watches it.

mod service_manager;

pub use service_manager::{Reloading, ServiceManager, Watched};
