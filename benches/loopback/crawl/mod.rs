//! A crawl: compressed pages of many hosts over TLS, of which each ends a connection after ten requests.

mod candidates;
mod certificates;
mod counts;
mod html;
mod origin;
mod pages;
mod serve;

pub use serve::serve;
